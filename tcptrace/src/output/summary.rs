//! The end of a trace in numbers, and losses when they happen.

use std::fmt::Write as _;

use bytes::BytesMut;
use serde::{Serialize, Serializer};
use tcptrace_common::tcp_state::TcpState;

use super::{
    escape, json,
    times::{Times, Utc},
    units::Size,
};
use crate::{
    event::Lost,
    model::{
        findings::kind::Kind,
        summary::{Losses, Summary},
    },
    recording::Progress,
};

/// One or two lines for people, meant for stderr. Losses are named even if there were none.
#[must_use]
pub fn summary_text(summary: &Summary) -> String {
    with_losses(
        summary,
        &[
            counted(summary.transitions(), "transition"),
            counted(summary.connections, "finished connection"),
        ],
    )
}

/// The same about what was stuck; `incomplete` says that not everything could be looked at.
#[must_use]
pub fn stuck_text(summary: &Summary, incomplete: bool) -> String {
    let kinds = Kind::ALL.iter().zip(summary.kinds).filter(|(_, count)| *count > 0);
    let kinds: Vec<String> =
        kinds.map(|(kind, count)| format!("{count} {}", kind.name())).collect();
    let mut found = match summary.findings() {
        0 if incomplete => vec!["nothing found, but not all could be looked at".to_owned()],
        0 => vec!["nothing is stuck".to_owned()],
        count => vec![format!("{} ({})", counted(count, "finding"), kinds.join(", "))],
    };
    if summary.resolved > 0 {
        found.push(format!("{} resolved", summary.resolved));
    }
    with_losses(summary, &found)
}

/// The same about what a command left behind.
#[must_use]
pub fn check_text(summary: &Summary, incomplete: bool, program: &str, status: i32) -> String {
    let program = escape::printable_text(program);
    let mut text = stuck_text(summary, incomplete);
    if status != 0 {
        // Writing to a string cannot fail.
        _ = writeln!(text, "tcptrace: {program} failed: its exit status is {status}");
    }
    text
}

/// The same about a recording of so many events and bytes.
#[must_use]
pub fn recorded_text(summary: &Summary, written: &Progress) -> String {
    let Progress { events, bytes, files, .. } = *written;
    let mut recorded = format!("{} in {}B", counted(events, "event"), Size(bytes));
    if files > 1 {
        recorded += &format!(" in {files} files");
    }
    with_losses(
        summary,
        &[format!("recorded {recorded}"), counted(summary.transitions(), "transition")],
    )
}

/// The same about so many `rows` of a table that went into `files`.
#[must_use]
pub fn exported_text(summary: &Summary, rows: u64, table: &str, files: usize) -> String {
    let files = counted(files as u64, "file");
    let rows = counted(rows, table.trim_end_matches('s'));
    with_losses(summary, &[format!("exported {rows} to {files}")])
}

fn with_losses(summary: &Summary, told: &[String]) -> String {
    let lost = match summary.lost.total() {
        0 => "nothing lost".to_owned(),
        lost => format!("{} lost", counted(lost, "record")),
    };
    let mut text = format!("tcptrace: {}, {lost}\n", told.join(", "));
    let Losses { ring_full, recursion, undecodable, recorder_behind } = summary.lost;
    let notes: Vec<String> = [
        (ring_full, "lost because the ring buffer was full"),
        (recursion, "lost to recursion"),
        (undecodable, "undecodable"),
        (recorder_behind, "lost because the recorder was behind"),
        (summary.uncertain, "uncertain for what was missed"),
        (summary.evicted, "forgotten for lack of room"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if !notes.is_empty() {
        // Writing to a string cannot fail.
        _ = writeln!(text, "tcptrace: {}", notes.join(", "));
    }
    text
}

/// Writes the `summary` line of JSON.
pub fn summary_json(out: &mut BytesMut, summary: &Summary) {
    let fields = SummaryFields {
        kind: "summary",
        transitions: summary.transitions(),
        states: States(summary),
        connections: summary.connections,
        lost: losses(&summary.lost),
        uncertain: summary.uncertain,
        evicted: summary.evicted,
        kinds: Kinds(summary),
        resolved: summary.resolved,
    };
    json::line(out, &fields);
}

/// Writes a `lost` line of JSON.
pub fn lost_json(out: &mut BytesMut, times: &Times, lost: &Lost) {
    let fields = LostFields {
        kind: "lost",
        time: times.utc(lost.at),
        count: lost.count,
        why: lost.why.name(),
    };
    json::line(out, &fields);
}

/// The fields of losses.
pub(super) fn losses(lost: &Losses) -> impl Serialize + use<> {
    let Losses { ring_full, recursion, undecodable, recorder_behind } = *lost;
    LossesFields { ring_full, recursion, undecodable, recorder_behind }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[derive(Serialize)]
struct SummaryFields<'a, L> {
    #[serde(rename = "type")]
    kind: &'static str,
    transitions: u64,
    states: States<'a>,
    connections: u64,
    lost: L,
    uncertain: u64,
    evicted: u64,
    kinds: Kinds<'a>,
    resolved: u64,
}

/// Findings by kind, all kinds.
struct Kinds<'a>(&'a Summary);

impl Serialize for Kinds<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let kinds = Kind::ALL.iter().zip(self.0.kinds);
        serializer.collect_map(kinds.map(|(kind, count)| (kind.name(), count)))
    }
}

