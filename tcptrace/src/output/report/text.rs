//! The report for people with a terminal. What matters most is on the first screen.

mod chart;
mod tables;

use bytes::BytesMut;

use super::{
    Account,
    stuck::{self, Told},
    words,
};
use crate::{
    model::findings::finding::Group,
    output::{
        escape::printable_text,
        explain::diagram,
        row::Row,
        style::{Format, Style},
        table::{color, stuck as table},
        units::{Known, Nanoseconds},
    },
};

/// Groups on the first screen.
const FIRST: usize = 8;
/// Columns of the table of what is stuck.
const COUNT: usize = 6;
const SINCE: usize = 10;
const GROWTH: usize = 8;
const OLDEST: usize = 8;
const STATE: usize = 11;
/// What remains of a terminal's line for the last of them.
const WHO: usize = 80 - COUNT - SINCE - GROWTH - OLDEST - STATE - 5;

pub(super) fn table(out: &mut BytesMut, account: &Account<'_>, color: bool) {
    let told = stuck::told(account);
    overview(out, account);
    first_look(out, account, &told, color);
    chart::timeline(out, account);
    tables::states(out, account.report, color);
    tables::connections(out, account.report, color);
    tables::waiting(out, account.report, color);
    head(
        out,
        color,
        "How many went along each arrow of the state diagram, and after what median time",
    );
    diagram::drawing(out, color, Some(&account.report.arrows));
    findings(out, account, &told, color);
}

fn overview(out: &mut BytesMut, account: &Account<'_>) {
    line(out, &printable_text(&words::machine(account)));
    let lasted = account.span().ns().map(|ns| format!(", {}", Nanoseconds(ns)));
    line(out, &format!("{}{}", words::from_to(account), lasted.unwrap_or_default()));
    line(
        out,
        &format!(
            "{} events, {} transitions, {} connections opened, {} finished",
            account.span().events,
            account.summary.transitions(),
            account.report.opened,
            account.report.finished,
        ),
    );
    let lost = match words::losses(account) {
        lost if lost.is_empty() => "nothing lost".to_owned(),
        lost => lost.join(", "),
    };
    textwrap::wrap(&lost, 80).iter().for_each(|text| line(out, text));
}

/// What is stuck, a line for a group.
fn first_look(out: &mut BytesMut, account: &Account<'_>, told: &[Told<'_>], color: bool) {
    if told.is_empty() {
        head(out, color, "Nothing was stuck.");
        return;
    }
    let bold = color::of_head(color);
    out.extend_from_slice(b"\n");
    let mut row = Row::new(out);
    row.painted(bold, "STUCK");
    row.right(COUNT);
    row.painted(bold, "SINCE");
    row.right(SINCE);
    row.painted(bold, "PER MIN");
    row.right(GROWTH);
    row.painted(bold, "OLDEST");
    row.right(OLDEST);
    row.painted(bold, "STATE");
    row.left(STATE);
    row.painted(bold, "WHO");
    row.end();
    for told in &told[..told.len().min(FIRST)] {
        let mut row = Row::new(out);
        match &told.first.pressure {
            // It is about local ports, not about connections.
            Some(pressure) if told.group.now() > 0 => {
                row.show(format_args!("{}%", pressure.percent()));
            }
            _ => row.number(told.group.now()),
        }
        row.right(COUNT);
        row.text(&words::since(account, told));
        row.right(SINCE);
        row.text(&words::growth(told));
        row.right(GROWTH);
        row.show(Known(told.oldest));
        row.right(OLDEST);
        let state = told.first.kind.state();
        row.painted(color::of_state(color, state), state.name());
        row.left(STATE);
        row.text(&cut(&words::who(told)));
        row.end();
    }
    if told.len() > FIRST {
        line(out, &format!("and {} more groups, below", told.len() - FIRST));
    }
}

/// The text, or as much of it as has room.
fn cut(text: &str) -> String {
    if text.chars().count() <= WHO {
        return text.to_owned();
    }
    text.chars().take(WHO - 1).chain(['+']).collect()
}

/// Each group with why and what helps.
fn findings(out: &mut BytesMut, account: &Account<'_>, told: &[Told<'_>], color: bool) {
    if told.is_empty() {
        return;
    }
    head(out, color, "What was stuck, why, and what helps");
    out.extend_from_slice(b"\n");
    let style = Style { color, ..Style::new(Format::Table) };
    for told in told {
        let mut times = account.times.clone();
        times.set_clock(told.group.clock);
        line(out, &words::found(told));
        let group = Group {
            count: told.group.now(),
            oldest: told.oldest,
            growth: told.per_minute,
            first: true,
            ..told.group.told.clone()
        };
        table::group(out, &style, &mut times, false, &group);
    }
}

fn head(out: &mut BytesMut, color: bool, text: &str) {
    out.extend_from_slice(b"\n");
    let mut row = Row::new(out);
    row.painted(color::of_head(color), text);
    row.end();
}

fn line(out: &mut BytesMut, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\n");
}
