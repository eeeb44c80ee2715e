//! Time-wait pressure: how far TIME_WAIT uses up the local ports for one destination.

use std::{collections::BTreeMap, net::IpAddr, ops::RangeInclusive, time::Duration};

use tcptrace_common::tcp_state::TcpState;

use super::finding::Pressure;
use crate::{
    event::{Endpoint, Socket, Sysctl, Sysctls, TIME_WAIT, Tuple},
    model::socket_list::time_wait_began,
    time::{Timestamp, nanoseconds},
};

/// Used ports in hundredths from which it is a finding.
const HIGH: u32 = 75;
/// Used ports in hundredths from which it is a finding if they will run out at the present rate.
const RISING: u32 = 25;
/// The rate is that of the last ten seconds.
const RATE_SPAN: Duration = Duration::from_secs(10);

/// One destination: namespace, our address, the other end. Ports are told apart for each by the
/// kernel (`__inet_check_established`, 5.10 to 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Destination {
    pub(super) netns: u32,
    local: Option<IpAddr>,
    remote: (Option<IpAddr>, Option<u16>),
}

/// A destination under pressure.
#[derive(Clone, Debug)]
pub(super) struct UnderPressure {
    pub(super) destination: Destination,
    pub(super) at: Timestamp,
    /// Without the local port.
    pub(super) tuple: Tuple,
    pub(super) pressure: Pressure,
    /// The sockets that are in TIME_WAIT for it, by their place in the snapshot.
    pub(super) time_waits: Vec<usize>,
}

/// The destinations under pressure, ascending.
pub(super) fn under_pressure<'a>(
    sockets: &[Socket],
    sysctls: impl Fn(u32) -> Option<&'a Sysctls>,
) -> Vec<UnderPressure> {
    let mut ranges: BTreeMap<u32, Option<(RangeInclusive<u16>, u32)>> = BTreeMap::new();
    let mut used: BTreeMap<Destination, (Vec<usize>, u32)> = BTreeMap::new();
    for (place, socket) in sockets.iter().enumerate() {
        let Tuple { local, remote, .. } = socket.tuple;
        if matches!(socket.state, TcpState::Listen | TcpState::Close) {
            continue;
        }
        let range = ranges.entry(socket.netns).or_insert_with(|| {
            let sysctls = sysctls(socket.netns)?;
            Some((sysctls.local_ports()?, sysctls.local_port_count()?))
        });
        let chosen = |(ports, _): &(RangeInclusive<u16>, u32)| {
            local.port.is_some_and(|port| ports.contains(&port))
        };
        if !range.as_ref().is_some_and(chosen) {
            continue;
        }
        let destination = Destination {
            netns: socket.netns,
            local: local.addr,
            remote: (remote.addr, remote.port),
        };
        let (time_waits, in_use) = used.entry(destination).or_default();
        match socket.state {
            TcpState::TimeWait => time_waits.push(place),
            _ => *in_use += 1,
        }
    }
    let judge = |(destination, (time_waits, in_use)): (Destination, (Vec<usize>, u32))| {
        let &(_, ports) = ranges.get(&destination.netns)?.as_ref()?;
        let first = &sockets[*time_waits.first()?];
        if may_reuse(sysctls(destination.netns)?, &destination) {
            return None;
        }
        let pressure = pressure(sockets, &time_waits, in_use, ports, first.at)?;
        let local = Endpoint { port: None, ..first.tuple.local };
        let tuple = Tuple { local, ..first.tuple };
        Some(UnderPressure { destination, at: first.at, tuple, pressure, time_waits })
    };
    used.into_iter().filter_map(judge).collect()
}

/// Whether `connect()` takes ports in TIME_WAIT again after a second, so that they never run out
/// (`tcp_twsk_unique`, 5.10 to 7.2).
fn may_reuse(sysctls: &Sysctls, destination: &Destination) -> bool {
    let is_loopback = destination.remote.0.is_some_and(|addr| addr.is_loopback());
    let timestamps = sysctls.number(Sysctl::TcpTimestamps) != Some(0);
    match sysctls.number(Sysctl::TcpTwReuse) {
        Some(1) => timestamps,
        Some(2) => timestamps && is_loopback,
        _ => false,
    }
}

