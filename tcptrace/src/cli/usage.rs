//! Command lines that do not run a command: a request for help, or a mistake, which is answered by
//! one line that ends in the fix.

use std::{
    borrow::Borrow,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{
    CommandFactory as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::Cli;

/// Exit status for wrong usage.
const WRONG_USAGE: u8 = 2;

/// What clap calls the command that `check` runs.
const COMMAND: &str = "<COMMAND>";
/// The option that says where to write to, as clap names it.
const OUTPUT: &str = "--output";
/// The option that says which recording to read.
const INPUT: &str = "--input";
/// The option that says as what.
const TO: &str = "--to";

/// Why no command is run.
#[derive(Debug)]
pub enum Refusal {
    /// Help or the version was asked for, which is the text.
    Answer(clap::builder::StyledStr),
    /// A mistake, in one line.
    Mistake(String),
}

impl Refusal {
    /// The help of the programme.
    pub(super) fn help() -> Self {
        Self::Answer(Cli::command().render_help())
    }

    /// A mistake that clap does not know.
    pub(super) fn usage(message: String) -> Self {
        Self::Mistake(message)
    }

    /// Says it: what was asked for on stdout, a mistake on stderr.
    #[must_use]
    pub fn tell(&self) -> ExitCode {
        // Nobody is left to be told that the other end of the pipe is closed.
        match self {
            Self::Answer(text) => {
                _ = write!(io::stdout(), "{text}");
                ExitCode::SUCCESS
            }
            Self::Mistake(message) => {
                _ = writeln!(io::stderr(), "tcptrace: {message}");
                ExitCode::from(WRONG_USAGE)
            }
        }
    }
}

impl From<clap::Error> for Refusal {
    fn from(error: clap::Error) -> Self {
        match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Self::Answer(error.render()),
            _ => Self::Mistake(one_line(&mistake(&error))),
        }
    }
}

fn mistake(error: &clap::Error) -> String {
    let option = option_name(&text(error, ContextKind::InvalidArg));
    let value = text(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::ValueValidation => {
            let message = std::error::Error::source(error).map(ToString::to_string);
            let message = message.unwrap_or(value);
            // What is given without an option has no name that the user wrote.
            if option.starts_with('-') { format!("{option}: {message}") } else { message }
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("{option} needs a value: see --help")
        }
        ErrorKind::InvalidValue => {
            let possible = either(&texts(error, ContextKind::ValidValue));
            format!("{option}: {value} is not possible: use {possible}")
        }
        ErrorKind::UnknownArgument => {
            let suggested = option_name(&text(error, ContextKind::SuggestedArg));
            let fix = did_you_mean(&suggested);
            // Where a command is run, this is probably the beginning of it.
            let after_dashes = takes_command(error);
            if option.starts_with('-') {
                format!("no option {option}: {fix}")
            } else if after_dashes {
                format!("{option} is no option: write -- before the command to run")
            } else {
                format!("{option} is one argument too many: {fix}")
            }
        }
        ErrorKind::InvalidSubcommand => {
            let command = text(error, ContextKind::InvalidSubcommand);
            let suggested = texts(error, ContextKind::SuggestedSubcommand);
            match suggested.first() {
                Some(suggested) => format!("no command {command}: did you mean {suggested}?"),
                None => format!("no command {command}: use {}", either(&commands())),
            }
        }
        ErrorKind::MissingSubcommand => {
            format!("no command given: use {}", either(&commands()))
        }
        ErrorKind::ArgumentConflict => {
            let other = option_name(&text(error, ContextKind::PriorArg));
            if other == option {
                format!("{option} is given twice: give it once")
            } else {
                format!("{option} and {other} exclude each other: give only one")
            }
        }
        ErrorKind::MissingRequiredArgument if option == COMMAND => {
            "no command to run: write it after --, like tcptrace check -- ./test.sh".to_owned()
        }
        ErrorKind::MissingRequiredArgument if option == OUTPUT => {
            "no file to write to: name one, like --output incident.arrows".to_owned()
        }
        ErrorKind::MissingRequiredArgument if option == INPUT => {
            "no recording to read: name one, like --input incident.arrows".to_owned()
        }
        ErrorKind::MissingRequiredArgument if option == TO => {
            "no format to export to: name one, like --to parquet".to_owned()
        }
        ErrorKind::MissingRequiredArgument => {
            format!("{option} is missing, which another option needs: add it, or see --help")
        }
        ErrorKind::TooManyValues => format!("{option} takes no value: leave {value} out"),
        ErrorKind::InvalidUtf8 => "an argument is no valid UTF-8: see --help".to_owned(),
        // Nothing of this kind can happen with the options there are; should it ever, clap's own
        // first line is better than none.
        _ => {
            let rendered = error.render().to_string();
            let first = rendered.lines().next().unwrap_or_default();
            format!("{}: see --help", first.trim_start_matches("error: "))
        }
    }
}

/// `--localport <LIST>` without its value, `--verbose...` without its dots; what is no option stays as
/// the user wrote it.
fn option_name(usage: &str) -> String {
    let name = if usage.starts_with('-') { usage.split([' ', '=']).next() } else { Some(usage) };
    name.unwrap_or_default().trim_end_matches("...").to_owned()
}

/// Whether the mistake was made where a command to run belongs.
fn takes_command(error: &clap::Error) -> bool {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    usage.contains(&format!("-- {COMMAND}"))
}

fn did_you_mean(suggested: &str) -> String {
    if suggested.is_empty() {
        "see --help".to_owned()
    } else {
        format!("did you mean {suggested}?")
    }
}

fn commands() -> Vec<String> {
    let cli = Cli::command();
    cli.get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// `a, b or c`.
pub(super) fn either<S: Borrow<str>>(names: &[S]) -> String {
    match names {
        [] => "another one".to_owned(),
        [name] => name.borrow().to_owned(),
        [names @ .., last] => format!("{} or {}", names.join(", "), last.borrow()),
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    texts(error, kind).into_iter().next().unwrap_or_default()
}

fn texts(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// Arguments come back in messages, and may contain anything.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{Refusal, either};
    use crate::cli::parse;

    fn mistake(args: &[&str]) -> String {
        let args = std::iter::once("tcptrace").chain(args.iter().copied());
        match parse(args.map(Into::into)) {
            Err(Refusal::Mistake(message)) => message,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn mistakes_are_one_line_that_ends_in_the_fix() {
        let cases: &[(&[&str], &str)] = &[
            (
                &["watch", "-L", "80,,443"],
                "--localport: 80,,443 has an empty entry: write it like 80,443",
            ),
            (&["watch", "-4", "-6"], "--ipv4 and --ipv6 exclude each other: give only one"),
            (&["list", "--format", "bcc"], "--format: bcc is not possible: use table, csv or json"),
            (
                &["watch", "--format", "xml"],
                "--format: xml is not possible: use table, bcc, csv or json",
            ),
            (&["watch", "--format"], "--format needs a value: see --help"),
            (&["watch", "--state"], "--state needs a value: see --help"),
            (
                &["watch", "--state", "CLOSE_WAT"],
                "--state: CLOSE_WAT is no TCP state: did you mean CLOSE_WAIT?",
            ),
            (&["watch", "-L", "80", "-L", "443"], "--localport is given twice: give it once"),
            (
                &["watch", "-s", "--format", "json"],
                "--csv and --format json exclude each other: give only one",
            ),
            (
                &["watch", "--json", "--format", "csv"],
                "--json and --format exclude each other: give only one",
            ),
            (&["watch", "--json", "-s"], "--json and --csv exclude each other: give only one"),
            (&["watch", "--foramt"], "no option --foramt: did you mean --format?"),
            (&["watch", "-Z"], "no option -Z: see --help"),
            (&["watch", "now"], "now is one argument too many: see --help"),
            (&["watch", "a b=c"], "a b=c is one argument too many: see --help"),
            (&["check"], "no command to run: write it after --, like tcptrace check -- ./test.sh"),
            (
                &["check", "--json", "--"],
                "no command to run: write it after --, like tcptrace check -- ./test.sh",
            ),
            (
                &["check", "./my test.sh"],
                "./my test.sh is no option: write -- before the command to run",
            ),
            (&["check", "--settel", "2s"], "no option --settel: did you mean --settle?"),
            (&["stuck", "--setle", "2s"], "no option --setle: did you mean --state?"),
            (
                &["stuck", "--once", "--duration", "5s"],
                "--once and --duration exclude each other: give only one",
            ),
            (
                &["stuck", "--format", "bcc"],
                "--format: bcc is not possible: use table, csv or json",
            ),
            (
                &["stuck", "--limit", "ESTABLISHED=5s"],
                "--limit: ESTABLISHED can have no limit: use SYN_SENT, SYN_RECV, FIN_WAIT1, \
                 FIN_WAIT2, CLOSING, CLOSE_WAIT, LAST_ACK or CLOSE",
            ),
            (&["list", "--duration", "5s"], "no option --duration: see --help"),
            (&["watch", "--raw=yes"], "--raw takes no value: leave yes out"),
            (&["wach"], "no command wach: did you mean watch?"),
            (
                &["frobnicate"],
                "no command frobnicate: use watch, lifetimes, list, stuck, check, record, replay, report, export, explain or doctor",
            ),
            (
                &["-v"],
                "no command given: use watch, lifetimes, list, stuck, check, record, replay, report, export, explain or doctor",
            ),
            (
                &["explain", "-L", "80"],
                "--duration is missing, which another option needs: add it, or see --help",
            ),
            (
                &["explain", "bogus"],
                "bogus is no state or topic: use a state like FIN_WAIT2, or open, close, time-wait, \
                 keepalive or sysctls",
            ),
            (
                &["explain", "FIN_WAIT2", "--duration", "1s"],
                "--duration is for the diagram, not for a state or topic: leave one of the two out",
            ),
            (&["doctor", "-v", "-q"], "--verbose and --quiet exclude each other: give only one"),
            (
                &["watch", "--duration", "-1"],
                "--duration: -1 is no time: write it like 30s, 5m or 2h",
            ),
            (
                &["watch", "--netns", "a\nb\u{1b}"],
                "--netns: a\\nb\\u{1b} is no network namespace: use its inode number, a path like \
                 /run/netns/blue, or self",
            ),
        ];
        for (args, message) in cases {
            assert_eq!(mistake(args), *message, "{args:?}");
        }
    }

    #[test]
    fn names_are_joined_as_people_do() {
        assert_eq!(either(&["a"]), "a");
        assert_eq!(either(&["a", "b"]), "a or b");
    }
}
