//! What became of each scenario on each kernel in each mode.

use std::{collections::BTreeSet, fmt::Write as _};

use anyhow::{Context as _, Result, bail};

/// Kernels by scenarios.
#[derive(Default)]
pub(super) struct Matrix {
    /// Kernel and mode.
    columns: Vec<(String, String)>,
    cells: Vec<Cell>,
}

struct Cell {
    column: usize,
    scenario: String,
    verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    /// Every line is as the kernel did it.
    Exact,
    /// All that is told is right, and this cannot be known.
    Limited(String),
    Failed(String),
    /// The kernel is built without what the scenario is about.
    Absent(String),
}

impl Verdict {
    fn read(word: &str, detail: &str) -> Result<Self> {
        Ok(match word {
            "exact" => Self::Exact,
            "limited" => Self::Limited(detail.to_owned()),
            "failed" => Self::Failed(detail.to_owned()),
            "absent" => Self::Absent(detail.to_owned()),
            _ => bail!("{word} is no verdict"),
        })
    }

    fn show(&self) -> String {
        match self {
            Self::Exact => "exact".to_owned(),
            Self::Limited(what) => format!("right without {what}"),
            Self::Absent(what) => format!("this kernel has no {what}"),
            Self::Failed(_) => "WRONG".to_owned(),
        }
    }
}

/// Whether the verdicts are those of all modes, to the end.
pub(super) fn is_whole(verdicts: &str) -> bool {
    verdicts.ends_with("each\tend\t\t0\n")
}

impl Matrix {
    /// Adds the verdicts of a kernel: lines of mode, verdict, scenario and detail between tabs.
    pub(super) fn add(&mut self, kernel: &str, verdicts: &str) -> Result<()> {
        for line in verdicts.lines() {
            let parts: Vec<&str> = line.split('\t').collect();
            let [mode, verdict, scenario, detail] = parts[..] else {
                bail!("`{line}` is no verdict");
            };
            if verdict == "end" {
                continue;
            }
            let verdict = Verdict::read(verdict, detail)
                .with_context(|| format!("in the verdict `{line}`"))?;
            let column = self.column(kernel, mode);
            self.cells.push(Cell { column, scenario: scenario.to_owned(), verdict });
        }
        Ok(())
    }

    fn column(&mut self, kernel: &str, mode: &str) -> usize {
        let is_it = |(k, m): &(String, String)| k == kernel && m == mode;
        self.columns.iter().position(is_it).unwrap_or_else(|| {
            self.columns.push((kernel.to_owned(), mode.to_owned()));
            self.columns.len() - 1
        })
    }

    /// What was wrong, a line each.
    pub(super) fn failures(&self) -> Vec<String> {
        let failed = self.cells.iter().filter_map(|cell| match &cell.verdict {
            Verdict::Failed(why) => Some((cell, why)),
            _ => None,
        });
        failed
            .map(|(cell, why)| {
                let (kernel, mode) = &self.columns[cell.column];
                format!("{kernel}, {mode}, {}: {why}", cell.scenario)
            })
            .collect()
    }

    /// Every scenario with its verdict on each kernel; equal verdicts of kernels stand together.
    pub(super) fn by_scenario(&self) -> String {
        let mut scenarios: Vec<&str> =
            self.cells.iter().map(|cell| cell.scenario.as_str()).collect();
        scenarios.sort_unstable();
        scenarios.dedup();
        let mut text = String::new();
        for scenario in scenarios {
            _ = writeln!(text, "{scenario}");
            let mut shown: Vec<(String, Vec<&str>)> = Vec::new();
            for cell in self.cells.iter().filter(|cell| cell.scenario == scenario) {
                let (kernel, mode) = &self.columns[cell.column];
                let verdict = format!("{mode}: {}", cell.verdict.show());
                match shown.iter_mut().find(|(known, _)| *known == verdict) {
                    Some((_, kernels)) => kernels.push(kernel),
                    None => shown.push((verdict, vec![kernel])),
                }
            }
            for (verdict, kernels) in shown {
                _ = writeln!(text, "  {verdict} ({})", kernels.join(", "));
            }
        }
        text
    }