fn pressure(
    sockets: &[Socket],
    time_waits: &[usize],
    in_use: u32,
    ports: u32,
    at: Timestamp,
) -> Option<Pressure> {
    let time_wait = u32::try_from(time_waits.len()).ok()?;
    let mut ages: Vec<u64> = time_waits
        .iter()
        .filter_map(|&place| at.since(time_wait_began(&sockets[place])?))
        .collect();
    ages.sort_unstable();
    let per_second = rate(&ages);
    let used = time_wait.saturating_add(in_use);
    let runs_out_in = runs_out_in(&ages, ports.saturating_sub(used), per_second);
    let pressure = Pressure { time_wait, in_use, ports, per_second, runs_out_in };
    let percent = pressure.percent();
    (percent >= HIGH || (percent >= RISING && runs_out_in.is_some())).then_some(pressure)
}

/// Entries per second, by the ages of what entered lately, ascending.
fn rate(ages: &[u64]) -> f64 {
    let recent = ages.partition_point(|age| *age <= nanoseconds(RATE_SPAN));
    let oldest = ages.last().map_or(Duration::ZERO, |age| Duration::from_nanos(*age));
    let span = oldest.clamp(Duration::from_secs(1), RATE_SPAN);
    f64::from(u32::try_from(recent).unwrap_or(u32::MAX)) / span.as_secs_f64()
}

/// When the free ports are used up: what enters at the rate takes one each, what leaves TIME_WAIT
/// gives one back. After a minute as many leave as enter.
fn runs_out_in(ages: &[u64], free: u32, per_second: f64) -> Option<Duration> {
    if free == 0 {
        return Some(Duration::ZERO);
    }
    if per_second <= 0.0 {
        return None;
    }
    let left = |age: &u64| Duration::from_nanos(nanoseconds(TIME_WAIT).saturating_sub(*age));
    // The oldest leave first.
    let leaving = ages.iter().rev().map(left).chain([TIME_WAIT]);
    for (gone, leaves) in (0_u32..).zip(leaving) {
        let seconds = (f64::from(free) + f64::from(gone)) / per_second;
        if seconds <= leaves.as_secs_f64() {
            return Some(Duration::from_secs_f64(seconds));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{rate, runs_out_in};

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let steady: Vec<u64> = (0..600).map(|i| i * SECOND / 10).collect();
        assert!((rate(&steady) - 10.1).abs() < 0.2, "{}", rate(&steady));
        assert!((rate(&[0; 50]) - 50.0).abs() < 0.1);
        let old: Vec<u64> = (0..100).map(|i| (20 + i / 10) * SECOND).collect();
        assert!(rate(&old) < 0.1);
        assert!(rate(&[]) < 0.1);
    }

    #[test]
    fn ports_run_out_when_more_enter_than_leave() {
        let seconds = |ages: &[u64], free, per_second| {
            runs_out_in(ages, free, per_second).map(|time| time.as_secs_f64().round())
        };
        // Nothing leaves within the ten seconds that it takes.
        assert_eq!(seconds(&[5 * SECOND; 100], 100, 10.0), Some(10.0));
        // After five seconds a hundred leave, and then it takes ten more.
        assert_eq!(seconds(&[55 * SECOND; 100], 100, 10.0), Some(20.0));
        // As many leave as enter.
        let steady: Vec<u64> = (0..600).map(|i| i * SECOND / 10).collect();
        assert_eq!(seconds(&steady, 100, 10.0), None);
        assert_eq!(seconds(&[], 0, 0.0), Some(0.0));
        assert_eq!(seconds(&[], 10, 0.0), None);
        assert_eq!(seconds(&[], 1000, 10.0), None);
    }
}
