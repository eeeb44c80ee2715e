//! The values of options. Every message names the value and ends in the fix.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use ipnet::{IpNet, Ipv4Net};
use tcptrace_common::tcp_state::TcpState;

use super::usage::either;
use crate::{
    event::Comm,
    model::{
        findings::{
            kind::Kind,
            limits::{DEFAULT_LIMITS, Limits},
        },
        state_name::parse_state,
    },
    recording::Rotate,
    replay::Speed,
};

/// What was given as a comma-separated list, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

/// A network namespace, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetnsSelector {
    /// By its inode number, as in `net:[4026531840]`.
    Inode(u32),
    /// By a file that stands for it, as in `/run/netns` or `/proc/PID/ns/net`.
    Path(PathBuf),
    /// Our own.
    Own,
}

/// Ports: `80` or `80,443`.
pub fn ports(text: &str) -> Result<List<u16>, String> {
    list(text, "80,443", |entry| match entry.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("{entry} is no port: use numbers from 1 to 65535, like 80,443")),
    })
}

/// Process ids: `812` or `812,4711`.
pub fn pids(text: &str) -> Result<List<u32>, String> {
    list(text, "812,4711", |entry| match entry.parse() {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(format!("{entry} is no process id: use numbers, like 812,4711")),
    })
}

/// States, in any case and spelling.
pub fn states(text: &str) -> Result<List<TcpState>, String> {
    list(text, "CLOSE_WAIT,FIN_WAIT2", |entry| {
        parse_state(entry).map_err(|error| format!("{entry} is {error}"))
    })
}

/// A command name; the kernel keeps its first fifteen bytes, so only these are compared.
pub fn comm(text: &str) -> Result<Comm, String> {
    if text.is_empty() {
        return Err("an empty name is no command name: write it like nginx".to_owned());
    }
    Ok(Comm::from(text))
}

/// A network or an address. A v4-mapped one is an IPv4 one, as the addresses it is compared with.
pub fn network(text: &str) -> Result<IpNet, String> {
    let fail =
        |_| format!("{text} is no network: write it like 10.0.0.0/8, 10.0.0.9 or 2001:db8::/32");
    let network = match text.parse::<IpAddr>() {
        Ok(addr) => IpNet::from(addr),
        Err(_) => text.parse().map_err(fail)?,
    };
    let IpNet::V6(v6) = network else {
        return Ok(network.trunc());
    };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let v4 = v4.and_then(|(addr, prefix)| Ipv4Net::new(addr, prefix).ok());
    Ok(v4.map_or(network, IpNet::V4).trunc())
}

/// A network namespace: inode number, path or `self`.
pub fn netns(text: &str) -> Result<NetnsSelector, String> {
    if text == "self" {
        return Ok(NetnsSelector::Own);
    }
    if text.contains('/') {
        return Ok(NetnsSelector::Path(text.into()));
    }
    match text.parse() {
        Ok(inode) if inode > 0 => Ok(NetnsSelector::Inode(inode)),
        _ => Err(format!(
            "{text} is no network namespace: use its inode number, a path like /run/netns/blue, \
             or self"
        )),
    }
}

/// Kinds of findings.
pub fn kinds(text: &str) -> Result<List<Kind>, String> {
    list(text, "close_wait_not_closed,closed_fd_leaked", |entry| {
        Kind::parse(entry).map_err(|error| format!("{entry} is {error}"))
    })
}

/// How many, at least one.
pub fn count(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(format!("{text} is no count: use a number from 1 on, like 10")),
    }
}

/// Limits of single states: `CLOSE_WAIT=5m,FIN_WAIT2=2m`.
pub fn limits(text: &str) -> Result<List<(TcpState, Duration)>, String> {
    let example = "CLOSE_WAIT=5m,FIN_WAIT2=2m";
    list(text, example, |entry| {
        let (name, time) = entry
            .split_once('=')
            .ok_or_else(|| format!("{entry} has no limit: write it like {example}"))?;
        if name.is_empty() {
            return Err(format!("{entry} has no state: write it like {example}"));
        }
        if time.is_empty() {
            return Err(format!("{entry} has no limit: write it like {example}"));
        }
        let state = parse_state(name).map_err(|error| format!("{name} is {error}"))?;
        if !Limits::default().set(state, Duration::ZERO) {
            let states = either(&DEFAULT_LIMITS.map(|(state, _)| state.name()));
            return Err(format!("{state} can have no limit: use {states}"));
        }
        Ok((state, limit(time)?))
    })
}

/// How long is too long, more than none.
pub fn limit(text: &str) -> Result<Duration, String> {
    time(text, "is no limit")
}

/// A time to trace, more than none.
pub fn duration(text: &str) -> Result<Duration, String> {
    time(text, "leaves no time to trace")
}

/// When a file is full: a size like `100MB`, a time like `1h`, or both with a comma between.
pub fn rotate(text: &str) -> Result<Rotate, String> {
    let example = "100MB,1h";
    let mut rotate = Rotate::default();
    for entry in list(text, example, |entry| Ok(entry.to_owned()))?.0 {
        let twice = if entry.ends_with(['B', 'b']) {
            rotate.bytes.replace(size(&entry)?).is_some()
        } else {
            rotate.time.replace(time(&entry, "is no time to record")?).is_some()
        };
        if twice {
            return Err(format!("{text} has two of a kind: write it like {example}"));
        }
    }
    Ok(rotate)
}

