//! What is measured, for how long.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

/// What tcptrace costs, on this machine, beside what it may cost.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
pub(crate) struct Options {
    /// The main rows, in less than two minutes.
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// A minute for each load, and a recording of 100 million events.
    #[arg(long)]
    full: bool,
    /// Only these groups of rows, like record,read.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) rows: Vec<String>,
    /// Write the figures of all rounds to this file, too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Which sources the programs were built from.
    #[arg(long, hide = true)]
    pub(crate) commit: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What this program does as a child of itself.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Opens and closes connections in a network namespace of its own.
    #[command(hide = true)]
    Load(Load),
    /// Holds connections in a network namespace of its own.
    #[command(hide = true)]
    Hold(Hold),
    /// Feeds the tracker with the events of connections that do not exist.
    #[command(hide = true)]
    Track(Track),
}

/// Connections that last.
#[derive(Args, Clone, Copy)]
pub(crate) struct Hold {
    /// Sockets: both ends of half as many connections.
    #[arg(long)]
    pub(crate) sockets: u32,
    /// Which of several processes this is; without it, the one that starts them.
    #[arg(long)]
    pub(crate) part: Option<u8>,
}

/// How the tracker is fed.
#[derive(Args, Clone, Copy)]
pub(crate) struct Track {
    /// Sockets that it follows.
    #[arg(long)]
    pub(crate) sockets: u64,
    /// Events of which the time is taken.
    #[arg(long)]
    pub(crate) events: u64,
}

/// A load.
#[derive(Args, Clone, Copy)]
pub(crate) struct Load {
    /// Threads, each of which has both ends of its connections.
    #[arg(long)]
    pub(crate) threads: u32,
    /// For how long.
    #[arg(long)]
    pub(crate) seconds: f64,
    /// Connections a second of each thread; without it as many as there can be.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
}

/// How much is measured.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Effort {
    /// How often everything is measured, or less often if that takes too long.
    pub(crate) rounds: u32,
    /// No round begins that would last longer than this from the start.
    #[serde(skip)]
    pub(crate) longest: Duration,
    /// How long a load lasts, in seconds.
    pub(crate) load_seconds: f64,
    /// How long `record` is under load, in seconds.
    pub(crate) record_seconds: f64,
    /// How long a quiet host is watched, in seconds.
    pub(crate) idle_seconds: f64,
    /// Events of the large recording.
    pub(crate) events: u64,
    /// Events of which the stages of userspace are timed.
    pub(crate) tracked_events: u64,
    /// Numbers of sockets that the tracker follows without a kernel.
    pub(crate) tracked_sockets: &'static [u64],
    /// Numbers of sockets that are held; the first is what the memory of each is counted from.
    pub(crate) sockets: &'static [u32],
    /// Only what can be measured in a short time.
    #[serde(skip)]
    pub(crate) only_main: bool,
}

impl Options {
    pub(crate) fn effort(&self) -> Effort {
        let usual = Effort {
            rounds: 5,
            longest: Duration::MAX,
            load_seconds: 3.0,
            record_seconds: 8.0,
            idle_seconds: 30.0,
            events: 10_000_000,
            tracked_events: 2_000_000,
            tracked_sockets: &[1000, 10_000, 100_000, 500_000, 1_000_000],
            sockets: &[0, 1000, 20_000, 100_000],
            only_main: false,
        };
        if self.quick {
            return Effort {
                rounds: 3,
                longest: QUICK,
                load_seconds: 1.0,
                record_seconds: 2.0,
                events: 2_000_000,
                tracked_events: 500_000,
                tracked_sockets: &[1000, 100_000],
                sockets: &[0, 20_000],
                only_main: true,
                ..usual
            };
        }
        if self.full {
            return Effort { rounds: 3, record_seconds: 60.0, events: 100_000_000, ..usual };
        }
        usual
    }
}

/// What every measurement needs.
pub(crate) struct Bench {
    /// The program that is measured.
    pub(crate) tcptrace: PathBuf,
    /// This program, which is its own load.
    pub(crate) own: PathBuf,
    /// For recordings; it is removed at the end.
    pub(crate) folder: PathBuf,
    pub(crate) effort: Effort,
}

impl Bench {
    /// The path of a file that is removed at the end, as an argument.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }
}

/// Less than the two minutes that are promised, for no round lasts exactly as long as the one before.
const QUICK: Duration = Duration::from_secs(112);

/// Longer than anything that was asked to end takes to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
