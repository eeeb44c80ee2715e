//! Arguments of `report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{
    SpanArgs, filter_args::FilterArgs, input_args::InputArgs, limit_args::FindingArgs,
    output_args::ColorWhen, usage::Refusal,
};

/// Arguments of `report`.
#[derive(Args, Clone, Debug)]
#[command(after_help = REPORT_HELP)]
pub struct ReportArgs {
    /// Where from.
    #[command(flatten)]
    pub input: InputArgs,
    /// How long.
    #[command(flatten)]
    pub span: SpanArgs,
    /// How it reads: table (default) or json.
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    #[arg(help_heading = "Output")]
    pub format: Option<ReportFormat>,
    /// The same as --format json: one object.
    #[arg(long, conflicts_with = "format", help_heading = "Output")]
    pub json: bool,
    /// Also write it as a page for a browser, in one file; - instead of anything else to stdout.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// Overwrite a page that exists.
    #[arg(long, requires = "html", help_heading = "Output")]
    pub force: bool,
    /// Colours in the table: auto (default), always or never.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorWhen::Auto)]
    #[arg(hide_possible_values = true, hide_default_value = true, help_heading = "Output")]
    pub color: ColorWhen,
    /// What counts as stuck.
    #[command(flatten)]
    pub findings: FindingArgs,
    /// Which connections.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Names of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Made for reading (default).
    Table,
    /// One object.
    Json,
}

const REPORT_HELP: &str = "\
It begins with what is stuck: how many, since when, how fast they became more,
and who holds them. Then come the times in each state, how connections ended,
who had most of them, and each finding with its cause and what helps.

Examples:
  tcptrace report -i incident.arrows                    one recording, without root
  tcptrace report -i web-1/ --for 30s -L 443            a folder of them, one port
  tcptrace report --duration 10s --json                 live tracing, as JSON
  tcptrace report -i incident.arrows --html report.html a page to send around

Exit status: 0 done, whatever was found; 2 wrong usage; 3 could not run, or not
everything could be looked at.";

impl ReportArgs {
    /// Whether JSON was asked for.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json || self.format == Some(ReportFormat::Json)
    }

    /// Refuses what means nothing or contradicts itself.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.input.input.is_empty() && self.span.duration.is_none() {
            return Err(Refusal::usage(
                "nothing to report on: name a recording, like --input incident.arrows, or trace with \
                 --duration 10s"
                    .to_owned(),
            ));
        }
        if self.is_json() && self.html.as_ref().is_some_and(|html| html.as_os_str() == "-") {
            return Err(Refusal::usage(
                "--json and --html - both write to stdout: name a file for the page".to_owned(),
            ));
        }
        Ok(())
    }
}