/// Transitions by the state entered, all states, so that every summary has the same fields.
struct States<'a>(&'a Summary);

impl Serialize for States<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let states = TcpState::ALL.iter().zip(self.0.entered);
        serializer.collect_map(states.map(|(state, count)| (state.name(), count)))
    }
}

#[derive(Serialize)]
struct LossesFields {
    ring_full: u64,
    recursion: u64,
    undecodable: u64,
    recorder_behind: u64,
}

#[derive(Serialize)]
struct LostFields {
    #[serde(rename = "type")]
    kind: &'static str,
    time: Utc,
    count: u64,
    why: &'static str,
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use jiff::tz::TimeZone;
    use tcptrace_common::tcp_state::TcpState;

    use super::{Losses, Lost, Summary, Times, lost_json, summary_json, summary_text};
    use crate::{
        event::LostWhy,
        time::{ClockSample, Timestamp},
    };

    fn text(out: &BytesMut) -> &str {
        str::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_summary_names_losses_even_if_there_were_none() {
        let mut summary = Summary::default();
        summary.count(TcpState::Close);
        summary.connections = 2;
        insta::assert_snapshot!(summary_text(&summary), @"tcptrace: 1 transition, 2 finished connections, nothing lost");
        summary.lost = Losses { ring_full: 10, recursion: 2, undecodable: 0, recorder_behind: 0 };
        summary.uncertain = 3;
        summary.evicted = 5;
        insta::assert_snapshot!(summary_text(&summary), @"
        tcptrace: 1 transition, 2 finished connections, 12 records lost
        tcptrace: 10 lost because the ring buffer was full, 2 lost to recursion, 3 uncertain for what was missed, 5 forgotten for lack of room
        ");
    }

    #[test]
    fn json_has_every_count() {
        let mut summary = Summary::default();
        summary.count(TcpState::TimeWait);
        let mut out = BytesMut::new();
        summary_json(&mut out, &summary);
        insta::assert_snapshot!(text(&out), @r#"{"type":"summary","transitions":1,"states":{"ESTABLISHED":0,"SYN_SENT":0,"SYN_RECV":0,"FIN_WAIT1":0,"FIN_WAIT2":0,"TIME_WAIT":1,"CLOSE":0,"CLOSE_WAIT":0,"LAST_ACK":0,"LISTEN":0,"CLOSING":0,"NEW_SYN_RECV":0},"connections":0,"lost":{"ring_full":0,"recursion":0,"undecodable":0,"recorder_behind":0},"uncertain":0,"evicted":0,"kinds":{"close_wait_not_closed":0,"close_wait_not_accepted":0,"fin_wait2_half_closed":0,"fin_wait2_orphan":0,"fin_wait1_unacked":0,"fin_wait1_zero_window":0,"last_ack_unacked":0,"closing_unacked":0,"syn_sent_unanswered":0,"syn_recv_unacked":0,"closed_fd_leaked":0,"time_wait_pressure":0},"resolved":0}"#);
    }

    #[test]
    fn a_loss_says_when_how_many_and_why() {
        let times = Times::new(TimeZone::UTC, ClockSample::default(), Timestamp(0));
        let lost = Lost { at: Timestamp(1_000_000_001), count: 7, why: LostWhy::RingFull };
        let mut out = BytesMut::new();
        lost_json(&mut out, &times, &lost);
        insta::assert_snapshot!(text(&out), @r#"{"type":"lost","time":"1970-01-01T00:00:01.000000001Z","count":7,"why":"ring_full"}"#);
    }
}
