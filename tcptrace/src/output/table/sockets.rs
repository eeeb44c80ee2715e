//! The list of sockets as a table, as wide as its longest cells.

use std::{
    fmt::{self, Write as _},
    iter,
};

use bytes::BytesMut;
use tcptrace_common::tcp_state::TcpState;
use unicode_width::UnicodeWidthStr as _;

use super::color;
use crate::{
    event::{Endpoint, Socket, TimerKind},
    model::socket_list::ListedSocket,
    output::{
        addresses::{self, End},
        escape,
        row::Row,
        style::Style,
        units::{Known, Nanoseconds},
    },
};

/// Writes the names of the columns and one line per socket.
pub(in crate::output) fn list(out: &mut BytesMut, style: &Style, list: &[ListedSocket]) {
    let columns: Vec<&Column> =
        COLUMNS.iter().filter(|column| style.wide || !column.wide).collect();
    let mut cells = Cells::default();
    let mut widths: Vec<usize> = columns.iter().map(|column| column.name.len()).collect();
    for listed in list {
        for (column, width) in columns.iter().zip(&mut widths) {
            *width = cells.add(|text| (column.cell)(text, listed)).max(*width);
        }
    }

    // The last column is as long as its text.
    let padded = widths.iter().rev().skip(1).map(|width| width + 1).sum::<usize>();
    out.reserve(cells.text.len() + (list.len() + 1) * padded);
    let mut row = Row::new(out);
    for (column, width) in columns.iter().zip(&widths) {
        row.painted(color::of_head(style.color), column.name);
        column.end(&mut row, *width);
    }
    row.end();
    let mut cells = cells.iter();
    for listed in list {
        let mut row = Row::new(out);
        for ((column, width), cell) in columns.iter().zip(&widths).zip(&mut cells) {
            if column.name == STATE {
                row.painted(color::of_state(style.color, listed.socket.state), cell);
            } else {
                row.text_of_width(cell, width_of(cell));
            }
            column.end(&mut row, *width);
        }
        row.end();
    }
}

/// Texts one after the other, for a hundred thousand lines have a million cells.
#[derive(Default)]
struct Cells {
    text: String,
    /// Where each cell ends.
    ends: Vec<usize>,
}

impl Cells {
    /// Adds a cell, and returns the columns that it takes.
    fn add(&mut self, write: impl FnOnce(&mut String) -> fmt::Result) -> usize {
        let begin = self.text.len();
        // Writing to memory fails only if what is written says so.
        _ = write(&mut self.text);
        self.ends.push(self.text.len());
        width_of(&self.text[begin..])
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let begins = iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.text[begin..*end])
    }
}

fn width_of(cell: &str) -> usize {
    if cell.is_ascii() { cell.len() } else { cell.width() }
}

struct Column {
    name: &'static str,
    /// Numbers stand on the right.
    right: bool,
    /// Only in the wide table.
    wide: bool,
    cell: Cell,
}

type Cell = fn(&mut String, &ListedSocket) -> fmt::Result;

impl Column {
    fn end(&self, row: &mut Row, width: usize) {
        if self.right {
            row.right(width);
        } else {
            row.left(width);
        }
    }
}

const STATE: &str = "STATE";

const fn left(name: &'static str, cell: Cell) -> Column {
    Column { name, right: false, wide: false, cell }
}

const fn right(name: &'static str, cell: Cell) -> Column {
    Column { right: true, ..left(name, cell) }
}

const fn wide(name: &'static str, cell: Cell) -> Column {
    Column { wide: true, ..left(name, cell) }
}

const COLUMNS: [Column; 9] = [
    left(STATE, |text, listed| text.write_str(listed.socket.state.name())),
    right("AGE", |text, listed| write!(text, "{}", Known(listed.age))),
    right("RECV-Q", |text, listed| number(text, listed.socket.recv_q)),
    right("SEND-Q", |text, listed| number(text, listed.socket.send_q)),
    left("LOCAL", |text, listed| local(text, &listed.socket)),
    left("REMOTE", |text, listed| remote(text, &listed.socket)),
    wide("NETNS", |text, listed| number(text, listed.socket.netns)),
    wide("TIMER", |text, listed| timer(text, &listed.socket)),
    left("OWNER", write_owner),
];

fn number(text: &mut String, number: u32) -> fmt::Result {
    text.write_str(itoa::Buffer::new().format(number))
}

fn local(text: &mut String, socket: &Socket) -> fmt::Result {
    let local =
        Endpoint { addr: addresses::local_of_listed(socket), port: socket.tuple.local.port };
    write!(text, "{}", End(&local))
}

fn remote(text: &mut String, socket: &Socket) -> fmt::Result {
    if socket.state == TcpState::Listen {
        return text.write_str("*");
    }
    write!(text, "{}", End(&socket.tuple.remote))
}

/// `retransmit,1.25s,3`: what, in how long, how often in vain so far.
fn timer(text: &mut String, socket: &Socket) -> fmt::Result {
    match socket.timer {
        None => text.write_str("-"),
        Some(timer) if timer.kind == TimerKind::Off => text.write_str("off"),
        Some(timer) => {
            let left = timer.expires.since(socket.at).unwrap_or(0);
            write!(text, "{},{},{}", timer.kind.name(), Nanoseconds(left), timer.retransmits)
        }
    }
}

/// `nginx(812) fd 9,10, nginx(813) fd 9`.
pub(in crate::output) fn owner(listed: &ListedSocket) -> String {
    let mut text = String::new();
    // Writing to memory does not fail.
    _ = write_owner(&mut text, listed);
    text
}

fn write_owner(text: &mut String, listed: &ListedSocket) -> fmt::Result {
    if listed.owners.is_empty() {
        let kernel = listed.socket.kernel == Some(true);
        return text.write_str(if kernel { "kernel" } else { "-" });
    }
    for (place, owner) in listed.owners.iter().enumerate() {
        if place > 0 {
            text.write_str(", ")?;
        }
        text.write_str(&escape::printable(&owner.process.comm))?;
        text.write_str("(")?;
        number(text, owner.process.pid)?;
        text.write_str(") fd ")?;
        for (place, fd) in owner.fds.iter().enumerate() {
            if place > 0 {
                text.write_str(",")?;
            }
            number(text, *fd)?;
        }
    }
    Ok(())
}
