//! Options that say where events come from.

use std::path::PathBuf;

use clap::Args;

/// Where events come from.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tracing")]
pub struct InputArgs {
    /// Read this recording instead of tracing; a folder of them, or - for standard input. May be
    /// given several times, for the files of one recording in their order. Needs no root.
    #[arg(short, long, value_name = "FILE", conflicts_with = "duration")]
    pub input: Vec<PathBuf>,
}