/// Bytes, more than none. As everywhere here, a kB has 1024 of them.
fn size(text: &str) -> Result<u64, String> {
    let hint = "write it like 500kB, 100MB or 2GB";
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "b" => Some(0),
        "kb" | "kib" => Some(10),
        "mb" | "mib" => Some(20),
        "gb" | "gib" => Some(30),
        "tb" | "tib" => Some(40),
        _ => None,
    };
    let bytes = scale.and_then(|scale| digits.parse::<u64>().ok()?.checked_mul(1 << scale));
    match bytes {
        Some(0) => Err(format!("{text} has no room for anything: {hint}")),
        Some(bytes) => Ok(bytes),
        None => Err(format!("{text} is no size: {hint}")),
    }
}

/// A time to wait, perhaps none.
pub fn settle(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        // Alone among times, humantime takes 0 without a unit.
        Ok(Duration::ZERO) if text != "0" => Ok(Duration::ZERO),
        _ => time(text, "is none"),
    }
}

fn time(text: &str, if_none: &str) -> Result<Duration, String> {
    let hint = "write it like 30s, 5m or 2h";
    if text.is_empty() {
        return Err(format!("the time is empty: {hint}"));
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{text} has no unit: {hint}"));
    }
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err(format!("{text} {if_none}: {hint}")),
        Ok(duration) => Ok(duration),
        Err(_) => Err(format!("{text} is no time: {hint}")),
    }
}

fn list<T>(
    text: &str,
    example: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<List<T>, String> {
    let entry = |entry: &str| match entry.trim() {
        "" if text.is_empty() => Err(format!("the list is empty: write it like {example}")),
        "" => Err(format!("{text} has an empty entry: write it like {example}")),
        entry => parse(entry),
    };
    text.split(',').map(entry).collect::<Result<_, _>>().map(List)
}

/// How fast to play back: a number above 0, or `max`.
pub fn speed(text: &str) -> Result<Speed, String> {
    const SLOWEST: f64 = 0.001;
    const FASTEST: f64 = 1e6;
    if text.eq_ignore_ascii_case("max") {
        return Ok(Speed::Max);
    }
    match text.parse() {
        Ok(times) if (SLOWEST..=FASTEST).contains(&times) => Ok(Speed::Times(times)),
        _ => Err(format!(
            "{text} is no speed: use a number from {SLOWEST} to {FASTEST}, like 10, or max"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        List, NetnsSelector, Speed, duration, limits, netns, network, pids, ports, settle, speed,
    };

    #[test]
    fn lists_take_numbers_in_range() {
        assert_eq!(ports("80"), Ok(List(vec![80])));
        assert_eq!(ports("80, 443"), Ok(List(vec![80, 443])));
        assert_eq!(pids("1,4194304"), Ok(List(vec![1, 4_194_304])));
        for text in ["", "0", "65536", "-1", "80,,443", "80,", ",", "http", "80-90", "８０"] {
            assert!(ports(text).is_err(), "{text}");
        }
        for text in ["", "0", "-1", "1,,2", "nginx", "4294967296"] {
            assert!(pids(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_are_normalised() {
        for (text, network_text) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.0.0.9", "10.0.0.9/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.0.0.9", "10.0.0.9/32"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            let network = network(text).map(|network| network.to_string());
            assert_eq!(network.as_deref(), Ok(network_text));
        }
        for text in
            ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "::/129", "localhost", "10.0.0.0/-1"]
        {
            assert!(network(text).is_err(), "{text}");
        }
    }

    #[test]
    fn namespaces_are_numbers_paths_or_our_own() {
        assert_eq!(netns("self"), Ok(NetnsSelector::Own));
        assert_eq!(netns("4026531840"), Ok(NetnsSelector::Inode(4_026_531_840)));
        assert_eq!(netns("/run/netns/blue"), Ok(NetnsSelector::Path("/run/netns/blue".into())));
        for text in ["", "0", "blue", "-1", "4294967296"] {
            assert!(netns(text).is_err(), "{text}");
        }
    }

    #[test]
    fn speeds_are_above_zero_and_have_an_end() {
        assert_eq!(speed("10"), Ok(Speed::Times(10.0)));
        assert_eq!(speed("0.5"), Ok(Speed::Times(0.5)));
        assert_eq!(speed("MAX"), Ok(Speed::Max));
        for text in ["", "0", "-1", "nan", "inf", "1e-9", "1e7", "fast", "10x"] {
            assert!(speed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_units_and_some_length() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("2h", 7200), ("1h 30m", 5400)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "0s", "0", "30", "-1", "-1s", "soon", "99999999999999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn settling_may_take_no_time_but_not_without_a_unit() {
        for (text, seconds) in [("0s", 0), ("0ms", 0), ("2s", 2), ("1m", 60)] {
            assert_eq!(settle(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "0", "00", "2", "-1s", "soon"] {
            assert!(settle(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_for_states_that_can_have_one() {
        let close_wait = (tcptrace_common::tcp_state::TcpState::CloseWait, Duration::from_secs(5));
        for text in ["CLOSE_WAIT=5s", "close-wait=5s", " closewait=5s "] {
            assert_eq!(limits(text), Ok(List(vec![close_wait])), "{text}");
        }
        for text in ["", "CLOSE_WAIT", "CLOSE_WAIT=", "=5s", "CLOSE_WAIT=5", "CLOSE_WAIT=0s"] {
            assert!(limits(text).is_err(), "{text}");
        }
        for text in ["ESTABLISHED=5s", "LISTEN=5s", "TIME_WAIT=5s", "CLOSE_WAIT=5s,", "ALL=5s"] {
            assert!(limits(text).is_err(), "{text}");
        }
    }
}
