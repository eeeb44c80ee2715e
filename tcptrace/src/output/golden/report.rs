use bytes::BytesMut;
use insta::assert_snapshot;
use tcptrace_common::tcp_state::TcpState::{
    Close, CloseWait, Established, FinWait1, FinWait2, LastAck, SynRecv, SynSent, TimeWait,
};

use super::{START, samples, text, times};
use crate::{
    event::Comm,
    model::{
        change::{Change, Dwell, End, Finished, Moved, Owner, Reason, Role},
        findings::{finding::Group, kind::Kind},
        report::{Origin, Report},
        span::{Moment, Span},
        summary::Summary,
    },
    output::report::{self, Account},
    time::{ClockSample, Timestamp},
};

const SECOND: u64 = 1_000_000_000;

fn clock() -> ClockSample {
    *times().clock()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(START.0 + seconds * SECOND)
}

/// A name made to take over a page.
fn hostile() -> crate::event::Process {
    crate::event::Process { pid: 666, comm: Comm::from("<b>&\"'\u{1b}[31m") }
}

fn finished(seconds: u64, end: End, role: Option<Role>) -> Change {
    Change::Finished(Box::new(Finished {
        closed: at(seconds),
        opened: role.map(|_| at(seconds - 1)),
        end,
        role,
        ..samples::connections::life()
    }))
}

/// Ten minutes of a server with a leak, one of its callers being hostile.
fn sample() -> (Report, Summary) {
    let origin = Origin { host: "web-1 <i>".to_owned(), kernel: "6.12.9".to_owned() };
    let mut report = Report::new(origin, &clock());
    let mut changes = Vec::new();
    for second in 1..=500 {
        let moved = |from, to, dwell| {
            Change::Moved(Moved {
                at: at(second),
                from,
                to,
                dwell,
                ..samples::transitions::moved()
            })
        };
        changes.extend([
            moved(Close, SynSent, Dwell::Unknown),
            moved(SynSent, Established, Dwell::Exact(50_000 * second)),
            moved(SynRecv, Established, Dwell::Exact(5_000)),
            moved(Established, FinWait1, Dwell::AtLeast(8 * SECOND)),
            moved(FinWait1, FinWait2, Dwell::Exact(42_400_000)),
            moved(FinWait2, TimeWait, Dwell::Estimated(312_000)),
            finished(second, End::TimeWait, Some(Role::Active)),
        ]);
    }
    let owner = Owner::Fd(hostile());
    changes.push(Change::Moved(Moved {
        from: Established,
        to: CloseWait,
        owner,
        ..samples::transitions::moved()
    }));
    changes.push(Change::Moved(Moved {
        from: CloseWait,
        to: LastAck,
        ..samples::transitions::moved()
    }));
    changes.push(finished(510, End::Because(Reason::Refused), None));
    for kind in [Kind::CloseWaitNotClosed, Kind::FinWait2Orphan, Kind::TimeWaitPressure] {
        let mut finding = samples::stuck::finding(samples::stuck::case(kind));
        finding.at = at(300);
        if let Some(conn) = &mut finding.conn {
            conn.socket += kind as u64;
        }
        if let Some(owner) = finding.owners.first_mut() {
            owner.process = hostile();
        }
        let group = samples::stuck::group(vec![finding]);
        changes.push(Change::Stuck(Box::new(Group { at: at(300), ..group })));
    }
    let mut resolved = samples::stuck::resolved(Kind::FinWait2Orphan);
    if let Some(conn) = &mut resolved.conn {
        conn.socket += Kind::FinWait2Orphan as u64;
    }
    changes.push(Change::Resolved(Box::new(resolved)));
    changes.iter().for_each(|change| report.add(change, &clock()));
    let moment = |at| Some(Moment { at, clock: clock() });
    let mut summary = Summary {
        connections: 501,
        uncertain: 3,
        span: Span { events: 4_000, first: moment(START), last: moment(at(600)) },
        ..Summary::default()
    };
    summary.lost.ring_full = 7;
    for change in &changes {
        if let Change::Moved(moved) = change {
            summary.count(moved.to);
        }
    }
    report.finish(&summary.span);
    (report, summary)
}

fn nothing() -> (Report, Summary) {
    (Report::new(Origin::default(), &clock()), Summary::default())
}

fn written(
    (report, summary): &(Report, Summary),
    write: impl FnOnce(&mut BytesMut, &Account<'_>),
) -> String {
    let times = times();
    let mut out = BytesMut::new();
    write(&mut out, &Account { report, summary, incomplete: false, times: &times });
    text(&out)
}

#[test]
fn table() {
    let table = written(&sample(), |out, account| report::table(out, account, false));
    for line in table.lines() {
        assert!(line.chars().count() <= 80 && !line.ends_with(' '), "{line:?}");
    }
    assert_snapshot!(table);
}

#[test]
fn json() {
    assert_snapshot!(written(&sample(), report::json));
}

#[test]
fn page() {
    let page = written(&sample(), report::html);
    assert!(!page.contains("<b>") && !page.contains("<i>"), "names are no markup");
    assert!(!page.contains("<script") && !page.contains("http:") && !page.contains("https:"));
    let (_, after_style) = page.split_once("</style>").expect("a style");
    assert_snapshot!(after_style);
}

#[test]
fn of_nothing() {
    assert_snapshot!(
        "nothing_table",
        written(&nothing(), |out, account| report::table(out, account, false))
    );
    assert_snapshot!("nothing_json", written(&nothing(), report::json));
    let page = written(&nothing(), report::html);
    assert!(page.contains("host not known") && page.ends_with("</html>\n"), "{page}");
}

#[test]
fn numbers_on_the_page_are_those_of_the_json() {
    let sample = sample();
    let json: serde_json::Value =
        serde_json::from_str(&written(&sample, report::json)).expect("JSON");
    let page = written(&sample, report::html);
    let numbers: Vec<_> = page.split("data-of=\"").skip(1).collect();
    assert!(numbers.len() > 100, "{}", numbers.len());
    for number in numbers {
        let (pointer, rest) = number.split_once("\" data-value=\"").expect("a value");
        let (value, _) = rest.split_once('"').expect("its end");
        let value: serde_json::Value = serde_json::from_str(value).expect("a number or null");
        assert_eq!(json.pointer(pointer), Some(&value), "{pointer}");
    }
}
