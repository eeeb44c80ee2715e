//! The command line: what can be asked for, and one clear line for what cannot.

pub mod explain_args;
pub mod export_args;
pub mod filter_args;
pub mod input_args;
pub mod limit_args;
pub mod output_args;
pub mod record_args;
pub mod replay_args;
pub mod report_args;
pub mod usage;
pub mod values;

use std::{ffi::OsString, time::Duration};

use clap::{Args, Parser, Subcommand};
use log::LevelFilter;

use explain_args::ExplainArgs;
use export_args::ExportArgs;
use filter_args::FilterArgs;
use input_args::InputArgs;
use limit_args::FindingArgs;
use output_args::{LinesArgs, OutputArgs, without_bcc};
use record_args::RecordArgs;
use replay_args::ReplayArgs;
use report_args::ReportArgs;
use usage::Refusal;

/// Follows every TCP connection of this Linux host, live and through every state (it is not the
/// old analyser of packet captures of the same name).
#[derive(Clone, Debug, Parser)]
#[command(name = "tcptrace", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much to say on stderr.
    #[command(flatten)]
    pub log: LogArgs,
}

const EXAMPLES: &str = "\
Examples:
  tcptrace watch                    every transition, live
  tcptrace watch -L 443 --json      those of local port 443, as JSON
  tcptrace lifetimes -p 812         finished connections of process 812
  tcptrace list --state close-wait  who holds sockets that nobody closes
  tcptrace stuck --once             what is stuck now, who holds it, and what helps
  tcptrace report -i web.arrows     what a recording comes to
  tcptrace explain FIN_WAIT2        what this state means, and what to do
  tcptrace check -- ./test.sh       run it, fail if it leaves stuck connections
  tcptrace doctor                   what this machine lacks for tracing

Exit status: 0 done, 1 stuck or check found something, 2 wrong usage,
3 could not run or the answer would not be complete.
If NO_COLOR is set in the environment, there are no colours unless --color asks for them.";

const STUCK_HELP: &str = "\
Without --once it goes on: a finding is told when a connection passes the
limit of its state, again each time that it has become twice as old, and when
it is over.

Limits, and why:
  SYN_SENT, SYN_RECV               10s   several SYNs without an answer
  CLOSE_WAIT, FIN_WAIT2, CLOSE     60s   a program that will close has by then
  FIN_WAIT1, CLOSING, LAST_ACK    110s   the kernel gives orphans up after 107 s
  TIME_WAIT                        -     it counts by the local ports it uses up
                                         for one destination: 75 %, or 25 % if
                                         they run out at the present rate

Kinds:
  close_wait_not_closed  close_wait_not_accepted  fin_wait2_half_closed
  fin_wait2_orphan       fin_wait1_unacked        fin_wait1_zero_window
  last_ack_unacked       closing_unacked          syn_sent_unanswered
  syn_recv_unacked       closed_fd_leaked         time_wait_pressure

Examples:
  tcptrace stuck --once                           what is stuck now
  tcptrace stuck --once --for 5s --state CLOSE_WAIT --each
  tcptrace stuck --limit CLOSE_WAIT=5m,FIN_WAIT2=2m --min-count 10
  tcptrace stuck -p 812 --json --duration 1h      for a script or a dashboard

Exit status: 0 nothing found, or ended by SIGINT or SIGTERM; 1 something found;
2 wrong usage; 3 could not run, or nothing found where not all could be\nlooked at.";

const CHECK_HELP: &str = "\
What counts are connections that the command, or a process that it began,
opened, accepted or holds: those that pass a limit while it runs (see
`tcptrace stuck --help`), and those that --settle after its end are still in a
state that should end, and have been for at least half of that time. The report
follows what the command prints. What it leaves running is ended after that.

Examples:
  tcptrace check -- ./test.sh
  tcptrace check --settle 5s --for 10s -- cargo test
  tcptrace check --json -- ./server-test > findings.json

