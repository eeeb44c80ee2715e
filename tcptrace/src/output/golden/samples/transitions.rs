use tcptrace_common::tcp_state::TcpState;

use super::{at, hostile, identity, process, tuple, v4mapped};
use crate::{
    event::Tuple,
    model::change::{Dwell, Evidence, Identity, Moved, Owner, Reason},
    time::Timestamp,
};

/// A line of an ordinary server.
pub(in crate::output::golden) fn moved() -> Moved {
    Moved {
        at: at(1_250_123),
        identity: identity(tuple("10.0.0.5:443", "10.0.0.9:51234")),
        from: TcpState::FinWait1,
        to: TcpState::FinWait2,
        dwell: Dwell::Exact(53_112),
        evidence: Evidence::Event,
        reason: None,
        owner: Owner::Task(process(812, "nginx")),
        on_cpu: Some(process(0, "swapper/5")),
    }
}

/// A line of which nothing is known.
pub(in crate::output::golden) fn moved_unknown() -> Moved {
    let identity =
        Identity { netns: None, cookie: None, skaddr: None, ..identity(Tuple::default()) };
    Moved {
        identity,
        from: TcpState::Close,
        to: TcpState::SynSent,
        dwell: Dwell::Unknown,
        owner: Owner::Unknown,
        on_cpu: None,
        ..moved()
    }
}

pub(in crate::output::golden) fn moves() -> Vec<Moved> {
    let ipv6 = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535";
    vec![
        moved(),
        Moved {
            from: TcpState::Established,
            to: TcpState::CloseWait,
            dwell: Dwell::AtLeast(3 * 3_600_000_000_000),
            owner: Owner::Opener(process(4_194_304, "elevenchars")),
            on_cpu: Some(process(4_194_304, "elevenchars")),
            ..moved()
        },
        Moved {
            from: TcpState::SynSent,
            to: TcpState::Close,
            identity: identity(tuple("192.168.100.100:65535", "255.255.255.255:65535")),
            dwell: Dwell::Exact(1_250_000),
            reason: Some(Reason::Refused),
            ..moved()
        },
        Moved {
            from: TcpState::Established,
            to: TcpState::Close,
            reason: Some(Reason::ResetByPeer),
            owner: Owner::Fd(process(812, "nginx: worker p")),
            ..moved()
        },
        Moved {
            from: TcpState::LastAck,
            to: TcpState::Close,
            reason: Some(Reason::Fin),
            owner: Owner::Nobody,
            ..moved()
        },
        Moved {
            from: TcpState::FinWait2,
            to: TcpState::TimeWait,
            evidence: Evidence::Classified,
            ..moved()
        },
        Moved {
            at: at(61_250_123),
            from: TcpState::TimeWait,
            to: TcpState::Close,
            dwell: Dwell::Estimated(60_000_000_000),
            evidence: Evidence::Derived,
            ..moved()
        },
        moved_unknown(),
        Moved { identity: identity(tuple("[2001:db8::1]:443", ipv6)), ..moved() },
        Moved { identity: identity(v4mapped()), ..moved() },
        Moved { owner: Owner::Task(hostile()), on_cpu: Some(hostile()), ..moved() },
        Moved {
            identity: Identity { kernel: true, ..moved().identity },
            owner: Owner::Nobody,
            ..moved()
        },
        Moved { at: Timestamp(u64::MAX), dwell: Dwell::AtLeast(u64::MAX), ..moved() },
    ]
}
