//! A recording of any size, as `record` would have written it on a host with many connections.

use std::{
    fs::File,
    io::Write as _,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::statvfs;
use tcptrace::{
    event::{
        Comm, Counters, Endpoint, Event, Hook, HookKind, Process, SocketFields, Transition, Tuple,
    },
    recording::{Compression, Encoder, Metadata},
    time::{ClockSample, Timestamp},
};
use tcptrace_common::tcp_state::TcpState::{
    self, Close, CloseWait, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
};

/// Connections that are open at the same time.
const OPEN: u64 = 1000;
/// Nanoseconds from one event to the next: a busy host, of whose closed connections half a million are in
/// TIME_WAIT at any time.
const PACE_NS: u64 = 10_000;
/// So many events are as many as the tracer finds when it looks at its buffer.
const LOOK: u64 = 400;
/// More bytes than an event takes in a file, for whether there is room.
const BYTES: u64 = 32;

const SERVERS: u64 = 100;
const PROCESSES: u64 = 20;

/// Who is at an end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}
use Side::{Client, Server};

/// The way of a connection, both ends in the order in which they move. The last is the end of the
/// server's socket, which is an event without a transition.
const WAY: [(Side, TcpState, TcpState); 11] = [
    (Client, Close, SynSent),
    (Server, Listen, SynRecv),
    (Server, SynRecv, Established),
    (Client, SynSent, Established),
    (Client, Established, FinWait1),
    (Server, Established, CloseWait),
    (Client, FinWait1, FinWait2),
    (Server, CloseWait, LastAck),
    (Client, FinWait2, Close),
    (Server, LastAck, Close),
    (Server, Close, Close),
];

/// Writes a recording of so many events; returns how many of them are transitions.
pub(crate) fn generate(path: &Path, events: u64) -> Result<u64> {
    let folder = path.parent().context("a recording lies in a folder")?;
    let room = statvfs(folder)?;
    let (room, needed) = (room.f_bavail * room.f_frsize, events * BYTES);
    ensure!(room >= needed, "{} needs {} MB more room", folder.display(), (needed - room) >> 20);
    let mut file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let clock = ClockSample { boot: Timestamp(1_000_000_000), wall_ns: 1_790_000_000_000_000_000 };
    let metadata = Metadata {
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        host: "bench".to_owned(),
        clock,
        destroy_hook: true,
        run: clock.boot,
        part: 1,
        ..Metadata::default()
    };
    let mut encoder = Encoder::new(&metadata, Compression::Zstd)?;
    let mut transitions = 0;
    for number in 0..events {
        let at = Timestamp(clock.boot.0 + number * PACE_NS + scatter(number) % PACE_NS);
        let event = event(number, at);
        transitions += u64::from(matches!(event, Event::Transition(_)));
        encoder.add(&event);
        if number % LOOK == 0 {
            encoder.add(&Event::Tick(at));
        }
        if encoder.is_full() {
            file.write_all(&encoder.close_batch()?)?;
        }
    }
    file.write_all(&encoder.finish()?)?;
    Ok(transitions)
}

/// A number that looks like any other, so that columns are no easier to compress than real ones.
fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The event of this number: all open connections take a step each, in turn.
fn event(number: u64, at: Timestamp) -> Event {
    let steps = WAY.len() as u64;
    let (step, slot) = (number / OPEN % steps, number % OPEN);
    let connection = number / (OPEN * steps) * OPEN + slot;
    let (side, from, to) = WAY[step as usize];
    // Sockets of the two sides; the addresses are used again at once, as those of the kernel are.
    let socket = 2 * slot + u64::from(side == Server);
    let skaddr = 0xffff_8881_0000_0000 + socket * 0x1000;
    let cookie = 2 * connection + 1 + u64::from(side == Server);
    if from == to {
        return Event::Hook(Hook { at, skaddr, cookie: Some(cookie), kind: HookKind::Destroyed });
    }
    let owned = matches!(to, SynSent | FinWait1 | LastAck);
    // The kernel has not chosen it yet when the first event comes.
    let port = (to != SynSent).then(|| 1024 + (connection / SERVERS % 60_000) as u16);
    let client = end(Ipv4Addr::new(10, 0, 0, 1), port);
    let server = end(Ipv4Addr::new(10, 1, 0, (connection % SERVERS) as u8), Some(443));
    let (local, remote) = if side == Client { (client, server) } else { (server, client) };
    let process = (scatter(connection) % PROCESSES) as u32;
    Event::Transition(Transition {
        at,
        skaddr,
        cookie: (from != Listen).then_some(cookie),
        from,
        to,
        tuple: Tuple { local, remote, v4mapped: false, ipv6: false },
        netns: Some(4_026_531_840),
        socket: Some(SocketFields {
            owned,
            dead: matches!(from, FinWait1 | FinWait2 | LastAck),
            done: matches!(from, FinWait2 | CloseWait | LastAck),
            shutdown: if matches!(from, FinWait1 | FinWait2 | CloseWait | LastAck) { 3 } else { 0 },
            inode: matches!(to, SynSent | FinWait1)
                .then_some(100_000 + (connection % 1_000_000) as u32),
            ..SocketFields::default()
        }),
        on_cpu: owned.then(|| Process {
            pid: 1000 + process,
            comm: Comm::from(format!("worker-{process}").as_str()),
        }),
        counters: (to == Close).then(|| Counters {
            tx_bytes: 200 + scatter(cookie) % 5000,
            rx_bytes: 300 + scatter(!cookie) % 90_000,
            retransmits: 0,
            srtt_us: Some(50 + (scatter(cookie) % 400) as u32),
        }),
        cgroup: (owned || to == Close).then_some(4242),
        orphan_lifetime: (from == FinWait2).then_some(Duration::from_secs(60)),
    })
}

fn end(address: Ipv4Addr, port: Option<u16>) -> Endpoint {
    Endpoint { addr: Some(IpAddr::V4(address)), port }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The tracker would call anything else uncertain, and that costs more.
    #[test]
    fn every_socket_goes_on_from_where_it_was() {
        let mut states: HashMap<u64, TcpState> = HashMap::new();
        let mut ended = 0;
        for number in 0..3 * OPEN * WAY.len() as u64 {
            match event(number, Timestamp(number)) {
                Event::Transition(transition) => {
                    let before = states.insert(transition.skaddr, transition.to);
                    let is_new = matches!(transition.from, Close | Listen);
                    assert!(
                        is_new && before.is_none_or(|state| state == Close)
                            || before == Some(transition.from)
                    );
                }
                Event::Hook(hook) => {
                    assert_eq!(states.get(&hook.skaddr), Some(&Close));
                    ended += 1;
                }
                other => assert_eq!(None, Some(other)),
            }
        }
        assert_eq!(ended, 3 * OPEN);
    }
}
