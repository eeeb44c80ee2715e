//! The state diagram: drawn, and as a list of its arrows for whoever cannot use a drawing.

use bytes::BytesMut;
use tcptrace_common::tcp_state::TcpState::{
    self, Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv,
    SynSent, TimeWait,
};

use super::pages;
use crate::{
    model::{
        arrows::Arrows,
        diagram::{Arrow, PARTS, Part},
    },
    output::{row::Row, table::color, units::Nanoseconds},
};

/// The drawing. Lines that begin with `+` are there only if transitions were counted; `@a....` in
/// them is the room for the numbers of an arrow of [`DRAWN`]. `[STATE]` is the name of a state.
const DRAWING: &str = include_str!("drawing.txt");

/// The arrows of the drawing, by their letters from `a` on.
const DRAWN: [(TcpState, TcpState); 15] = [
    (Close, Listen),
    (Close, SynSent),
    (SynSent, SynRecv),
    (SynSent, Established),
    (Listen, SynRecv),
    (SynRecv, Established),
    (Established, FinWait1),
    (Established, CloseWait),
    (FinWait1, FinWait2),
    (FinWait1, Closing),
    (CloseWait, LastAck),
    (FinWait2, TimeWait),
    (Closing, TimeWait),
    (LastAck, Close),
    (TimeWait, Close),
];

/// Columns of the list.
const STATE: usize = 11;
const MOVER: usize = 6;
const COUNT: usize = 8;
const MEDIAN: usize = 7;

const HOW_TO_READ: &str = "\
Who moves a connection along an arrow: \"close()\" is a call of the application on
this host, \"FIN arrives\" a packet from the peer, \"60 s pass\" a timer.
NEW_SYN_RECV is a request of the listener, no socket yet.
";
const HOW_TO_READ_NUMBERS: &str = "\
On each arrow: how many connections went along it, and after what time in the
state before it (the median of the times known exactly, if any is). A connection
within this host counts with both its ends.
NEW_SYN_RECV is a request of the listener, no socket yet, and not traced.
";
const STRANGE: &str = "\
Not in the diagram, and yet seen. Please report it with the kernel's version:
";
const NOTHING_STRANGE: &str = "No transition was against the diagram.\n";

/// Writes the diagram; with the numbers of a trace, if there are any.
pub fn diagram(out: &mut BytesMut, color: bool, counted: Option<&Arrows>) {
    drawing(out, color, counted);
    let how = if counted.is_some() { HOW_TO_READ_NUMBERS } else { HOW_TO_READ };
    out.extend_from_slice(b"\n");
    out.extend_from_slice(how.as_bytes());
    if let Some(arrows) = counted {
        let undrawn = arrows.transitions()
            - DRAWN.map(|(from, to)| arrows.times(from, to)).iter().sum::<u64>();
        let mut row = Row::new(out);
        row.show(format_args!("Not drawn, only listed: {undrawn}."));
        row.end();
    }
    for part in &PARTS {
        list(out, color, part, counted);
    }
    out.extend_from_slice(b"\n");
    match counted {
        Some(arrows) => strange(out, arrows),
        None => further(out),
    }
}

/// Writes the drawing alone.
pub(in crate::output) fn drawing(out: &mut BytesMut, color: bool, counted: Option<&Arrows>) {
    for line in DRAWING.lines() {
        let line = match (line.strip_prefix('+'), counted) {
            (None, _) => line.get(1..).unwrap_or_default().to_owned(),
            (Some(line), Some(arrows)) => with_numbers(line, arrows),
            (Some(_), None) => continue,
        };
        painted(out, color, line.trim_end());
        out.extend_from_slice(b"\n");
    }
}

