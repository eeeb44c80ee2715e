//! Options that say what counts as stuck.

use std::time::Duration;

use clap::Args;
use tcptrace_common::tcp_state::TcpState;

use super::values::{self, List};
use crate::model::findings::{detector::Options, kind::Kind, limits::Limits};

/// What counts as stuck.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What counts as stuck")]
pub struct LimitArgs {
    /// Longer than this in any state that has a limit, like 30s or 5m.
    #[arg(long = "for", value_name = "TIME", value_parser = values::limit)]
    #[arg(allow_hyphen_values = true)]
    pub longer_than: Option<Duration>,
    /// Longer than this in one state, like `CLOSE_WAIT=5m,FIN_WAIT2=2m`.
    #[arg(long, value_name = "STATE=TIME", value_parser = values::limits)]
    pub limit: Option<List<(TcpState, Duration)>>,
}

impl LimitArgs {
    /// The limits: those of single states count before the one for all.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let mut limits = self.longer_than.map(Limits::all).unwrap_or_default();
        for (state, limit) in self.limit.iter().flat_map(|list| &list.0) {
            limits.set(*state, *limit);
        }
        limits
    }
}

/// Which findings are told.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What counts as stuck")]
pub struct FindingArgs {
    /// How long is too long.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// Only these kinds of findings, like `closed_fd_leaked` (all of them: below).
    #[arg(long, value_name = "LIST", value_parser = values::kinds)]
    pub kind: Option<List<Kind>>,
    /// Only groups of at least this many connections.
    #[arg(long, value_name = "N", value_parser = values::count, default_value_t = 1)]
    #[arg(hide_default_value = true, allow_negative_numbers = true)]
    pub min_count: u64,
}

impl FindingArgs {
    /// What the detector is to look for; the filter and whose connections are not known here.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            limits: self.limits.limits(),
            kinds: self.kind.as_ref().map(|list| list.0.clone()).unwrap_or_default(),
            min_count: self.min_count,
            ..Options::default()
        }
    }
}
