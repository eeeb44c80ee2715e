//! Any bytes as a command line, an argument a line: a mistake is told in one line without control
//! characters, and a filter written out as options is the same filter.
#![no_main]

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use libfuzzer_sys::fuzz_target;
use tcptrace::cli::{Command, filter_args, parse, usage::Refusal};

fuzz_target!(|bytes: &[u8]| {
    let arguments = bytes.split(|&byte| matches!(byte, b'\n' | b'\0'));
    let arguments = arguments.map(|argument| OsString::from_vec(argument.to_vec()));
    let cli = match parse([OsString::from("tcptrace")].into_iter().chain(arguments)) {
        Ok(cli) => cli,
        Err(Refusal::Answer(_)) => return,
        Err(Refusal::Mistake(line)) => {
            assert!(!line.is_empty() && !line.contains(char::is_control), "{line:?}");
            return;
        }
    };
    let filter = match &cli.command {
        Command::Watch(args) => args.filter.filter(None),
        Command::Lifetimes(args) => args.filter.filter(None),
        Command::List(args) => args.filter.filter(None),
        Command::Stuck(args) => args.filter.filter(None),
        _ => return,
    };
    if filter.comm.is_some_and(|comm| str::from_utf8(comm.as_bytes()).is_err()) {
        // Cut within a character, which no argument can be.
        return;
    }
    let options = filter_args::options(&filter);
    let options = options.iter().map(|(name, value)| match name.as_str() {
        "ipv4" | "ipv6" => format!("--{name}"),
        _ => format!("--{name}={value}"),
    });
    let again = ["tcptrace".to_owned(), "watch".to_owned()].into_iter().chain(options);
    let Command::Watch(again) = parse(again.map(OsString::from)).expect("valid").command else {
        unreachable!("another command");
    };
    assert_eq!(again.filter.filter(None), filter);
});