/// The line with numbers in their rooms, which they fill exactly, lest what follows be moved.
fn with_numbers(line: &str, arrows: &Arrows) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, room)) = rest.split_once('@') {
        text.push_str(before);
        let letter = room.bytes().next().unwrap_or_default();
        let dots = room.bytes().skip(1).take_while(|&b| b == b'.').count();
        let arrow = letter.checked_sub(b'a').and_then(|index| DRAWN.get(usize::from(index)));
        let width = dots + 2;
        let numbers = arrow.map(|&(from, to)| {
            let both = numbers(arrows, from, to);
            if both.len() <= width { both } else { arrows.times(from, to).to_string() }
        });
        text.push_str(&format!("{:<width$}", numbers.unwrap_or_default()));
        rest = room.get(1 + dots..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

fn numbers(arrows: &Arrows, from: TcpState, to: TcpState) -> String {
    let times = arrows.times(from, to);
    match arrows.median_ns(from, to) {
        Some(ns) => format!("{times}, after {}", Nanoseconds(ns)),
        None => times.to_string(),
    }
}

/// Writes a line of the drawing with the names of states in their colours.
fn painted(out: &mut BytesMut, color: bool, line: &str) {
    let mut row = Row::new(out);
    let mut rest = line;
    while let Some((before, (name, after))) =
        rest.split_once('[').and_then(|(before, rest)| Some((before, rest.split_once(']')?)))
    {
        let state = TcpState::ALL.into_iter().find(|state| state.name() == name);
        row.text(before);
        row.text("[");
        row.painted(state.map_or_else(anstyle::Style::new, |s| color::of_state(color, s)), name);
        row.text("]");
        rest = after;
    }
    row.text(rest);
}

fn list(out: &mut BytesMut, color: bool, part: &Part, counted: Option<&Arrows>) {
    let bold = color::of_head(color);
    out.extend_from_slice(b"\n");
    let mut row = Row::new(out);
    row.painted(bold, part.name);
    row.end();
    let mut row = Row::new(out);
    for head in ["FROM", "TO"] {
        row.painted(bold, head);
        row.left(STATE);
    }
    if counted.is_some() {
        row.painted(bold, "COUNT");
        row.right(COUNT);
        row.painted(bold, "MEDIAN");
        row.right(MEDIAN);
    }
    row.painted(bold, "BY");
    row.left(MOVER);
    row.painted(bold, "WHAT MOVES IT");
    row.end();
    for Arrow { from, to, mover, cause } in part.arrows {
        let mut row = Row::new(out);
        for state in [*from, *to] {
            row.painted(color::of_state(color, state), state.name());
            row.left(STATE);
        }
        if let Some(arrows) = counted {
            row.number(arrows.times(*from, *to));
            row.right(COUNT);
            match arrows.median_ns(*from, *to) {
                Some(ns) => row.show(Nanoseconds(ns)),
                None => row.text("-"),
            }
            row.right(MEDIAN);
        }
        row.text(mover.name());
        row.left(MOVER);
        row.text(cause);
        row.end();
    }
}

fn strange(out: &mut BytesMut, arrows: &Arrows) {
    let mut found = arrows.strange().peekable();
    let text = if found.peek().is_some() { STRANGE } else { NOTHING_STRANGE };
    out.extend_from_slice(text.as_bytes());
    for (from, to) in found {
        let mut row = Row::new(out);
        row.show(format_args!("  {from} to {to}: {}", numbers(arrows, from, to)));
        row.end();
    }
}

/// What else can be asked.
fn further(out: &mut BytesMut) {
    let topics: Vec<_> = pages::topics().map(|(name, _)| name).collect();
    let mut row = Row::new(out);
    row.show(format_args!(
        "More: tcptrace explain FIN_WAIT2 (or any state), or\n{}one of {}",
        " ".repeat(6),
        topics.join(", ")
    ));
    row.end();
}

#[cfg(test)]
mod tests {
    use super::{Arrows, DRAWING, DRAWN, TcpState, with_numbers};
    use crate::model::diagram::allows;

    #[test]
    fn the_drawing_has_every_state_and_a_room_for_every_arrow() {
        for state in TcpState::ALL {
            assert!(DRAWING.contains(state.name()), "{state}");
        }
        for (letter, (from, to)) in (b'a'..).zip(DRAWN) {
            assert!(allows(from, to), "{from} to {to}");
            let room = format!("@{}....", char::from(letter));
            assert_eq!(DRAWING.matches(&room).count(), 1, "{room}");
        }
        assert_eq!(DRAWING.matches('@').count(), DRAWN.len());
        let rooms = DRAWING.lines().filter(|line| line.contains('@'));
        assert!(rooms.map(|line| line.chars().next()).all(|first| first == Some('+')));
    }

    #[test]
    fn numbers_move_nothing() {
        let line = with_numbers("| @a...| @b..| @z.|", &Arrows::default());
        assert_eq!(line, "| 0    | 0   |    |");
    }
}