Exit status: that of the command, if it failed (128 and the signal's number, if
one ended it); else 0 nothing found; 1 something found; 2 wrong usage; 3 the
command could not be started, or not everything could be looked at.
Signals are passed on to the command.";

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Live transitions, one line each.
    Watch(WatchArgs),
    /// One line per finished connection: time per state, bytes, retransmits, how it ended.
    Lifetimes(LifetimesArgs),
    /// Every TCP socket now: state, age, owner, in all network namespaces.
    List(ListArgs),
    /// Connections too long in a state: who holds them, since when, why, and what helps.
    Stuck(StuckArgs),
    /// Runs a command, then fails if it left stuck connections behind.
    Check(CheckArgs),
    /// Events to a file, to be asked about later.
    Record(RecordArgs),
    /// A recording at its own pace, as `watch` showed it or would have.
    Replay(ReplayArgs),
    /// A recording, or some time of tracing, summed up: what was stuck, how long states lasted, who
    /// did most.
    Report(ReportArgs),
    /// A recording as Parquet, CSV or JSON, for other tools.
    Export(ExportArgs),
    /// The state diagram, the states one by one, and what the kernel's settings really do.
    Explain(ExplainArgs),
    /// What this machine allows, with the fix for what is missing.
    Doctor(DoctorArgs),
}

/// Arguments of `watch`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  tcptrace watch -T -D 5432,6432            connections to these remote ports, with the time
  tcptrace watch --state CLOSE_WAIT         connections that enter or leave CLOSE_WAIT
  tcptrace watch --addr 10.0.0.0/8 --json   one JSON object per transition
  tcptrace watch --format bcc -s            what bcc's tcpstates -s prints")]
pub struct WatchArgs {
    /// Which connections.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How they read.
    #[command(flatten)]
    pub lines: LinesArgs,
    /// Where from.
    #[command(flatten)]
    pub input: InputArgs,
    /// How long.
    #[command(flatten)]
    pub span: SpanArgs,
    /// Print what the tracepoint says, and nothing that is concluded from it.
    #[arg(long)]
    pub raw: bool,
}

/// Arguments of `lifetimes`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  tcptrace lifetimes -w                          with the time in each state
  tcptrace lifetimes --comm curl --duration 5m   what curl did in five minutes
  tcptrace lifetimes -s > connections.csv        all there is to know, as CSV
  tcptrace lifetimes --format bcc                what bcc's tcplife prints")]
pub struct LifetimesArgs {
    /// Which connections.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How they read.
    #[command(flatten)]
    pub lines: LinesArgs,
    /// Where from.
    #[command(flatten)]
    pub input: InputArgs,
    /// How long.
    #[command(flatten)]
    pub span: SpanArgs,
}

/// Arguments of `list`.
#[derive(Args, Clone, Debug)]
#[command(mut_args(without_bcc))]
#[command(after_help = "\
Examples:
  tcptrace list --state close-wait,fin-wait-2   sockets that wait for somebody
  tcptrace list -L 443 -w                       local port 443, with namespace and timer
  tcptrace list --netns self --json             this network namespace, as JSON")]
pub struct ListArgs {
    /// Which sockets.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How they read.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Arguments of `stuck`.
#[derive(Args, Clone, Debug)]
#[command(mut_args(without_bcc))]
#[command(after_help = STUCK_HELP)]
pub struct StuckArgs {
    /// Look at what there is now, print it, and end.
    #[arg(long, conflicts_with_all = ["duration", "input"])]
    pub once: bool,
    /// Show every connection of a group, not three examples (table).
    #[arg(long)]
    pub each: bool,
    /// What counts.
    #[command(flatten)]
    pub findings: FindingArgs,
    /// Which connections.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How they read.
    #[command(flatten)]
    pub lines: LinesArgs,
    /// Where from.
    #[command(flatten)]
    pub input: InputArgs,
    /// How long.
    #[command(flatten)]
    pub span: SpanArgs,
}

/// Arguments of `check`.
#[derive(Args, Clone, Debug)]
#[command(mut_args(without_bcc))]
#[command(after_help = CHECK_HELP)]
pub struct CheckArgs {
    /// How long what the command leaves behind may take to come to its end.
    #[arg(long, value_name = "TIME", value_parser = values::settle, default_value = "2s")]
    #[arg(allow_hyphen_values = true)]
    pub settle: Duration,
    /// Show every connection of a group, not three examples (table).
    #[arg(long)]
    pub each: bool,
    /// What counts.
    #[command(flatten)]
    pub findings: FindingArgs,
    /// How they read.
    #[command(flatten)]
    pub output: OutputArgs,
    /// The command and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Arguments of `doctor`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  tcptrace doctor
  tcptrace doctor --json")]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// How long to trace.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tracing")]