    /// A row for each kernel and mode: how many scenarios are exact, how many are right as far as they
    /// go, and in letters, which are explained below, what is missing in these.
    pub(super) fn table(&self) -> String {
        let mut missing: Vec<&str> = self.cells.iter().flat_map(Cell::missing).collect();
        missing.sort_unstable();
        missing.dedup();
        let letter = |what: &str| {
            let place = missing.iter().position(|known| *known == what);
            place.and_then(|place| ('a'..='z').nth(place)).unwrap_or('?')
        };
        let mut text = row("kernel", "by", ["exact", "limited", "absent", "wrong"], "without");
        let mut before = "";
        for (column, (kernel, mode)) in self.columns.iter().enumerate() {
            let mut counts = [0_usize; 4];
            let mut letters = BTreeSet::new();
            for cell in self.cells.iter().filter(|cell| cell.column == column) {
                counts[match &cell.verdict {
                    Verdict::Exact => 0,
                    Verdict::Limited(_) => 1,
                    Verdict::Absent(_) => 2,
                    Verdict::Failed(_) => 3,
                }] += 1;
                letters.extend(cell.missing().map(letter));
            }
            let letters: String = letters.into_iter().collect();
            let counts = counts.map(|count| count.to_string());
            let name = if kernel == before { "" } else { kernel };
            text += &row(name, mode, counts.each_ref().map(String::as_str), &letters);
            before = kernel;
        }
        if !missing.is_empty() {
            text.push('\n');
        }
        for what in &missing {
            _ = writeln!(text, "{}  {what}", letter(what));
        }
        text
    }
}

impl Cell {
    /// What could not be told, or is not there.
    fn missing(&self) -> impl Iterator<Item = &str> {
        let (limits, absent) = match &self.verdict {
            Verdict::Limited(what) => (Some(what.split(", ")), None),
            Verdict::Absent(what) => (None, Some(what.as_str())),
            Verdict::Exact | Verdict::Failed(_) => (None, None),
        };
        limits.into_iter().flatten().chain(absent)
    }
}

/// A line of the table, which fits into 80 columns.
fn row(
    kernel: &str,
    mode: &str,
    [exact, limited, absent, wrong]: [&str; 4],
    without: &str,
) -> String {
    let line = format!(
        "{kernel:<27} {mode:<7}  {exact:>5}  {limited:>7}  {absent:>6}  {wrong:>5}  {without}"
    );
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERDICTS: &str = "btf\texact\tclose\t\nbtf\tfailed\treset\tC is not there\n\
        btf\tend\t\t101\nclassic\tlimited\tclose\towner, reason\nclassic\tend\t\t0\n";

    fn matrix() -> Matrix {
        let mut matrix = Matrix::default();
        matrix.add("6.1", VERDICTS).unwrap();
        matrix.add("6.12", "btf\texact\tclose\t\nbtf\texact\treset\t\n").unwrap();
        matrix
    }

    #[test]
    fn each_kernel_and_mode_has_its_row() {
        assert_eq!(
            matrix().table(),
            "\
kernel                      by       exact  limited  absent  wrong  without
6.1                         btf          1        0       0      1
                            classic      0        1       0      0  ab
6.12                        btf          2        0       0      0

a  owner
b  reason
"
        );
    }

    #[test]
    fn equal_verdicts_stand_together() {
        let text = matrix().by_scenario();
        assert!(
            text.contains("close\n  btf: exact (6.1, 6.12)\n  classic: right without owner"),
            "{text}"
        );
        assert!(text.contains("reset\n  btf: WRONG (6.1)\n  btf: exact (6.12)\n"), "{text}");
    }

    #[test]
    fn what_a_kernel_does_not_have_is_neither_right_nor_wrong() {
        let mut matrix = Matrix::default();
        matrix.add("5.10", "btf\tabsent\tmany paths\tMPTCP\n").unwrap();
        let row =
            "5.10                        btf          0        0       1      0  a\n\na  MPTCP\n";
        assert!(matrix.table().ends_with(row), "{}", matrix.table());
        assert!(matrix.by_scenario().contains("this kernel has no MPTCP (5.10)"));
        assert!(matrix.failures().is_empty());
    }

    #[test]
    fn what_was_wrong_is_told_with_its_place() {
        assert_eq!(matrix().failures(), ["6.1, btf, reset: C is not there"]);
    }

    #[test]
    fn verdicts_without_their_end_are_not_whole() {
        assert!(!is_whole("btf\texact\tclose\t\nclassic\tend\t\t0\n"));
        assert!(is_whole("classic\tend\t\t101\neach\tend\t\t0\n"));
    }

    #[test]
    fn what_is_no_verdict_is_not_passed_over() {
        for line in ["btf\tperfect\tclose\t", "kernel panic", "btf\texact"] {
            assert!(Matrix::default().add("6.1", line).is_err(), "{line}");
        }
    }
}
