//! Arguments of `record`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{SpanArgs, filter_args::FilterArgs, limit_args::LimitArgs, usage::Refusal, values};
use crate::recording::{Compression, Rotate};

/// Arguments of `record`.
#[derive(Args, Clone, Debug)]
#[command(after_help = RECORD_HELP)]
pub struct RecordArgs {
    /// The file to write, or - for standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Overwrite a file that exists.
    #[arg(long)]
    pub force: bool,
    /// How it is compressed: zstd (default), lz4 or none.
    #[arg(long, value_enum, value_name = "METHOD", default_value_t = Method::Zstd)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub compress: Method,
    /// Have each batch on the disk before the next, so that a loss of power costs no more than a kill.
    #[arg(long)]
    pub sync: bool,
    /// Begin a new file when one has this size or time, like 100MB, 1h or both: 100MB,1h. FILE is the
    /// name they share.
    #[arg(long, value_name = "LIMIT", value_parser = values::rotate, allow_hyphen_values = true)]
    pub rotate: Option<Rotate>,
    /// Of the files of this run keep only the newest N.
    #[arg(long, value_name = "N", value_parser = values::count, requires = "rotate")]
    #[arg(allow_negative_numbers = true)]
    pub keep: Option<u64>,
    /// Print what `watch` prints at the same time, as a table.
    #[arg(long)]
    pub print: bool,
    /// What is stuck is looked at when it passes these limits.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Which connections.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How long.
    #[command(flatten)]
    pub span: SpanArgs,
}

/// Names of compressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Small and fast.
    Zstd,
    /// Faster, and larger.
    Lz4,
    /// Not at all.
    None,
}

impl From<Method> for Compression {
    fn from(method: Method) -> Self {
        match method {
            Method::Zstd => Self::Zstd,
            Method::Lz4 => Self::Lz4,
            Method::None => Self::None,
        }
    }
}

const RECORD_HELP: &str = "\
A recording is an Apache Arrow stream (.arrows), which pyarrow, polars and others
read too. It is whole up to the last second, however it ends.

With --rotate the files are called after FILE, the time at which each was begun
(UTC) and its number: web-20261121T101500Z-0001.arrows, and so on. Each begins
with a look at all sockets and can be read alone; several, or their folder, are
read as one recording (-i). No file holds less than a second. SIGHUP begins the
next file, also without --rotate: then the first is FILE itself.

Examples:
  tcptrace record -o incident.arrows --duration 10m
  tcptrace record -o web.arrows -L 443 --print
  tcptrace record -o /var/log/tcp/web.arrows --rotate 100MB,1h --keep 48
  tcptrace stuck -i incident.arrows     # later, anywhere, without root

Exit status: 0 done (also after SIGINT or SIGTERM), 2 wrong usage, 3 could not run
or not write on; what was written stays readable.";

impl RecordArgs {
    /// Refuses what contradicts itself.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.print && self.output.as_os_str() == "-" {
            return Err(Refusal::usage(
                "--print and --output - both write to stdout: name a file".to_owned(),
            ));
        }
        if self.rotate.is_some() && self.output.as_os_str() == "-" {
            return Err(Refusal::usage(
                "--rotate needs files, and --output - is standard output: name a file".to_owned(),
            ));
        }
        Ok(())
    }
}
