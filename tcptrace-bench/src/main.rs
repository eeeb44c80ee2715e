//! `cargo xtask bench` becomes this program.

use std::process::ExitCode;

fn main() -> ExitCode {
    tcptrace_bench::run()
}
