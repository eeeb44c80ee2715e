//! The kernel scenario suite: real sockets on the real kernel, seen by the real tracer.
//!
//! A scenario is a row of text in [`scenarios`]: a name, the steps ([`script`]) that actor processes
//! ([`actor`]) do in a network namespace of their own, and the lines ([`expect`]) that the tracer
//! must print for that namespace. One tracer ([`tracer`]) serves all scenarios, which run side by
//! side. Adding a scenario is adding a row: write its steps, run it, and the failure shows the lines
//! that came in the notation of the row.
//!
//! With `TCPTRACE_TEST_MODE` what needs no other programs is played, in one [`mode`]: that is how `cargo
//! xtask vm` plays it on other kernels, where this binary is the first process ([`guest`]).
//!
//! With `--soak=10m` none of them is played, but the [`soak`] of `cargo xtask soak`; and beside systemd, in
//! the machine of `cargo xtask systemd`, what looks at the recorder's unit ([`systemd`]).
//!
//! The suite needs root. `cargo test -p tcptrace --test kernel -- half` runs the rows whose name
//! holds `half`.

mod actor;
mod cast;
mod check;
mod churn;
mod classic;
mod clock;
mod compare;
mod expect;
mod explain;
mod faults;
mod fentry;
mod guest;
mod hooks;
mod hostile;
mod line;
mod list;
mod memlock;
mod mode;
mod namespace;
mod nested;
mod picture;
mod privileges;
mod proc_net;
mod readers;
mod recorded;
mod recorder;
mod report;
mod rotated;
mod scenarios;
mod script;
mod self_check;
mod silent;
mod soak;
mod stage;
mod stopped;
mod stuck;
mod surroundings;
mod sys;
mod systemd;
mod tee;
mod tracer;
mod verdict;

