//! Findings for people: a paragraph per group, with examples, cause and remedy.

use std::fmt::Write as _;

use bytes::BytesMut;
use tcptrace_common::tcp_state::TcpState;
use textwrap::{Options, WordSplitter};

use super::color;
use crate::{
    event::TimerKind,
    model::{
        change::Dwell,
        findings::{
            finding::{Finding, Group, HeldBy, Pressure, Resolved, Service},
            kind::Kind,
        },
    },
    output::{
        addresses::End,
        escape, people,
        row::Row,
        style::Style,
        times::Times,
        units::{Known, Nanoseconds},
    },
    time::nanoseconds,
};

/// Examples shown of a group, unless all are asked for.
const EXAMPLES: usize = 3;
/// Columns of a terminal that nobody has widened.
const WIDTH: usize = 80;

/// Writes what is new of a group; at the first time also the advice.
pub(in crate::output) fn group(
    out: &mut BytesMut,
    style: &Style,
    times: &mut Times,
    each: bool,
    group: &Group,
) {
    let Some(oldest) = group.news.first() else {
        return;
    };
    // What is merely older than before is told for the oldest of a group, unless each one is wanted.
    let older_only = group.news.iter().all(|finding| finding.again);
    if older_only && !each && oldest.age != group.oldest {
        return;
    }
    title(out, style, times, group, oldest);
    line(out, "  ", &format!("{}: {}", oldest.kind.name(), sizes(group, oldest)));
    let shown = if each { group.news.len() } else { EXAMPLES.min(group.news.len()) };
    if oldest.kind != Kind::TimeWaitPressure {
        for finding in &group.news[..shown] {
            example(out, style, finding);
        }
        match group.news.len() - shown {
            0 => {}
            more => line(out, "  ", &format!("and {more} more (--each lists all)")),
        }
    }
    if group.first {
        holders(out, oldest);
        advice(out, oldest);
    }
    out.extend_from_slice(b"\n");
}

fn title(out: &mut BytesMut, style: &Style, times: &mut Times, group: &Group, of: &Finding) {
    let mut row = Row::new(out);
    times.columns(&mut row, style, group.at);
    row.painted(color::of_state(style.color, of.kind.state()), of.kind.state().name());
    // Names are escaped, and nothing stands to their right that would have to be aligned.
    row.text(&format!("  {}  {}", who(of), service(&group.service)));
    row.end();
}

/// In whose hands it is, without descriptors.
fn who(finding: &Finding) -> String {
    let names: Vec<String> =
        finding.owners.iter().take(2).map(|owner| people::process(&owner.process)).collect();
    let mut names = names.join(", ");
    if finding.owners.len() > 2 {
        // Writing to a string cannot fail.
        _ = write!(names, " and {} more", finding.owners.len() - 2);
    }
    match (finding.held_by, &finding.closed_by) {
        (HeldBy::Nobody, Some(process)) => format!("closed by {}", people::process(process)),
        (held_by, _) => people::holder(held_by, &names),
    }
}

fn service(service: &Service) -> String {
    match service {
        Service::Local(port) => format!("local port {port}"),
        Service::Remote(addr, port) => {
            format!("to {}", End(&crate::event::Endpoint { addr: *addr, port: *port }))
        }
    }
}

fn sizes(group: &Group, of: &Finding) -> String {
    if let Some(pressure) = &of.pressure {
        return ports(pressure);
    }
    let connections = if group.count == 1 { "connection" } else { "connections" };
    let mut text = format!("{} {connections}, oldest {}", group.count, Known(group.oldest));
    match group.growth.map(f64::round) {
        None => {}
        Some(more) if more > 0.0 => _ = write!(text, ", {more} more per minute"),
        Some(less) if less < 0.0 => _ = write!(text, ", {} fewer per minute", -less),
        Some(_) => text.push_str(", not growing"),
    }
    text
}

/// `75 % of 28232 local ports`, and how fast they are used up.
pub(in crate::output) fn ports(pressure: &Pressure) -> String {
    let Pressure { time_wait, in_use, ports, per_second, runs_out_in } = pressure;
    let mut text = format!(
        "{} % of {ports} local ports\n  {time_wait} in TIME_WAIT, {in_use} in use, {per_second:.0} \
         more per second",
        pressure.percent()
    );
    match runs_out_in {
        Some(time) if time.is_zero() => text.push_str(", none is left"),
        Some(time) => {
            _ = write!(text, ", used up in {}", Nanoseconds(nanoseconds(*time)));
        }
        None => text.push_str(", as many become free"),
    }
    text
}

