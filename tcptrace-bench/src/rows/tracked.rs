//! What following costs, by how many connections there are.

use anyhow::Result;

use super::people;
use crate::{
    options::Bench,
    sheet::{Measure, Sheet},
    track,
};

const MEMORY: Measure = Measure { name: "memory", unit: "B each", budget: Some("≤ 250") };
const BESIDE: Measure = Measure { name: "event beside", unit: "ns", budget: None };
const AMONG: Measure = Measure { name: "event among", unit: "ns", budget: None };

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    for &sockets in bench.effort.tracked_sockets {
        let tracked = track::measure(bench, sockets, bench.effort.tracked_events)?;
        let with = people(sockets);
        sheet.add(BESIDE, &with, tracked.beside_ns);
        sheet.add(AMONG, &with, tracked.among_ns);
        sheet.add(MEMORY, &with, tracked.bytes_each);
    }
    Ok(())
}