use std::{
    env,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::Context as _;
use libtest_mimic::{Arguments, Failed, Trial};
use mode::Mode;

/// Scenarios mostly wait, so many run at once however few processors there are.
const THREADS: usize = 24;
/// On other kernels, where the processor is emulated, and retransmissions are to come in their order.
const FEWER_THREADS: usize = 8;
/// There, of what looks at all processes and sockets while it waits.
const STUCK_THREADS: usize = 2;
const LIST: &str = "list: agrees with ss in two namespaces";

fn main() -> ExitCode {
    if let Some(name) = env::var_os(actor::NAME) {
        return report(actor::main(&name.to_string_lossy()));
    }
    if guest::is_first_process() {
        guest::main();
    }
    if let Err(error) = sys::heed_signals() {
        return report(Err(error));
    }
    if let Some(duration) = soak::asked_for() {
        return report(soak::run(&duration));
    }
    if systemd::is_asked_for() {
        return report(systemd::run());
    }
    if mode::is_each() {
        return report(each());
    }
    let arguments = Arguments::from_args();
    match mode::of_run() {
        Ok(None) => everything(arguments),
        Ok(Some(mode)) => of_mode(mode, arguments),
        Err(error) => report(Err(error)),
    }
}

/// Plays what is played on other kernels, in each mode.
fn each() -> anyhow::Result<()> {
    let verdicts = env::var_os(verdict::VARIABLE).context("where do the verdicts go?")?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    mode::play_each(&arguments, verdicts.as_ref(), |suite| {
        let status = suite.status().context("cannot start the suite")?;
        status.code().context("a signal ended the suite")
    })
}

/// What is played on other kernels: all that needs nothing but the suite, tcptrace, `ip` and `ss`.
fn of_mode(mode: Mode, mut arguments: Arguments) -> ExitCode {
    if matches!(fentry::is_forbidden(), Ok(true)) {
        let nothing = verdict::absent(hooks::NAME, fentry::LEAVE);
        return libtest_mimic::run(&arguments, vec![nothing]).exit_code();
    }
    let threads = match mode {
        // Lines that name no namespace are told apart by when they come.
        Mode::Classic => 1,
        Mode::Btf | Mode::Fentry => FEWER_THREADS,
    };
    arguments.test_threads = arguments.test_threads.or(Some(threads));
    let mut trials: Vec<Trial> = hooks::trial().into_iter().chain(scenarios::trials()).collect();
    trials.push(memlock::trial());
    trials.push(verdict::noted(LIST, Vec::new(), list::run));
    let mut failed = libtest_mimic::run(&arguments, trials).has_failed();
    arguments.test_threads = Some(threads.min(STUCK_THREADS));
    failed |= libtest_mimic::run(&arguments, stuck::trials_of_mode(mode)).has_failed();
    let stopped = stuck::stop_shared();
    let mut alone = vec![churn::trial_of_mode(mode)];
    alone.extend(nested::trial_of_mode(mode));
    // All others would see the clock jump.
    alone.extend(clock::trial());
    arguments.test_threads = Some(1);
    failed |= libtest_mimic::run(&arguments, alone).has_failed();
    let stopped = stopped.and(tracer::stop_shared());
    if failed {
        report(tracer::told_at_the_end());
        return ExitCode::FAILURE;
    }
    report(stopped)
}

/// All trials, as the tests of this machine.
fn everything(mut arguments: Arguments) -> ExitCode {
    arguments.test_threads = arguments.test_threads.or(Some(THREADS));
    let mut trials = Vec::new();
    // The slowest come first, so that the others run beside them.
    trials.extend(hooks::trial());
    trials.push(memlock::trial());
    trials.extend(scenarios::trials());
    trials.extend(stuck::trials());
    trials.push(Trial::test(
        "churn: every transition of 40,000 connections",
        needing_root(|| stuck::among_many(churn::run)),
    ));
    trials.push(Trial::test(LIST, needing_root(list::run)));
    trials.extend(explain::trials());
    trials.extend(recorded::trials());
    trials.extend(readers::trials());
    trials.extend(rotated::trials());
    trials.extend(faults::trials());
    trials.extend(report::trials());
    trials.extend(surroundings::trials());
    trials.extend(privileges::trials());
    trials.extend(hostile::trials());
    trials.extend(self_check::trials());
    trials.extend(silent::trials());
    trials.extend(check::trials());
    trials.extend(tee::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    let stopped = tracer::stop_shared().and(stuck::stop_shared());
    // The first makes the kernel hide events from every tracer there is, and the others need the
    // processors to themselves, so they run when no others do, one after the other.
    let mut alone = vec![
        Trial::test(nested::NAME, needing_root(nested::run)),
        Trial::test("stopped: a tracer that stood still goes on", needing_root(stopped::run)),
    ];
    alone.extend(faults::alone());
    arguments.test_threads = Some(1);
    let alone = libtest_mimic::run(&arguments, alone);
    if conclusion.has_failed() || PLAYED_AGAIN.load(Ordering::Relaxed) > 0 {
        // What failed has said why; how the tracer ended may explain it.
        report(tracer::told_at_the_end());
    }
    let stopped = report(stopped);
    match (conclusion.has_failed(), alone.has_failed()) {
        (true, _) => conclusion.exit_code(),
        (_, true) => alone.exit_code(),
        _ => stopped,
    }
}

/// Names of the states in the kernel's order.
fn state_name(number: u8) -> &'static str {
    const NAMES: [&str; 13] = [
        "NONE",
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSE",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "CLOSING",
        "NEW_SYN_RECV",
    ];
    NAMES.get(usize::from(number)).unwrap_or(&"NONE")
}

/// Trials that may be played again in a run. The kernel may hide an event from a program, seldom and
/// at any time: an interrupt that finds it running is told by another program, but for a window of
/// some nanoseconds. What fails twice, or more trials than these, is ours.
const AGAIN: usize = 2;
static PLAYED_AGAIN: AtomicUsize = AtomicUsize::new(0);

/// A test that fails, rather than being skipped, where it cannot run.
fn needing_root(
    test: impl Fn() -> anyhow::Result<()> + Send + 'static,
) -> impl FnOnce() -> Result<(), Failed> + Send + 'static {
    move || {
        if !sys::is_root() {
            return Err(
                "this test makes network namespaces and loads eBPF programs: run it as root, \
                        by `cargo xtask test` or with sudo -E"
                    .into(),
            );
        }
        let Err(first) = test() else { return Ok(()) };
        if PLAYED_AGAIN.fetch_add(1, Ordering::Relaxed) >= AGAIN {
            return outcome(Err(first));
        }
        report(Err(first.context("failed, and is played once more")));
        outcome(test())
    }
}

fn outcome(result: anyhow::Result<()>) -> Result<(), Failed> {
    result.map_err(|error| format!("{error:#}").into())
}

#[expect(clippy::print_stderr, reason = "a test binary reports to whoever runs it")]
fn report(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
