//! Arguments of `replay`.

use std::path::PathBuf;

use clap::Args;

use super::{filter_args::FilterArgs, output_args::LinesArgs, values};
use crate::replay::Speed;

/// Arguments of `replay`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
It can be paused with Ctrl-Z and `fg`, and goes on from where it was.

Examples:
  tcptrace replay -i incident.arrows              as it happened
  tcptrace replay -i incident.arrows --speed 10   ten times as fast
  tcptrace replay -i web/ -T -L 443               the files of a rotation, one port")]
pub struct ReplayArgs {
    /// The recording; a folder of them, or - for standard input. May be given several times, for the
    /// files of one recording in their order.
    #[arg(short, long, value_name = "FILE", required = true)]
    pub input: Vec<PathBuf>,
    /// How many times as fast as it happened, like 10 or 0.5; max for at once.
    #[arg(long, value_name = "TIMES", value_parser = values::speed, default_value = "1")]
    #[arg(hide_default_value = true, allow_hyphen_values = true)]
    pub speed: Speed,
    /// Which connections.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How they read.
    #[command(flatten)]
    pub lines: LinesArgs,
    /// Print what the tracepoint says, and nothing that is concluded from it.
    #[arg(long)]
    pub raw: bool,
}
