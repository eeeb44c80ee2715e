//! Arguments of `explain`.

use std::{path::PathBuf, time::Duration};

use clap::{Arg, Args};

use super::{filter_args::FilterArgs, output_args::ColorWhen, usage::Refusal, values};
use crate::{
    model::state_name::{self, key, nearest, parse_state},
    output::explain::pages::{self, Page},
};

/// Arguments of `explain`.
#[derive(Args, Clone, Debug)]
#[command(mut_args(only_for_a_trace))]
#[command(after_help = "\
Examples:
  tcptrace explain                  the state diagram
  tcptrace explain FIN_WAIT2        one state: what it waits for, what to do, what does not help
  tcptrace explain time-wait        a topic; also open, close, keepalive and sysctls
  tcptrace explain --duration 10s   the diagram with what happens on this host
  tcptrace explain -i web.arrows    the diagram with what was recorded")]
pub struct ExplainArgs {
    /// A state, or open, close, time-wait, keepalive or sysctls; without it, the state diagram.
    #[arg(value_name = "STATE|TOPIC", value_parser = page)]
    pub page: Option<&'static Page>,
    /// Trace for this time, like 30s, then draw the diagram with what was seen on each arrow.
    // A leading hyphen is taken as a value, so that the message is about the time.
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    pub duration: Option<Duration>,
    /// The same from this recording instead of tracing; may be given several times. Needs no root.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["duration", "page"])]
    pub input: Vec<PathBuf>,
    /// Colours: auto (default), always or never.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorWhen::Auto)]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    pub color: ColorWhen,
    /// Which connections to trace.
    #[command(flatten)]
    pub filter: FilterArgs,
}

impl ExplainArgs {
    /// Refuses what contradicts itself.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.page.is_some() && self.duration.is_some() {
            return Err(Refusal::usage(
                "--duration is for the diagram, not for a state or topic: leave one of the two out"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// Lets no option that selects connections stand without `--duration`: pages look at none, and of a
/// recording all are counted.
fn only_for_a_trace(arg: Arg) -> Arg {
    let own = ["page", "duration", "input", "color", "help"];
    if own.contains(&arg.get_id().as_str()) { arg } else { arg.requires("duration") }
}

/// The page for a state or a topic, in any case and spelling.
fn page(name: &str) -> Result<&'static Page, String> {
    let key = key(name);
    let topics = || pages::topics().map(|(topic, page)| (state_name::key(topic), topic, page));
    if let Some((.., page)) = topics().find(|(topic, ..)| *topic == key) {
        return Ok(page);
    }
    if let Some(page) = parse_state(name).ok().and_then(pages::about) {
        return Ok(page);
    }
    // Where a topic and a state are equally near, the topic is what people ask for.
    let states = state_name::known().map(|(known, state)| (known, state.name()));
    let names = topics().map(|(known, topic, _)| (known, topic)).chain(states);
    Err(match nearest(&key, names) {
        Some(nearest) => format!("{name} is no state or topic: did you mean {nearest}?"),
        None => {
            let topics: Vec<_> = pages::topics().map(|(topic, _)| topic).collect();
            let name = if name.trim().is_empty() { "an empty name" } else { name };
            format!(
                "{name} is no state or topic: use a state like FIN_WAIT2, or {}",
                super::usage::either(&topics)
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use tcptrace_common::tcp_state::TcpState;

    use super::{page, pages};

    #[test]
    fn every_state_and_topic_is_found_in_any_spelling() {
        for state in TcpState::ALL {
            for name in [state.name().to_owned(), state.name().to_lowercase().replace('_', "-")] {
                assert_eq!(page(&name).ok(), pages::about(state), "{name}");
            }
        }
        for (topic, expected) in pages::topics() {
            for name in [topic.to_owned(), topic.to_uppercase().replace('-', "_")] {
                assert_eq!(page(&name), Ok(expected), "{name}");
            }
        }
        assert_eq!(page("closed"), page("CLOSE"));
        assert_eq!(page("Keep-Alive"), page("keepalive"));
    }

    #[test]
    fn a_wrong_name_leads_to_the_nearest_one() {
        for (name, answer) in [
            ("FIN_WAIT3", "did you mean FIN_WAIT1?"),
            ("closse", "did you mean close?"),
            ("timewait2", "did you mean time-wait?"),
            ("keepalives", "did you mean keepalive?"),
            ("sysctl", "did you mean sysctls?"),
            ("lisen", "did you mean LISTEN?"),
            ("syn-received2", "did you mean SYN_RECV?"),
            ("weather", "or open, close, time-wait, keepalive or sysctls"),
        ] {
            let message = page(name).expect_err("no such name");
            assert!(message.starts_with(name) && message.ends_with(answer), "{message}");
        }
        assert!(page("").expect_err("no name").starts_with("an empty name is no state or topic"));
    }
}
