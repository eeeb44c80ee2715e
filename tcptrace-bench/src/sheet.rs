//! The figures of a run.

use serde::Serialize;
use serde_json::{Value, json};

use crate::{machine::Machine, options::Effort, rows::Group};

/// What a row measures.
#[derive(Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// What it should be, as text: `≤ 300`.
    pub(crate) budget: Option<&'static str>,
}

/// One thing that was measured in every round.
pub(crate) struct Row {
    pub(crate) measure: Measure,
    /// Under which conditions; may be empty.
    pub(crate) with: String,
    pub(crate) samples: Vec<f64>,
}

/// Rows that are measured together.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) rows: Vec<Row>,
    /// What there is to say of them, such as why some are missing.
    pub(crate) notes: Vec<String>,
}

/// All rows.
#[derive(Default)]
pub(crate) struct Sheet {
    pub(crate) sections: Vec<Section>,
    open: usize,
}

/// The middle of some samples, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Sheet {
    /// What is added from now on belongs to this group.
    pub(crate) fn begin(&mut self, group: &Group) {
        let found = self.sections.iter().position(|section| section.name == group.name);
        self.open = found.unwrap_or_else(|| {
            self.sections.push(Section {
                name: group.name,
                about: group.about,
                rows: Vec::new(),
                notes: Vec::new(),
            });
            self.sections.len() - 1
        });
    }

    /// Adds what was measured in this round; a figure that is not finite is none.
    pub(crate) fn add(&mut self, measure: Measure, with: &str, sample: f64) {
        let Some(section) = self.sections.get_mut(self.open) else { return };
        let same = |row: &&mut Row| row.measure.name == measure.name && row.with == with;
        let row = match section.rows.iter_mut().find(same) {
            Some(row) => row,
            None => {
                let samples = Vec::new();
                section.rows.push(Row { measure, with: with.to_owned(), samples });
                let Some(row) = section.rows.last_mut() else { return };
                row
            }
        };
        row.samples.extend(sample.is_finite().then_some(sample));
    }

    /// Says something of the rows, once.
    pub(crate) fn note(&mut self, text: String) {
        if let Some(section) = self.sections.get_mut(self.open)
            && !section.notes.contains(&text)
        {
            section.notes.push(text);
        }
    }

    /// Everything, for other programs.
    pub(crate) fn json(&self, machine: &Machine, effort: &Effort) -> Value {
        let rows = self.sections.iter().flat_map(|section| {
            section.rows.iter().map(|row| {
                json!({
                    "group": section.name,
                    "name": row.measure.name,
                    "with": (!row.with.is_empty()).then_some(&row.with),
                    "unit": row.measure.unit,
                    "budget": row.measure.budget,
                    "spread": spread(&row.samples),
                    "samples": row.samples,
                })
            })
        });
        let notes = self.sections.iter().flat_map(|section| {
            section.notes.iter().map(|note| json!({ "group": section.name, "note": note }))
        });
        let (rows, notes): (Vec<_>, Vec<_>) = (rows.collect(), notes.collect());
        json!({ "machine": machine, "effort": effort, "rows": rows, "notes": notes })
    }
}

/// The median, of an even number of samples the mean of the two in the middle; `None` of none.
pub(crate) fn spread(samples: &[f64]) -> Option<Spread> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lowest, highest) = (*sorted.first()?, *sorted.last()?);
    let half = sorted.len() / 2;
    let median =
        if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 };
    Some(Spread { median, lowest, highest })
}

/// The mean; not a number of none.
pub(crate) fn mean(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len() as f64
}

/// The sample that so large a part of all is not above; `None` of none.
pub(crate) fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    Some(sorted[rank.saturating_sub(1).min(last)])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEED: Measure = Measure { name: "speed", unit: "/s", budget: None };
    const GROUP: Group = Group { name: "all", about: "", is_main: true, round: |_, _| Ok(()) };

    #[test]
    fn the_median_does_not_care_for_one_that_is_far_off() {
        let spread = spread(&[3.0, 900.0, 1.0]).unwrap();
        assert_eq!(spread, Spread { median: 3.0, lowest: 1.0, highest: 900.0 });
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_quantile_is_one_of_the_samples() {
        let samples: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&samples, 0.5), Some(50.0));
        assert_eq!(quantile(&samples, 0.99), Some(99.0));
        assert_eq!(quantile(&samples, 1.0), Some(100.0));
        assert_eq!(quantile(&[7.0], 0.01), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn rounds_add_to_the_same_row() {
        let mut sheet = Sheet::default();
        for sample in [1.0, f64::NAN, 2.0] {
            sheet.begin(&GROUP);
            sheet.add(SPEED, "one", sample);
            sheet.add(SPEED, "two", sample * 10.0);
        }
        assert_eq!(sheet.sections.len(), 1);
        let rows = &sheet.sections[0].rows;
        assert_eq!(rows.len(), 2);
        assert_eq!((&rows[0].samples, &rows[1].samples), (&vec![1.0, 2.0], &vec![10.0, 20.0]));
    }

    #[test]
    fn a_note_is_told_once() {
        let mut sheet = Sheet::default();
        for _ in 0..2 {
            sheet.begin(&GROUP);
            sheet.note("no bpftrace".to_owned());
        }
        assert_eq!(sheet.sections[0].notes, ["no bpftrace"]);
    }
}
