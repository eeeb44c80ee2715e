//! Records of helper hooks.

use std::borrow::Cow;

use tcptrace_common::{
    record::{
        AcceptRecord, HookRecord, KIND_ACCEPTED, KIND_DESTROYED, KIND_MINISOCK,
        KIND_MINISOCK_ENDED, KIND_MINISOCK_RESET, KIND_RESET_RECEIVED, KIND_RESET_SENT,
        KIND_TIME_WAIT, MinisockRecord,
    },
    tcp_state::TcpState,
};

use super::{known, read, tuple};
use crate::{
    event::{Comm, Ends, Hook, HookKind, Process},
    time::Timestamp,
};

/// What a helper hook saw; `None` if it is no record of one.
pub(super) fn hook(bytes: &[u8]) -> Option<Hook> {
    let kind = match *bytes.first()? {
        KIND_DESTROYED => HookKind::Destroyed,
        KIND_RESET_RECEIVED => HookKind::ResetReceived,
        KIND_RESET_SENT => HookKind::ResetSent,
        KIND_MINISOCK => made(*bytes.get(1)?)?,
        KIND_ACCEPTED => return accepted(bytes),
        KIND_TIME_WAIT => return minisock(bytes, HookKind::MinisockGotFin),
        KIND_MINISOCK_RESET => return minisock(bytes, HookKind::MinisockReset),
        KIND_MINISOCK_ENDED => return minisock(bytes, HookKind::MinisockEnded),
        _ => return None,
    };
    let HookRecord { boot_ns, skaddr, cookie, .. } = *read(bytes)?;
    Some(Hook { at: Timestamp(boot_ns), skaddr, cookie: known(cookie), kind })
}

/// What was made in place of a full socket.
fn made(state: u8) -> Option<HookKind> {
    match TcpState::from_number(state)? {
        TcpState::TimeWait => Some(HookKind::TimeWaitMade),
        TcpState::FinWait2 => Some(HookKind::OrphanMade),
        TcpState::Close => Some(HookKind::NoMinisock),
        _ => None,
    }
}

fn accepted(bytes: &[u8]) -> Option<Hook> {
    let record: Cow<'_, AcceptRecord> = read(bytes)?;
    Some(Hook {
        at: Timestamp(record.boot_ns),
        skaddr: record.skaddr,
        cookie: known(record.cookie),
        kind: HookKind::Accepted(Process { pid: record.pid, comm: Comm(record.comm) }),
    })
}

fn minisock(bytes: &[u8], kind: fn(Ends) -> HookKind) -> Option<Hook> {
    let record: Cow<'_, MinisockRecord> = read(bytes)?;
    let (local, remote) = ((&record.laddr, record.lport), (&record.raddr, record.rport));
    let tuple = tuple(record.family, local, remote, false)?;
    Some(Hook {
        at: Timestamp(record.boot_ns),
        skaddr: record.skaddr,
        cookie: known(record.cookie),
        kind: kind(Ends { netns: record.netns, tuple }),
    })
}

#[cfg(test)]
mod tests {
    use bytemuck::{Zeroable, bytes_of};
    use tcptrace_common::record::{
        AcceptRecord, HookRecord, KIND_ACCEPTED, KIND_MINISOCK, KIND_MINISOCK_ENDED, MinisockRecord,
    };

    use super::{HookKind, hook};

    #[test]
    fn a_minisock_is_named_by_its_ends() {
        let record = MinisockRecord {
            kind: KIND_MINISOCK_ENDED,
            family: 2,
            lport: 80,
            raddr: [10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            netns: 7,
            ..MinisockRecord::zeroed()
        };
        let Some(HookKind::MinisockEnded(ends)) = hook(bytes_of(&record)).map(|hook| hook.kind)
        else {
            panic!("a valid record");
        };
        assert_eq!((ends.netns, ends.tuple.local.port), (7, Some(80)));
        assert_eq!(
            ends.tuple.remote.addr.map(|addr| addr.to_string()).as_deref(),
            Some("10.0.0.9")
        );
        assert_eq!((ends.tuple.local.addr, ends.tuple.remote.port), (None, None));
    }

    #[test]
    fn the_state_of_a_new_minisock_tells_what_it_is() {
        let kind = |state| {
            let record = HookRecord { kind: KIND_MINISOCK, state, ..HookRecord::zeroed() };
            hook(bytes_of(&record)).map(|hook| hook.kind)
        };
        assert_eq!(kind(6), Some(HookKind::TimeWaitMade));
        assert_eq!(kind(5), Some(HookKind::OrphanMade));
        assert_eq!(kind(7), Some(HookKind::NoMinisock));
        assert_eq!(kind(1), None);
    }

    #[test]
    fn strange_records_are_refused() {
        let accept = AcceptRecord { kind: KIND_ACCEPTED, ..AcceptRecord::zeroed() };
        assert!(hook(bytes_of(&accept)).is_some());
        assert_eq!(hook(&bytes_of(&accept)[..47]), None);
        let minisock = MinisockRecord { kind: KIND_MINISOCK_ENDED, ..MinisockRecord::zeroed() };
        assert_eq!(hook(bytes_of(&minisock)), None, "of no family");
        assert_eq!(hook(&[KIND_MINISOCK]), None);
        assert_eq!(hook(&[]), None);
    }
}
