use bytes::BytesMut;
use insta::assert_snapshot;
use tcptrace_common::tcp_state::TcpState::{
    self, Close, CloseWait, Established, FinWait1, FinWait2, LastAck, SynSent, TimeWait,
};

use super::{samples, text, widest};
use crate::{
    event::{Sysctl, Sysctls},
    model::{
        arrows::Arrows,
        change::{Change, Dwell, Moved},
    },
    output::explain::{
        self,
        pages::{PAGES, Page},
    },
};

/// A machine on which everything is as the kernel chose, with a long list of reserved ports.
fn values() -> Sysctls {
    let value = |sysctl| match sysctl {
        Sysctl::Somaxconn => "4096",
        Sysctl::IpLocalPortRange => "32768\t60999",
        Sysctl::IpLocalReservedPorts => "40000-40099,50000",
        Sysctl::TcpAbortOnOverflow | Sysctl::TcpOrphanRetries => "0",
        Sysctl::TcpFinTimeout => "60",
        Sysctl::TcpKeepaliveIntvl => "75",
        Sysctl::TcpKeepaliveProbes => "9",
        Sysctl::TcpKeepaliveTime => "7200",
        Sysctl::TcpMaxOrphans | Sysctl::TcpMaxTwBuckets => "131072",
        Sysctl::TcpMaxSynBacklog => "2048",
        Sysctl::TcpRetries2 => "15",
        Sysctl::TcpSynackRetries => "5",
        Sysctl::TcpSyncookies | Sysctl::TcpTimestamps => "1",
        Sysctl::TcpSynRetries => "6",
        Sysctl::TcpTwReuse => "2",
    };
    Sysctls::new(1, Sysctl::ALL.iter().map(|&sysctl| (sysctl, value(sysctl).to_owned())))
}

fn page(page: &Page, color: bool, values: &Sysctls) -> String {
    let mut out = BytesMut::new();
    explain::page(&mut out, color, page, values);
    text(&out)
}

fn diagram(color: bool, counted: Option<&Arrows>) -> String {
    let mut out = BytesMut::new();
    explain::diagram(&mut out, color, counted);
    text(&out)
}

/// The name of a page's snapshot: its topic, else its first state.
fn name(page: &Page) -> &'static str {
    page.topic.or(page.states.first().map(|state| state.name())).unwrap_or("nameless")
}

fn counted(moves: &[(u64, TcpState, TcpState, Dwell)]) -> Arrows {
    let mut arrows = Arrows::default();
    for &(times, from, to, dwell) in moves {
        let moved = Moved { from, to, dwell, ..samples::transitions::moved() };
        (0..times).for_each(|_| arrows.count(&Change::Moved(moved)));
    }
    arrows
}

/// A client that mostly gets through, and closes first.
fn sample() -> Arrows {
    counted(&[
        (812, Close, SynSent, Dwell::Unknown),
        (809, SynSent, Established, Dwell::Exact(53_112)),
        (3, SynSent, Close, Dwell::Exact(62_600)),
        (700, Established, FinWait1, Dwell::Exact(1_250_000_000)),
        (1, Established, FinWait1, Dwell::AtLeast(8_000_000_000)),
        (700, FinWait1, FinWait2, Dwell::Exact(42_400_000)),
        (699, FinWait2, TimeWait, Dwell::Exact(312_000)),
        (100, Established, CloseWait, Dwell::Exact(11_800_000_000_000)),
        (100, CloseWait, LastAck, Dwell::Exact(812)),
        (99, LastAck, Close, Dwell::Exact(59_000)),
        (12, TimeWait, Close, Dwell::Estimated(60_000_000_000)),
    ])
}

#[test]
fn pages() {
    for each in &PAGES {
        assert_snapshot!(format!("page_{}", name(each)), page(each, false, &values()));
    }
}

#[test]
fn page_in_color() {
    let shortest = PAGES.iter().min_by_key(|each| page(each, false, &values()).len());
    assert_snapshot!(page(shortest.expect("a page"), true, &values()));
}

#[test]
fn page_of_a_machine_that_tells_nothing() {
    let sysctls = PAGES.iter().find(|page| page.topic == Some("sysctls")).expect("a page");
    assert_snapshot!(page(sysctls, false, &Sysctls::default()));
}

#[test]
fn plain_diagram() {
    assert_snapshot!(diagram(false, None));
}

#[test]
fn diagram_in_color() {
    assert_snapshot!(diagram(true, None));
}

#[test]
fn diagram_with_counts() {
    assert_snapshot!(diagram(false, Some(&sample())));
}

#[test]
fn diagram_of_nothing() {
    assert_snapshot!(diagram(false, Some(&Arrows::default())));
}

#[test]
fn what_is_against_the_diagram_is_named() {
    let arrows = counted(&[(2, CloseWait, SynSent, Dwell::Exact(1_000_000))]);
    let text = diagram(false, Some(&arrows));
    let end = "Not in the diagram, and yet seen. Please report it with the kernel's version:\n  \
               CLOSE_WAIT to SYN_SENT: 2, after 999us\n";
    assert!(text.ends_with(end), "{text}");
}

#[test]
fn every_line_is_ascii_within_80_columns() {
    let mut texts: Vec<_> = PAGES
        .iter()
        .flat_map(|each| [values(), Sysctls::default()].map(|v| page(each, false, &v)))
        .collect();
    let many = counted(&[(10_000, Close, SynSent, Dwell::Exact(11_800_000_000_000))]);
    texts.extend([
        diagram(false, None),
        diagram(false, Some(&sample())),
        diagram(false, Some(&many)),
    ]);
    for text in texts {
        assert!(widest(&text) <= 80, "{text}");
        for line in text.lines() {
            let plain = line.bytes().all(|b| matches!(b, b' '..=b'~'));
            assert!(plain && !line.ends_with(' '), "{line:?}");
        }
    }
}
