use bytes::BytesMut;
use insta::assert_snapshot;

use super::{Format, Style, color, samples::stuck as samples, text, times, wide, with_times};
use crate::{
    event::Comm,
    model::{
        change::Dwell,
        findings::{
            advice::{Case, Unread},
            finding::{Group, HeldBy},
            kind::Kind,
        },
    },
    output::stuck::Findings,
};

fn printed(style: Style, groups: &[Group]) -> String {
    let mut out = BytesMut::new();
    let mut findings = Findings::new(style, times(), false);
    findings.header(&mut out);
    groups.iter().for_each(|group| findings.group(&mut out, group));
    text(&out)
}

/// Every kind, and every variant of its advice.
fn cases() -> Vec<Case> {
    let of = samples::case;
    let mut cases = Kind::ALL.map(of).to_vec();
    cases.extend([
        Case { unread: Unread::End, ..of(Kind::CloseWaitNotClosed) },
        Case { unread: Unread::Data, peer_here: true, ..of(Kind::CloseWaitNotClosed) },
        Case { held_by: HeldBy::Kernel, ..of(Kind::CloseWaitNotClosed) },
        Case { peer_here: true, ..of(Kind::FinWait2HalfClosed) },
        Case { held_by: HeldBy::Processes, ..of(Kind::FinWait1Unacked) },
        Case { held_by: HeldBy::Processes, ..of(Kind::FinWait1ZeroWindow) },
        Case { queue_full: true, ..of(Kind::SynSentUnanswered) },
        Case { queue_full: true, ..of(Kind::SynRecvUnacked) },
    ]);
    cases
}

fn groups() -> Vec<Group> {
    cases().into_iter().map(|case| samples::group(vec![samples::finding(case)])).collect()
}

#[test]
fn table_of_every_kind() {
    assert_snapshot!(printed(Style::new(Format::Table), &groups()));
}

#[test]
fn json_of_every_kind() {
    assert_snapshot!(printed(Style::new(Format::Json), &groups()));
}

#[test]
fn csv_of_every_kind() {
    assert_snapshot!(printed(Style::new(Format::Csv), &groups()));
}

#[test]
fn the_wide_table_has_namespace_and_timer() {
    let orphan = samples::finding(samples::case(Kind::FinWait2Orphan));
    let group = Group { first: false, ..samples::group(vec![orphan]) };
    assert_snapshot!(printed(wide(Style::new(Format::Table)), &[group]));
}

#[test]
fn the_table_fits_80_columns() {
    for line in printed(Style::new(Format::Table), &groups()).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn a_group_shows_examples_and_how_it_grows() {
    let mut news: Vec<_> =
        (0..5).map(|_| samples::finding(samples::case(Kind::CloseWaitNotClosed))).collect();
    news[1].age = Dwell::AtLeast(90_000_000_000);
    news[2].recv_q = 513;
    let second = news[2].owners[0].clone();
    news[2].owners.push(second);
    news[2].owners[1].process.pid = 813;
    let group = Group { count: 12, growth: Some(7.4), first: false, ..samples::group(news) };
    let style = color(with_times(Style::new(Format::Table)));
    assert_snapshot!(printed(style, &[group]));
}

#[test]
fn a_group_that_is_only_older_is_told_for_its_oldest() {
    let mut again = samples::finding(samples::case(Kind::CloseWaitNotClosed));
    again.again = true;
    let mut group = Group { first: false, ..samples::group(vec![again]) };
    let style = Style::new(Format::Table);
    assert!(!printed(style, &[group.clone()]).is_empty());
    group.oldest = Dwell::Exact(u64::MAX);
    assert_eq!(printed(style, &[group]), "");
}

#[test]
fn names_and_command_lines_cannot_move_the_cursor() {
    let mut finding = samples::finding(samples::case(Kind::CloseWaitNotClosed));
    let owner = &mut finding.owners[0];
    owner.process.comm = Comm(*b"\x1b[2J\xffevil\0\0\0\0\0\0\0");
    let details = crate::event::ProcessDetails {
        pid: 812,
        cmdline: Some(b"\x1b]0;owned\x07\0\xe2\x80\xae\n".to_vec()),
        cgroup: Some("/\u{1b}[31m".to_owned()),
    };
    owner.details = Some(details.into());
    for format in [Format::Table, Format::Csv, Format::Json] {
        let text = printed(Style::new(format), &[samples::group(vec![finding.clone()])]);
        let is_safe = |c: char| c == '\n' || c == '\u{fffd}' || matches!(c, ' '..='~');
        assert!(!text.contains("\\e") && text.chars().all(is_safe), "{text}");
    }
}

#[test]
fn ends_are_told_together_in_the_table_and_singly_elsewhere() {
    let write = |format: Format, ends: &[Kind]| {
        let mut out = BytesMut::new();
        let mut findings = Findings::new(Style::new(format), times(), false);
        for &kind in ends {
            findings.resolved(&mut out, &samples::resolved(kind));
        }
        findings.flush(&mut out);
        text(&out)
    };
    let two = [Kind::CloseWaitNotClosed, Kind::CloseWaitNotClosed];
    let mixed = [Kind::CloseWaitNotClosed, Kind::FinWait2HalfClosed];
    assert_snapshot!(write(Format::Table, &two) + &write(Format::Table, &mixed));
    assert_snapshot!(write(Format::Json, &two[..1]) + &write(Format::Csv, &two[..1]));
}

/// What kernel.md's measurements show to be useless is never offered as a remedy.
#[test]
fn no_remedy_is_one_that_does_not_help() {
    for case in cases() {
        let advice = &samples::finding(case).advice;
        let remedies = advice.remedy.join(" ");
        let useless: &[&str] = match case.kind.state().name() {
            "CLOSE_WAIT" => {
                &["tcp_fin_timeout", "tcp_tw_reuse", "TCP_USER_TIMEOUT", "SO_KEEPALIVE"]
            }
            "FIN_WAIT2" if case.kind == Kind::FinWait2HalfClosed => &["tcp_fin_timeout"],
            "FIN_WAIT2" => &["KEEPALIVE", "TCP_USER_TIMEOUT"],
            "TIME_WAIT" => &["tcp_fin_timeout", "tcp_max_tw_buckets", "tcp_tw_recycle"],
            "CLOSE" => &["tcp_", "keepalive", "`ss -K`"],
            "LAST_ACK" | "CLOSING" | "FIN_WAIT1" => &["tcp_fin_timeout", "KEEPALIVE"],
            _ => &["tcp_abort_on_overflow", "tcp_tw_reuse", "tcp_fin_timeout"],
        };
        for word in useless {
            assert!(!remedies.contains(word), "{word} against {}: {remedies}", case.kind.name());
        }
        assert!(
            !advice.cause.is_empty() && !advice.remedy.is_empty() && !advice.useless.is_empty()
        );
    }
}
