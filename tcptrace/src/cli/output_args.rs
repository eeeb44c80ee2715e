//! Options that say how the output reads.

use std::env;

use clap::{
    Arg, Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::usage::Refusal;
use crate::output::style::{Format, Style};

/// How the output reads.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// How it reads: table (default), csv, json, or bcc for what bcc's tool prints.
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<FormatName>,
    /// The same as --format json: one object per line.
    #[arg(long, conflicts_with_all = ["format", "csv"])]
    pub json: bool,
    /// The same as --format csv; with --format bcc, bcc's CSV.
    #[arg(short = 's', long)]
    pub csv: bool,
    /// Room for IPv6 addresses and more columns (table, bcc).
    #[arg(short, long)]
    pub wide: bool,
    /// Colours in the table: auto (default), always or never.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorWhen::Auto)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub color: ColorWhen,
}

/// How lines that come one by one read.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct LinesArgs {
    /// What all output has.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Begin lines with the time of the event, HH:MM:SS (table, bcc).
    #[arg(short = 'T', long)]
    pub time: bool,
    /// Begin lines with the seconds since the start of the trace (table, bcc).
    #[arg(short = 't', long)]
    pub timestamp: bool,
}

/// Names of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// Made for reading (default).
    Table,
    /// What bcc's tool prints, column for column.
    Bcc,
    /// Comma-separated values with a header.
    Csv,
    /// One object per line.
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl OutputArgs {
    /// The style; `terminal` is whether stdout is one.
    #[must_use]
    pub fn style(&self, terminal: bool) -> Style {
        Style {
            wide: self.wide,
            color: self.color.wants_color(terminal),
            ..Style::new(self.format())
        }
    }

    /// Refuses what contradicts itself.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self.format {
            Some(format @ (FormatName::Table | FormatName::Json)) if self.csv => {
                let name = format.to_possible_value();
                let name = name.as_ref().map_or("table", |value| value.get_name());
                Err(Refusal::usage(format!(
                    "--csv and --format {name} exclude each other: give only one"
                )))
            }
            _ => Ok(()),
        }
    }

    fn format(&self) -> Format {
        match self.format {
            Some(FormatName::Bcc) if self.csv => Format::BccCsv,
            Some(FormatName::Bcc) => Format::Bcc,
            Some(FormatName::Csv) => Format::Csv,
            _ if self.csv => Format::Csv,
            Some(FormatName::Json) => Format::Json,
            _ if self.json => Format::Json,
            Some(FormatName::Table) | None => Format::Table,
        }
    }
}

impl LinesArgs {
    /// The style; `terminal` is whether stdout is one.
    #[must_use]
    pub fn style(&self, terminal: bool) -> Style {
        Style { time: self.time, seconds: self.timestamp, ..self.output.style(terminal) }
    }
}

impl ColorWhen {
    /// Whether to use colours; `terminal` is whether stdout is one.
    #[must_use]
    pub fn wants_color(self, terminal: bool) -> bool {
        self.is_on(terminal, |name| env::var_os(name).is_some_and(|v| !v.is_empty()))
    }

    fn is_on(self, terminal: bool, is_set: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Auto => terminal && !is_set("NO_COLOR"),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Takes bcc out of an option of a view that bcc has no tool for.
pub(super) fn without_bcc(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "format" => {
            let formats = FormatName::value_variants().iter();
            let formats = formats.filter(|format| **format != FormatName::Bcc);
            let names = PossibleValuesParser::new(formats.filter_map(ValueEnum::to_possible_value));
            arg.value_parser(names.try_map(|name| FormatName::from_str(&name, false)))
                .help("How it reads: table (default), csv or json")
        }
        "csv" => arg.help("The same as --format csv"),
        "wide" => arg.help("More columns (table)"),
        "time" => arg.help("Begin lines with the time of the event, HH:MM:SS (table)"),
        "timestamp" => arg.help("Begin lines with the seconds since the start (table)"),
        _ => arg,
    }
}

#[cfg(test)]
mod tests {
    use super::{ColorWhen, Format, FormatName, OutputArgs};

    fn format(format: Option<FormatName>, csv: bool, json: bool) -> Format {
        let args = OutputArgs { format, json, csv, wide: false, color: ColorWhen::Never };
        args.style(false).format
    }

    #[test]
    fn short_names_and_long_ones_mean_the_same() {
        assert_eq!(format(None, false, false), Format::Table);
        assert_eq!(format(None, true, false), Format::Csv);
        assert_eq!(format(None, false, true), Format::Json);
        assert_eq!(format(Some(FormatName::Csv), true, false), Format::Csv);
        assert_eq!(format(Some(FormatName::Json), false, false), Format::Json);
        assert_eq!(format(Some(FormatName::Bcc), false, false), Format::Bcc);
        assert_eq!(format(Some(FormatName::Bcc), true, false), Format::BccCsv);
    }

    #[test]
    fn colours_need_a_terminal_that_nobody_spoke_against() {
        let nothing = |_: &str| false;
        let no_color = |name: &str| name == "NO_COLOR";
        assert!(ColorWhen::Auto.is_on(true, nothing));
        assert!(!ColorWhen::Auto.is_on(false, nothing));
        assert!(!ColorWhen::Auto.is_on(true, no_color));
        assert!(ColorWhen::Always.is_on(false, no_color));
        assert!(!ColorWhen::Never.is_on(true, nothing));
    }
}
