//! Rows of dumps, in the language of `script.rs`.
//!
//! ```text
//! A row 8 inode recv=5       a full socket; also kernel netlink v4mapped cookie=7 ns=2 send=5
//!                            lo=10.0.0.1/80 re=10.0.0.2/-
//! A row 5 ack=-5s            when the last ACK came, relative to now; also data= sent= waiting= at=
//! A mini 5 timer=+2s         a minisock; its timer. Of full sockets: off retransmit=+1s probe=+1s
//!                            keepalive=+1s
//! A request 3                a half-open request
//! ```

#![expect(clippy::panic, reason = "a script with a mistake is a failed test, with a message")]

use tcptrace::{
    event::{Endpoint, Shape, Socket, Timer, TimerKind},
    time::Timestamp,
};
use tcptrace_common::tcp_state::TcpState;

use crate::script::{endpoint, inode, number, shifted, skaddr, state, usual_tuple};

pub(crate) fn row(letter: char, words: &[&str], at: Timestamp, shape: Shape) -> Socket {
    let state = state(words[0]);
    let mut socket = Socket {
        at,
        skaddr: (shape == Shape::Full).then(|| skaddr(letter)),
        cookie: Some(u64::from(u32::from(letter))),
        state,
        shape,
        tuple: usual_tuple(letter),
        netns: 1,
        inode: None,
        kernel: Some(false),
        recv_q: 0,
        send_q: 0,
        timer: None,
        last_ack: None,
        last_data: None,
        last_sent: None,
        waiting: None,
        cgroup: None,
    };
    if state == TcpState::Listen {
        socket.tuple.remote = Endpoint::default();
    }
    for word in &words[1..] {
        match word.split_once('=') {
            Some(("cookie", cookie)) => socket.cookie = cookie.parse().ok(),
            Some(("ns", netns)) => socket.netns = number(netns),
            Some(("lo", end)) => socket.tuple.local = endpoint(end),
            Some(("re", end)) => socket.tuple.remote = endpoint(end),
            Some(("ack", time)) => socket.last_ack = Some(shifted(at, time)),
            Some(("data", time)) => socket.last_data = Some(shifted(at, time)),
            Some(("sent", time)) => socket.last_sent = Some(shifted(at, time)),
            Some(("waiting", time)) => socket.waiting = Some(shifted(at, time)),
            Some(("recv", bytes)) => socket.recv_q = number(bytes),
            Some(("send", bytes)) => socket.send_q = number(bytes),
            Some(("at", time)) => socket.at = shifted(at, time),
            Some((name, time)) if timer_kind(name).is_some() => {
                let expires = shifted(at, time);
                let kind = timer_kind(name).unwrap_or(TimerKind::Off);
                socket.timer = Some(Timer { kind, expires, retransmits: 0 });
            }
            None if *word == "off" => {
                socket.timer = Some(Timer { kind: TimerKind::Off, expires: at, retransmits: 0 });
            }
            None if *word == "kernel" => socket.kernel = Some(true),
            None if *word == "inode" => socket.inode = Some(inode(letter)),
            None if *word == "v4mapped" => {
                (socket.tuple.ipv6, socket.tuple.v4mapped) = (true, true);
            }
            None if *word == "netlink" => (socket.skaddr, socket.kernel) = (None, None),
            _ => panic!("what is {word}?"),
        }
    }
    socket
}

fn timer_kind(name: &str) -> Option<TimerKind> {
    match name {
        "timer" => Some(TimerKind::Timewait),
        "retransmit" => Some(TimerKind::Retransmit),
        "probe" => Some(TimerKind::Probe),
        "keepalive" => Some(TimerKind::Keepalive),
        _ => None,
    }
}