pub struct SpanArgs {
    /// Stop after this time, like 30s, 5m or 2h.
    // A leading hyphen is taken as a value, so that the message is about the time.
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    pub duration: Option<Duration>,
}

/// How much to say on stderr.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// Say more on stderr (-vv: much more).
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say less on stderr: errors only.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

impl LogArgs {
    /// The least severe messages to show.
    #[must_use]
    pub const fn level(&self) -> LevelFilter {
        match self.verbose {
            _ if self.quiet => LevelFilter::Error,
            0 => LevelFilter::Warn,
            1 => LevelFilter::Info,
            2 => LevelFilter::Debug,
            _ => LevelFilter::Trace,
        }
    }
}

/// Reads a command line, the programme's name first.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Refusal> {
    let args: Vec<OsString> = args.into_iter().collect();
    if args.len() <= 1 {
        return Err(Refusal::help());
    }
    let cli = Cli::try_parse_from(args).map_err(Refusal::from)?;
    match &cli.command {
        Command::Watch(args) => args.lines.output.check()?,
        Command::Lifetimes(args) => args.lines.output.check()?,
        Command::List(args) => args.output.check()?,
        Command::Stuck(args) => args.lines.output.check()?,
        Command::Check(args) => args.output.check()?,
        Command::Explain(args) => args.check()?,
        Command::Record(args) => args.check()?,
        Command::Replay(args) => args.lines.output.check()?,
        Command::Report(args) => args.check()?,
        Command::Export(args) => args.check()?,
        Command::Doctor(_) => {}
    }
    Ok(cli)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{Cli, Command, LevelFilter, parse};

    fn parsed(line: &str) -> Cli {
        let args = line.split(' ').map(Into::into);
        parse(args).unwrap_or_else(|refusal| unreachable!("{line}: {refusal:?}"))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_options_of_every_command_are_understood() {
        let line = "tcptrace watch -4 -L 80,443 -D 5432 -p 1,2 --comm nginx --addr 10.0.0.0/8 \
            --state estab,fin-wait-2 --netns self --duration 30s --format bcc -s -T -t -w \
            --color never --raw -v";
        let Command::Watch(watch) = parsed(line).command else {
            unreachable!("{line}");
        };
        assert!(watch.raw && watch.lines.time && watch.lines.timestamp);
        assert_eq!(watch.span.duration, Some(std::time::Duration::from_secs(30)));
        assert!(matches!(parsed("tcptrace lifetimes -w --json").command, Command::Lifetimes(_)));
        assert!(matches!(parsed("tcptrace list -6 -s").command, Command::List(_)));
        assert!(matches!(parsed("tcptrace doctor --json").command, Command::Doctor(_)));
    }

    #[test]
    fn verbosity_goes_both_ways() {
        for (line, level) in [
            ("tcptrace doctor", LevelFilter::Warn),
            ("tcptrace -v doctor", LevelFilter::Info),
            ("tcptrace doctor -vv", LevelFilter::Debug),
            ("tcptrace doctor -vvvvv", LevelFilter::Trace),
            ("tcptrace doctor -q", LevelFilter::Error),
            ("tcptrace explain -v open", LevelFilter::Info),
        ] {
            assert_eq!(parsed(line).log.level(), level, "{line}");
        }
    }
}
