//! Which pages there are, and under which names they are found.

use tcptrace_common::tcp_state::TcpState;

/// A page of explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The topic that it explains, if it is about more than a state.
    pub topic: Option<&'static str>,
    /// The states that it explains.
    pub states: &'static [TcpState],
    /// Its words, as `markup` reads them.
    pub(super) text: &'static str,
}

const fn state(states: &'static [TcpState], text: &'static str) -> Page {
    Page { topic: None, states, text }
}

const fn topic(topic: &'static str, states: &'static [TcpState], text: &'static str) -> Page {
    Page { topic: Some(topic), states, text }
}

/// All pages. Where a topic and a state have one name, one page is about both.
pub const PAGES: [Page; 14] = [
    topic("open", &[], include_str!("pages/open.md")),
    topic("close", &[TcpState::Close], include_str!("pages/close.md")),
    topic("time-wait", &[TcpState::TimeWait], include_str!("pages/time_wait.md")),
    topic("keepalive", &[], include_str!("pages/keepalive.md")),
    topic("sysctls", &[], include_str!("pages/sysctls.md")),
    state(&[TcpState::Established], include_str!("pages/established.md")),
    state(&[TcpState::SynSent], include_str!("pages/syn_sent.md")),
    state(&[TcpState::SynRecv, TcpState::NewSynRecv], include_str!("pages/syn_recv.md")),
    state(&[TcpState::FinWait1], include_str!("pages/fin_wait1.md")),
    state(&[TcpState::FinWait2], include_str!("pages/fin_wait2.md")),
    state(&[TcpState::CloseWait], include_str!("pages/close_wait.md")),
    state(&[TcpState::LastAck], include_str!("pages/last_ack.md")),
    state(&[TcpState::Listen], include_str!("pages/listen.md")),
    state(&[TcpState::Closing], include_str!("pages/closing.md")),
];

/// The topics, in the order in which they are best read.
pub fn topics() -> impl Iterator<Item = (&'static str, &'static Page)> {
    PAGES.iter().filter_map(|page| Some((page.topic?, page)))
}

/// The page about a state.
#[must_use]
pub fn about(state: TcpState) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.states.contains(&state))
}

#[cfg(test)]
mod tests {
    use super::{PAGES, Page, TcpState, about, topics};
    use crate::{
        event::{Sysctl, Sysctls},
        output::explain::settings,
    };

    /// The text below a heading, up to the next one.
    fn section(page: &Page, heading: &str) -> &'static str {
        let body = page.text.split_once(heading).map_or("", |(_, body)| body);
        body.split("\n## ").next().unwrap_or_default()
    }

    #[test]
    fn every_state_and_every_topic_has_one_page() {
        for state in TcpState::ALL {
            let pages = PAGES.iter().filter(|page| page.states.contains(&state));
            assert_eq!(pages.count(), 1, "{state}");
            let title = about(state).and_then(|page| page.text.lines().next()).expect("a title");
            assert!(title.contains(state.name()), "{title}");
        }
        let names: Vec<_> = topics().map(|(name, _)| name).collect();
        assert_eq!(names, ["open", "close", "time-wait", "keepalive", "sysctls"]);
    }

    #[test]
    fn every_state_has_the_answers_that_are_looked_for() {
        for state in TcpState::ALL {
            let page = about(state).expect("a page");
            for heading in ["## What to do", "## What does not help", "## Settings"] {
                assert!(!section(page, heading).trim().is_empty(), "{state}: {heading}");
            }
        }
    }

    #[test]
    fn every_setting_and_every_word_in_braces_is_known() {
        for Page { text, .. } in PAGES {
            for names in text.lines().filter_map(|line| line.strip_prefix("= ")) {
                let known = |name| name == "all" || Sysctl::from_name(name).is_some();
                assert!(names.split(' ').all(known), "{names}");
            }
            for word in text.split('{').skip(1) {
                let word = word.split_once('}').expect("a closing brace").0;
                assert!(settings::derived(word, &Sysctls::default()).is_some(), "{word}");
            }
        }
    }

    /// What is recommended somewhere, and where it is no remedy.
    const NO_REMEDY: [(&str, &[TcpState]); 10] = [
        ("tcp_tw_recycle", &TcpState::ALL),
        ("tcp_abort_on_overflow", &TcpState::ALL),
        ("SO_LINGER", &TcpState::ALL),
        ("tcp_syn_retries", &TcpState::ALL),
        ("tcp_keepalive", &TcpState::ALL),
        // FIN_WAIT2 is the one state that it is about.
        (
            "tcp_fin_timeout",
            &[
                TcpState::Established,
                TcpState::FinWait1,
                TcpState::TimeWait,
                TcpState::Close,
                TcpState::CloseWait,
                TcpState::LastAck,
                TcpState::Closing,
            ],
        ),
        ("tcp_tw_reuse", &[TcpState::CloseWait, TcpState::FinWait2, TcpState::LastAck]),
        ("TCP_USER_TIMEOUT", &[TcpState::CloseWait, TcpState::FinWait2, TcpState::TimeWait]),
        ("KEEPALIVE", &[TcpState::CloseWait, TcpState::TimeWait, TcpState::Close]),
        ("tcp_max_syn_backlog", &[TcpState::Listen]),
    ];

    #[test]
    fn no_page_recommends_what_does_not_help() {
        for (wrong, states) in NO_REMEDY {
            for state in states {
                let remedy = section(about(*state).expect("a page"), "## What to do");
                assert!(!remedy.contains(wrong), "{state}: {wrong}");
            }
        }
    }

    #[test]
    fn a_setting_is_not_said_to_matter_where_it_does_not() {
        for state in TcpState::ALL {
            let settings = section(about(state).expect("a page"), "## Settings");
            let matters = matches!(state, TcpState::FinWait2 | TcpState::Close);
            assert_eq!(settings.contains("tcp_fin_timeout"), matters, "{state}");
        }
    }
}
