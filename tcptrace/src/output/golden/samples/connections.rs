use super::{at, hostile, identity, process, transitions::moved_unknown, tuple, v4mapped};
use crate::{
    event::Counters,
    model::change::{End, Finished, Owner, Reason, Role},
    time::Timestamp,
};

/// A connection of an ordinary client.
pub(in crate::output::golden) fn life() -> Finished {
    Finished {
        closed: at(1_250_123),
        identity: identity(tuple("10.0.0.5:51234", "10.0.0.9:443")),
        opened: Some(at(1_000)),
        established: Some(at(1_053)),
        role: Some(Role::Active),
        states: [
            Some(53_112),
            None,
            Some(1_249_000_000),
            Some(20_000),
            Some(51_000),
            None,
            None,
            None,
        ],
        counters: Some(Counters {
            tx_bytes: 812,
            rx_bytes: 15_800_000,
            retransmits: 2,
            srtt_us: Some(125),
        }),
        end: End::TimeWait,
        owner: Owner::Opener(process(22_384, "curl")),
        on_cpu: Some(process(0, "swapper/5")),
    }
}

/// A connection of which nothing is known but that it ended.
pub(in crate::output::golden) fn life_unknown() -> Finished {
    Finished {
        identity: moved_unknown().identity,
        opened: None,
        established: None,
        role: None,
        states: [None; 8],
        counters: None,
        end: End::Unknown,
        owner: Owner::Unknown,
        on_cpu: None,
        ..life()
    }
}

pub(in crate::output::golden) fn lives() -> Vec<Finished> {
    let ipv6 = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535";
    vec![
        life(),
        Finished {
            established: None,
            identity: identity(tuple("192.168.100.100:65535", "255.255.255.255:65535")),
            owner: Owner::Opener(process(4_194_304, "elevenchars")),
            end: End::Because(Reason::ResetByPeer),
            ..life()
        },
        Finished {
            opened: None,
            established: None,
            end: End::LastAck,
            role: Some(Role::Passive),
            ..life()
        },
        life_unknown(),
        Finished {
            identity: identity(tuple("[2001:db8::1]:443", ipv6)),
            end: End::Because(Reason::Timeout),
            ..life()
        },
        Finished { identity: identity(v4mapped()), ..life() },
        Finished { owner: Owner::Task(hostile()), ..life() },
        Finished {
            closed: Timestamp(u64::MAX),
            states: [Some(u64::MAX); 8],
            counters: Some(Counters {
                tx_bytes: u64::MAX,
                rx_bytes: u64::MAX,
                retransmits: u32::MAX,
                srtt_us: Some(u32::MAX),
            }),
            ..life()
        },
    ]
}
