//! The figures of a run for people.

use std::fmt::Write as _;

use crate::{
    machine::Machine,
    options::Effort,
    sheet::{Row, Sheet, Spread, spread},
};

/// The whole text: heading, then a table for each group.
pub(crate) fn text(machine: &Machine, effort: &Effort, sheet: &Sheet) -> String {
    let mut text = machine.heading();
    // Writing to a string cannot fail.
    _ = writeln!(text, "medians of {} rounds, with the lowest and the highest", effort.rounds);
    for section in &sheet.sections {
        _ = write!(text, "\n{}: {}\n", section.name, section.about);
        text += &rows(&section.rows);
        for note in &section.notes {
            _ = writeln!(text, "  {note}");
        }
    }
    text
}

fn rows(rows: &[Row]) -> String {
    let mut text = line(["", "MEDIAN", "LOWEST", "HIGHEST", "", "BUDGET"]);
    for row in rows {
        let name = match row.with.as_str() {
            "" => row.measure.name.to_owned(),
            with => format!("{}, {with}", row.measure.name),
        };
        let [median, lowest, highest] = match spread(&row.samples) {
            Some(Spread { median, lowest, highest }) => [median, lowest, highest].map(number),
            None => ["-"; 3].map(str::to_owned),
        };
        let budget = row.measure.budget.unwrap_or("");
        text += &line([&name, &median, &lowest, &highest, row.measure.unit, budget]);
    }
    text
}

fn line([name, median, lowest, highest, unit, budget]: [&str; 6]) -> String {
    let line = format!("  {name:<33}{median:>10}{lowest:>10}{highest:>10}  {unit:<7}{budget:>6}");
    line.trim_end().to_owned() + "\n"
}

/// Three digits at least, in groups of three before the point.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        below if below < 10.0 => 2,
        below if below < 100.0 => 1,
        _ => 0,
    };
    let plain = format!("{value:.digits$}");
    if digits > 0 {
        return plain;
    }
    let length = plain.len();
    let mut grouped = String::with_capacity(length + length / 3);
    for (at, digit) in plain.chars().enumerate() {
        if at > 0 && digit != '-' && (length - at) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Measure;

    #[test]
    fn numbers_are_short_and_grouped() {
        let cases = [
            (0.0, "0.00"),
            (1.234, "1.23"),
            (45.67, "45.7"),
            (123.4, "123"),
            (-1234.0, "-1,234"),
            (-123.0, "-123"),
            (699_999.6, "700,000"),
            (12_345_678.0, "12,345,678"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn columns_are_aligned_and_what_is_unknown_is_a_dash() {
        let user = Measure { name: "user CPU", unit: "ns", budget: Some("≤ 300") };
        let lost = Measure { name: "lost", unit: "", budget: None };
        let text = rows(&[
            Row { measure: user, with: "2 threads".to_owned(), samples: vec![250.0, 1300.0] },
            Row { measure: lost, with: String::new(), samples: Vec::new() },
        ]);
        let wanted = "                                       MEDIAN    LOWEST   HIGHEST         BUDGET\n\
            \x20 user CPU, 2 threads                     775       250     1,300  ns      ≤ 300\n\
            \x20 lost                                      -         -         -\n";
        assert_eq!(text, wanted);
        assert!(text.lines().all(|line| line.chars().count() <= 80));
    }
}
