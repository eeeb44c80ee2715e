//! Arguments of `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{filter_args::FilterArgs, usage::Refusal};
use crate::export;

/// Arguments of `export`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXPORT_HELP)]
pub struct ExportArgs {
    /// Read this recording; a folder of them, or - for standard input. May be given several times, for
    /// the files of one recording in their order.
    #[arg(short, long, value_name = "FILE", required = true)]
    pub input: Vec<PathBuf>,
    /// As what: parquet, csv or ndjson.
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub to: ExportFormat,
    /// The file to write, or - for standard output; with --partition, the folder.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// What a row is: one of the transitions (default) or one of the finished connections.
    #[arg(long, value_enum, value_name = "TABLE", default_value_t = TableName::Transitions)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub table: TableName,
    /// Put the rows into folders by host or hour, or both: host,hour (parquet).
    #[arg(long, value_enum, value_name = "LIST", value_delimiter = ',')]
    #[arg(hide_possible_values = true)]
    pub partition: Vec<PartitionName>,
    /// Overwrite files that exist.
    #[arg(long)]
    pub force: bool,
    /// Which connections.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Names of formats to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A table with types, compressed.
    Parquet,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object per line.
    Ndjson,
}

/// Names of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableName {
    /// One row per transition.
    Transitions,
    /// One row per finished connection.
    Connections,
}

impl From<TableName> for export::Table {
    fn from(name: TableName) -> Self {
        match name {
            TableName::Transitions => Self::Transitions,
            TableName::Connections => Self::Connections,
        }
    }
}

/// Names of what rows are put into folders by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PartitionName {
    /// The host.
    Host,
    /// The hour, in UTC.
    Hour,
}

impl From<PartitionName> for export::Partition {
    fn from(name: PartitionName) -> Self {
        match name {
            PartitionName::Host => Self::Host,
            PartitionName::Hour => Self::Hour,
        }
    }
}

const EXPORT_HELP: &str = "\
csv and ndjson are what `watch` and `lifetimes` print with --csv and --json.
A Parquet table has the fields of the JSON under the same names and with types,
and the name of the host. --partition makes folders like
OUT/host=web1/hour=2026-11-21T10, the hour being that of the transition or of
the connection's end, in UTC. Many exports can share OUT: a file is named after
table and recording, and the same one is not written twice without --force.

A file gets its name when it is whole: until then it is a hidden .partial beside
that, which goes away if the export fails or is interrupted.

Examples:
  tcptrace export -i incident.arrows --to parquet -o incident.parquet
  tcptrace export -i web1.arrows --to parquet --partition host,hour -o fleet
  tcptrace export -i r.arrows --to csv --table connections -o connections.csv
  tcptrace export -i r.arrows --to ndjson -L 443 -o - | jq .reason

Exit status: 0 done, 2 wrong usage, 3 could not be read or not be written.";

impl ExportArgs {
    /// Refuses what contradicts itself.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.partition.is_empty() {
            return Ok(());
        }
        let problem = if self.to != ExportFormat::Parquet {
            "--partition is for --to parquet: leave one of the two out"
        } else if self.output.as_os_str() == "-" {
            "--partition makes folders, and --output - is none: name a folder"
        } else if self.partition.iter().enumerate().any(|(i, by)| self.partition[..i].contains(by))
        {
            "--partition names the same twice: use host, hour or host,hour"
        } else {
            return Ok(());
        };
        Err(Refusal::usage(problem.to_owned()))
    }
}
