//! How long a connection may stay in a state before it counts as stuck.

use std::time::Duration;

use tcptrace_common::tcp_state::TcpState;

/// States with a limit, and the limit unless the user says otherwise.
///
/// 110 s is past the 107 s for which the kernel sends an orphan's FIN again before it gives up
/// (`tcp_orphan_retries` 0, measured on 6.12). A SYN is sent again after 1 s; ten seconds are several.
pub const DEFAULT_LIMITS: [(TcpState, Duration); 8] = [
    (TcpState::SynSent, Duration::from_secs(10)),
    (TcpState::SynRecv, Duration::from_secs(10)),
    (TcpState::FinWait1, Duration::from_secs(110)),
    (TcpState::FinWait2, Duration::from_secs(60)),
    (TcpState::Closing, Duration::from_secs(110)),
    (TcpState::CloseWait, Duration::from_secs(60)),
    (TcpState::LastAck, Duration::from_secs(110)),
    (TcpState::Close, Duration::from_secs(60)),
];

/// What no event tells of (half-open requests, time-wait pressure) is looked for this often, or twice
/// within the limit for half-open requests.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// The limit of every state that has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits([(TcpState, Duration); DEFAULT_LIMITS.len()]);

impl Default for Limits {
    fn default() -> Self {
        Self(DEFAULT_LIMITS)
    }
}

impl Limits {
    /// The same limit for all states.
    #[must_use]
    pub fn all(limit: Duration) -> Self {
        Self(DEFAULT_LIMITS.map(|(state, _)| (state, limit)))
    }

    /// Sets one limit; false if the state can have none.
    pub fn set(&mut self, state: TcpState, limit: Duration) -> bool {
        let known = self.0.iter_mut().find(|(known, _)| *known == state);
        if let Some((_, of_state)) = known {
            *of_state = limit;
            return true;
        }
        false
    }

    /// No limit longer than `longest`.
    #[must_use]
    pub fn at_most(&self, longest: Duration) -> Self {
        Self(self.0.map(|(state, limit)| (state, limit.min(longest))))
    }

    /// The limit of a state, if it has one.
    #[must_use]
    pub fn of(&self, state: TcpState) -> Option<Duration> {
        self.0.iter().find(|(known, _)| *known == state).map(|(_, limit)| *limit)
    }

    /// The shortest limit of any state.
    #[must_use]
    pub fn shortest(&self) -> Duration {
        self.0.iter().map(|(_, limit)| *limit).min().unwrap_or_default()
    }

    /// How long to wait for a look at what no event tells of.
    #[must_use]
    pub fn look_interval(&self) -> Duration {
        let half_open = self.of(TcpState::SynRecv);
        half_open.map_or(LOOK_INTERVAL, |limit| (limit / 2).min(LOOK_INTERVAL))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tcptrace_common::tcp_state::TcpState;

    use super::Limits;

    #[test]
    fn limits_are_set_singly_or_all_at_once() {
        let second = Duration::from_secs(1);
        let mut limits = Limits::default();
        assert!(limits.set(TcpState::CloseWait, second));
        assert!(!limits.set(TcpState::Established, second));
        assert_eq!(limits.of(TcpState::CloseWait), Some(second));
        assert_eq!(limits.of(TcpState::FinWait2), Some(60 * second));
        assert_eq!(limits.of(TcpState::Established), None);
        assert_eq!(Limits::all(second).of(TcpState::LastAck), Some(second));
        assert_eq!(limits.at_most(20 * second).of(TcpState::SynSent), Some(10 * second));
        assert_eq!(limits.at_most(20 * second).of(TcpState::FinWait2), Some(20 * second));
    }
}