/// One connection: its age, its ends, what waits in it; below that the other end.
fn example(out: &mut BytesMut, style: &Style, finding: &Finding) {
    let mut text = format!("{:>8} ", Known(finding.age).to_string());
    match finding.owners.as_slice() {
        [owner] if finding.held_by == HeldBy::Processes => text.push_str(&people::fds(owner)),
        _ if finding.held_by == HeldBy::Processes => {
            text.push_str(&people::owners(&finding.owners));
        }
        _ => text.push('-'),
    }
    _ = write!(text, "  {} -> {}", End(&finding.tuple.local), End(&finding.tuple.remote));
    let (unread, unacked) = data_in(finding);
    if unread > 0 {
        _ = write!(text, ", {unread} bytes unread");
    }
    if unacked > 0 {
        _ = write!(text, ", {unacked} bytes not acknowledged");
    }
    if let Some(left) = finding.expires.map(|expires| expires.since(finding.at).unwrap_or(0)) {
        _ = write!(text, ", expires in {}", Nanoseconds(left));
    }
    if style.wide {
        _ = write!(text, ", netns {}", finding.netns);
        if let Some(timer) = finding.timer.filter(|timer| timer.kind != TimerKind::Off) {
            let left = Nanoseconds(timer.expires.since(finding.at).unwrap_or(0));
            _ = write!(text, ", timer {} in {left} ({})", timer.kind.name(), timer.retransmits);
        }
    }
    line(out, "  ", &text);
    if let Some(peer) = &finding.peer {
        line(out, "           ", &format!("other end: {}", people::peer(peer)));
    }
}

/// Bytes of data in its queues. A FIN takes one byte there, and is no data.
fn data_in(finding: &Finding) -> (u32, u32) {
    let received_fin =
        matches!(finding.kind.state(), TcpState::CloseWait | TcpState::LastAck | TcpState::Closing);
    let sent_fin = matches!(
        finding.kind.state(),
        TcpState::FinWait1 | TcpState::LastAck | TcpState::Closing | TcpState::SynSent
    );
    let Finding { recv_q, send_q, .. } = *finding;
    (recv_q.saturating_sub(received_fin.into()), send_q.saturating_sub(sent_fin.into()))
}

/// What the holders are, where more than the name is known.
fn holders(out: &mut BytesMut, finding: &Finding) {
    for owner in finding.owners.iter().take(EXAMPLES) {
        let Some(details) = &owner.details else {
            continue;
        };
        let mut text = people::process(&owner.process);
        if let Some(command) = details.command() {
            _ = write!(text, ": {}", escape::printable_text(&command));
        }
        match (details.container(), &details.cgroup) {
            (Some(container), _) => _ = write!(text, " [container {}]", &container[..12]),
            (None, Some(cgroup)) if cgroup != "/" => {
                _ = write!(text, " [cgroup {}]", escape::printable_text(cgroup));
            }
            _ => {}
        }
        paragraph(out, "Holder", &text);
    }
}

fn advice(out: &mut BytesMut, finding: &Finding) {
    let advice = &finding.advice;
    paragraph(out, "Cause", &advice.cause);
    for (number, remedy) in advice.remedy.iter().enumerate() {
        paragraph(out, if number == 0 { "Remedy" } else { "" }, &format!("- {remedy}"));
    }
    paragraph(out, "No help", &advice.useless);
    let sysctls: Vec<String> = advice
        .sysctls
        .iter()
        .map(|(sysctl, value)| format!("{} = {value}", sysctl.name()))
        .collect();
    if !sysctls.is_empty() {
        paragraph(out, "Here", &sysctls.join(", "));
    }
}

/// Writes findings that are over: one in full, several of a kind together.
pub(in crate::output) fn resolved(
    out: &mut BytesMut,
    style: &Style,
    times: &mut Times,
    resolved: &[Resolved],
) {
    let Some(last) = resolved.last() else {
        return;
    };
    let mut row = Row::new(out);
    times.columns(&mut row, style, last.at);
    row.text("resolved  ");
    let state = last.kind.state();
    row.painted(color::of_state(style.color, state), state.name());
    let who = last.process.as_ref().map(|process| format!("  {}", people::process(process)));
    row.text(&who.unwrap_or_default());
    if resolved.len() == 1 {
        let ends = format!("  {} -> {}", End(&last.tuple.local), End(&last.tuple.remote));
        row.text(&ends);
        if last.age != Dwell::Unknown {
            row.show(format_args!(" after {}", Known(last.age)));
        }
        if let Some(now) = last.now {
            row.show(format_args!(", now {now}"));
        }
    } else {
        row.show(format_args!("  {} connections", resolved.len()));
    }
    row.end();
}

fn line(out: &mut BytesMut, indent: &str, text: &str) {
    out.extend_from_slice(indent.as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\n");
}

/// A paragraph with its name to the left of it.
fn paragraph(out: &mut BytesMut, name: &str, text: &str) {
    let first = format!("  {name:<8} ");
    let hang = if text.starts_with("- ") { "             " } else { "           " };
    let options = Options::new(WIDTH)
        .initial_indent(&first)
        .subsequent_indent(hang)
        .word_splitter(WordSplitter::NoHyphenation);
    for part in textwrap::wrap(text, options) {
        line(out, "", &part);
    }
}
