use std::{rc::Rc, time::Duration};

use tcptrace_common::tcp_state::TcpState;

use super::{identity, process, tuple};
use crate::{
    event::{ProcessDetails, Sysctl, Sysctls, Timer, TimerKind},
    model::{
        change::Dwell,
        findings::{
            advice::{Case, Unread},
            finding::{Finding, FindingOwner, Group, HeldBy, Peer, Pressure, Resolved, Service},
            kind::Kind,
        },
        socket_list::AgeSource,
    },
    output::golden::START,
};

const NETNS: u32 = 4_026_531_840;

/// The settings of a machine that nobody has touched.
fn sysctls() -> Sysctls {
    let values = [
        (Sysctl::Somaxconn, "4096"),
        (Sysctl::IpLocalPortRange, "32768\t60999"),
        (Sysctl::TcpFinTimeout, "60"),
        (Sysctl::TcpKeepaliveIntvl, "75"),
        (Sysctl::TcpKeepaliveProbes, "9"),
        (Sysctl::TcpKeepaliveTime, "7200"),
        (Sysctl::TcpMaxSynBacklog, "2048"),
        (Sysctl::TcpOrphanRetries, "0"),
        (Sysctl::TcpRetries2, "15"),
        (Sysctl::TcpSynRetries, "6"),
        (Sysctl::TcpSynackRetries, "5"),
        (Sysctl::TcpSyncookies, "1"),
        (Sysctl::TcpTwReuse, "2"),
    ];
    Sysctls::new(NETNS, values.map(|(sysctl, text)| (sysctl, text.to_owned())))
}

fn owner(pid: u32, comm: &str, fds: &[u32]) -> FindingOwner {
    let details = ProcessDetails {
        pid,
        cmdline: Some(format!("/usr/sbin/{comm}\0-c\0/etc/{comm}.conf\0").into_bytes()),
        cgroup: Some(format!("/system.slice/{comm}.service")),
    };
    FindingOwner { process: process(pid, comm), fds: fds.to_vec(), details: Some(Rc::new(details)) }
}

/// A finding of each kind in each variant that reads differently.
pub(in crate::output::golden) fn case(kind: Kind) -> Case {
    let held_by = match kind {
        Kind::CloseWaitNotAccepted | Kind::SynRecvUnacked => HeldBy::AcceptQueue,
        Kind::FinWait2Orphan
        | Kind::FinWait1Unacked
        | Kind::FinWait1ZeroWindow
        | Kind::LastAckUnacked
        | Kind::ClosingUnacked
        | Kind::TimeWaitPressure => HeldBy::Nobody,
        _ => HeldBy::Processes,
    };
    Case {
        kind,
        held_by,
        netns: NETNS,
        unread: Unread::Nothing,
        queue_full: false,
        window_closed: false,
        peer_here: false,
    }
}

pub(in crate::output::golden) fn finding(case: Case) -> Finding {
    let kind = case.kind;
    let identity = identity(tuple("10.0.0.5:443", "10.0.0.9:51234"));
    let orphan = kind == Kind::FinWait2Orphan;
    let pressure = Pressure {
        time_wait: 21_034,
        in_use: 120,
        ports: 28_232,
        per_second: 412.3,
        runs_out_in: Some(Duration::from_millis(17_170)),
    };
    let is_pressure = kind == Kind::TimeWaitPressure;
    let retransmits = matches!(kind, Kind::FinWait1Unacked | Kind::LastAckUnacked);
    Finding {
        at: START,
        again: false,
        conn: (!is_pressure).then_some(identity.id),
        tuple: identity.tuple,
        netns: NETNS,
        kind,
        age: if is_pressure { Dwell::Unknown } else { Dwell::Exact(185_000_000_000) },
        age_source: (!is_pressure).then_some(AgeSource::Event),
        limit: (!is_pressure).then_some(Duration::from_secs(60)),
        held_by: case.held_by,
        owners: match case.held_by {
            HeldBy::Processes => vec![owner(812, "nginx", &[9])],
            HeldBy::AcceptQueue => vec![owner(812, "nginx", &[6])],
            _ => Vec::new(),
        },
        closed_by: (case.held_by == HeldBy::Nobody).then(|| process(812, "nginx")),
        peer: case.peer_here.then(|| Peer {
            state: TcpState::FinWait2,
            netns: NETNS + 77,
            held_by: HeldBy::Processes,
            owners: vec![owner(40, "php-fpm", &[11])],
        }),
        recv_q: 0,
        send_q: u32::from(retransmits),
        timer: orphan.then_some(Timer {
            kind: TimerKind::Timewait,
            expires: START + Duration::from_secs(43),
            retransmits: 0,
        }),
        expires: orphan.then_some(START + Duration::from_secs(43)),
        pressure: is_pressure.then_some(pressure),
        advice: Rc::new(case.advice(Some(&sysctls()))),
    }
}

pub(in crate::output::golden) fn group(news: Vec<Finding>) -> Group {
    Group {
        at: START,
        service: Service::Local(443),
        count: news.len() as u64,
        oldest: news[0].age,
        growth: None,
        first: true,
        news,
    }
}

pub(in crate::output::golden) fn resolved(kind: Kind) -> Resolved {
    let finding = finding(case(kind));
    Resolved {
        at: START,
        conn: finding.conn,
        tuple: finding.tuple,
        netns: NETNS,
        kind,
        process: Some(process(812, "nginx")),
        age: Dwell::Exact(185_000_000_000),
        now: Some(TcpState::LastAck),
    }
}
