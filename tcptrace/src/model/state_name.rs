//! The names under which people know the TCP states.

use std::fmt;

use tcptrace_common::tcp_state::TcpState;

/// Spellings beyond the Linux names, as `ss`, netstat and RFC 9293 have them, without separators.
const ALIASES: [(&str, TcpState); 8] = [
    ("ESTAB", TcpState::Established),
    ("SYNRCVD", TcpState::SynRecv),
    ("SYNRECEIVED", TcpState::SynRecv),
    ("CLOSED", TcpState::Close),
    ("UNCONN", TcpState::Close),
    ("UNCONNECTED", TcpState::Close),
    ("LISTENING", TcpState::Listen),
    ("NEWSYNRECEIVED", TcpState::NewSynRecv),
];

/// The state of this name, in any case, with or without `_` and `-`: `FIN_WAIT2`, `fin-wait-2`,
/// `finwait2`, `estab`.
pub fn parse_state(name: &str) -> Result<TcpState, UnknownState> {
    let key = key(name);
    if let Some((_, state)) = known().find(|(known, _)| *known == key) {
        return Ok(state);
    }
    Err(UnknownState { nearest: nearest(&key, known()) })
}

/// What has the name nearest to `key`, both as [`key`] writes them, if one is near.
pub fn nearest<T>(key: &str, known: impl Iterator<Item = (String, T)>) -> Option<T> {
    known
        .map(|(known, named)| (strsim::damerau_levenshtein(&known, key), named))
        .min_by_key(|(distance, _)| *distance)
        // Further away than this, a suggestion would be a guess.
        .filter(|(distance, _)| *distance <= 1 + key.len() / 4)
        .map(|(_, named)| named)
}

/// A name that no state has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownState {
    /// The state whose name is nearest, if one is near.
    pub nearest: Option<TcpState>,
}

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nearest) = self.nearest {
            return write!(f, "no TCP state: did you mean {nearest}?");
        }
        f.write_str("no TCP state: use ")?;
        for (i, state) in TcpState::ALL.iter().enumerate() {
            let separator = match i {
                0 => "",
                _ if i + 1 == TcpState::ALL.len() => " or ",
                _ => ", ",
            };
            write!(f, "{separator}{state}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownState {}

/// The states by all their names.
pub fn known() -> impl Iterator<Item = (String, TcpState)> {
    let linux = TcpState::ALL.iter().map(|state| (key(state.name()), *state));
    linux.chain(ALIASES.iter().map(|(name, state)| ((*name).to_owned(), *state)))
}

/// The name without what people write differently: case, `_` and `-`.
#[must_use]
pub fn key(name: &str) -> String {
    let letters = name.trim().chars().filter(|c| !matches!(c, '_' | '-'));
    letters.map(|c| c.to_ascii_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use tcptrace_common::tcp_state::TcpState;

    use super::{UnknownState, parse_state};

    #[test]
    fn every_spelling_is_understood() {
        for state in TcpState::ALL {
            let name = state.name();
            for spelling in [
                name.to_owned(),
                name.to_lowercase(),
                name.replace('_', "-"),
                name.replace('_', ""),
            ] {
                assert_eq!(parse_state(&spelling), Ok(state), "{spelling}");
            }
        }
        for (name, state) in [
            ("FIN-WAIT-2", TcpState::FinWait2),
            ("fin_wait_2", TcpState::FinWait2),
            ("finwait2", TcpState::FinWait2),
            ("estab", TcpState::Established),
            ("listening", TcpState::Listen),
            ("syn-recv", TcpState::SynRecv),
            ("syn-received", TcpState::SynRecv),
            ("closed", TcpState::Close),
            ("Close-Wait", TcpState::CloseWait),
        ] {
            assert_eq!(parse_state(name), Ok(state), "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_suggested_if_one_is_near() {
        for (name, nearest) in [
            ("CLOSE_WAT", Some(TcpState::CloseWait)),
            ("FIN_WAIT3", Some(TcpState::FinWait1)),
            ("establised", Some(TcpState::Established)),
            ("LITSEN", Some(TcpState::Listen)),
            ("bogus", None),
            ("", None),
        ] {
            assert_eq!(parse_state(name), Err(UnknownState { nearest }), "{name}");
        }
    }

    #[test]
    fn without_a_near_name_all_are_listed() {
        let text = UnknownState { nearest: None }.to_string();
        assert!(text.starts_with("no TCP state: use ESTABLISHED, SYN_SENT, "), "{text}");
        assert!(text.ends_with("CLOSING or NEW_SYN_RECV"), "{text}");
    }
}
