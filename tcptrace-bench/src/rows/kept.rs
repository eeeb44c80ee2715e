//! How many connections a second are left when something traces.

use anyhow::Result;

use crate::{
    load::{self, TRANSITIONS},
    options::{Bench, Load},
    peer::{PEERS, Peer},
    sheet::{Measure, Sheet, mean},
    tracer::Tracer,
};

const BARE: Measure = Measure { name: "connections", unit: "/s", budget: None };
const KEPT: Measure = Measure { name: "kept", unit: "%", budget: None };
const KEPT_BY_RECORD: Measure = Measure { budget: Some("≥ 90"), ..KEPT };
const USER: Measure = Measure { name: "user CPU", unit: "ns each", budget: None };
const LOST: Measure = Measure { name: "lost", unit: "", budget: None };
const OURS_LOST: Measure = Measure { budget: Some("0"), ..LOST };

/// What traces beside the load.
#[derive(Clone, Copy)]
enum Beside {
    /// A command of tcptrace.
    Ours(&'static [&'static str]),
    Theirs(&'static Peer),
}
use Beside::{Ours, Theirs};

pub(crate) fn round(bench: &Bench, sheet: &mut Sheet) -> Result<()> {
    let peers = PEERS.iter().filter(|peer| match peer.problem() {
        Some(problem) => {
            sheet.note(problem);
            false
        }
        None => true,
    });
    // Each turn begins without a tracer, so that what is compared happens close together.
    let turns = [
        vec![Ours(&["watch"]), Ours(&["watch", "--json"])],
        vec![Ours(&["record"]), Ours(&["stuck"])],
        peers.map(Theirs).collect(),
    ];
    // A processor is left for the tracer, or none.
    let threads: &[u32] = if bench.effort.only_main { &[1] } else { &[1, 2] };
    for &threads in threads {
        let load = load::full(threads, bench.effort.load_seconds);
        let threads = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
        let mut bare = Vec::new();
        let mut traced = Vec::new();
        for turn in &turns {
            bare.push(load::run(bench, load)?.rate());
            for beside in turn {
                traced.push(beside.measure(bench, load)?);
            }
        }
        bare.push(load::run(bench, load)?.rate());
        for rate in &bare {
            sheet.add(BARE, &format!("{threads}, no tracer"), *rate);
        }
        for Traced { name, rate, user_ns, lost } in traced {
            let with = format!("{threads}, {name}");
            let is_theirs = PEERS.iter().any(|peer| peer.name == name);
            let kept = if name == "record" { KEPT_BY_RECORD } else { KEPT };
            sheet.add(kept, &with, 100.0 * rate / mean(&bare));
            sheet.add(USER, &with, user_ns);
            sheet.add(if is_theirs { LOST } else { OURS_LOST }, &with, lost as f64);
        }
    }
    Ok(())
}

/// What a load came to, and what tracing it took.
struct Traced {
    name: String,
    /// Connections a second.
    rate: f64,
    /// By transition.
    user_ns: f64,
    lost: u64,
}

impl Beside {
    fn measure(self, bench: &Bench, load: Load) -> Result<Traced> {
        let (name, tracer) = match self {
            Ours(["record"]) => {
                let path = bench.file("kept.arrows");
                let arguments = ["record", "--force", "-o", path.as_str()];
                ("record".to_owned(), Tracer::start(bench, &arguments)?)
            }
            Ours(arguments) => (arguments.join(" "), Tracer::start_to_file(bench, arguments)?),
            Theirs(peer) => (peer.name.to_owned(), peer.start(bench)?),
        };
        let done = load::run(bench, load)?;
        let traced = tracer.stop()?;
        let transitions = (done.connections * TRANSITIONS) as f64;
        let user_ns = traced.cpu.user * 1e9 / transitions;
        Ok(Traced { name, rate: done.rate(), user_ns, lost: traced.lost })
    }
}
