//! The `tcptrace` programme: reads the command line, runs the command, maps the result to an exit
//! status.

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use log::LevelFilter;
use tcptrace::{
    cli::{self, LogArgs},
    commands,
    kernel::LIMITS_LOG,
    output::escape::printable_text,
};

/// Exit status if a command could not run, or its answer would not be complete.
const FAILED: u8 = 3;

fn main() -> ExitCode {
    let cli = match cli::parse(env::args_os()) {
        Ok(cli) => cli,
        Err(refusal) => return refusal.tell(),
    };
    start_log(&cli.log);
    match commands::run(&cli) {
        Ok(status) => status,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            _ = writeln!(io::stderr(), "tcptrace: {}", printable_text(&format!("{error:#}")));
            ExitCode::from(FAILED)
        }
    }
}

/// Notes for the user go to stderr and look like the errors. Both may name files or repeat what a
/// recording says of itself, which anybody may have chosen; what is for debugging has lines of its own.
fn start_log(args: &LogArgs) {
    env_logger::Builder::new()
        .filter_level(args.level())
        .filter_module(LIMITS_LOG, LevelFilter::Error)
        .format(|out, record| {
            if record.level() > log::Level::Info {
                return writeln!(out, "tcptrace: {}", record.args());
            }
            writeln!(out, "tcptrace: {}", printable_text(&record.args().to_string()))
        })
        .init();
}

/// Whoever read our output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
