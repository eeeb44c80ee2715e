//! The list of sockets as a table, as wide as its longest cells.

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
    let lines: Vec<Vec<String>> = list
        .iter()
        .map(|listed| columns.iter().map(|column| (column.cell)(listed)).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| {
            let cells = lines.iter().map(|line| line[i].width());
            cells.max().unwrap_or(0).max(column.name.len())
        })
        .collect();

    let mut row = Row::new(out);
    for (column, width) in columns.iter().zip(&widths) {
        row.painted(color::of_head(style.color), column.name);
        column.end(&mut row, *width);
    }
    row.end();
    for (listed, line) in list.iter().zip(&lines) {
        let mut row = Row::new(out);
        for ((column, width), cell) in columns.iter().zip(&widths).zip(line) {
            if column.name == STATE {
                row.painted(color::of_state(style.color, listed.socket.state), cell);
            } else {
                row.text_of_width(cell, cell.width());
            }
            column.end(&mut row, *width);
        }
        row.end();
    }
}

struct Column {
    name: &'static str,
    /// Numbers stand on the right.
    right: bool,
    /// Only in the wide table.
    wide: bool,
    cell: fn(&ListedSocket) -> String,
}

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

const fn left(name: &'static str, cell: fn(&ListedSocket) -> String) -> Column {
    Column { name, right: false, wide: false, cell }
}

const fn right(name: &'static str, cell: fn(&ListedSocket) -> String) -> Column {
    Column { right: true, ..left(name, cell) }
}

const fn wide(name: &'static str, cell: fn(&ListedSocket) -> String) -> Column {
    Column { wide: true, ..left(name, cell) }
}

const COLUMNS: [Column; 9] = [
    left(STATE, |listed| listed.socket.state.to_string()),
    right("AGE", |listed| Known(listed.age).to_string()),
    right("RECV-Q", |listed| listed.socket.recv_q.to_string()),
    right("SEND-Q", |listed| listed.socket.send_q.to_string()),
    left("LOCAL", |listed| local(&listed.socket)),
    left("REMOTE", |listed| remote(&listed.socket)),
    wide("NETNS", |listed| listed.socket.netns.to_string()),
    wide("TIMER", |listed| timer(&listed.socket)),
    left("OWNER", owner),
];

fn local(socket: &Socket) -> String {
    let local =
        Endpoint { addr: addresses::local_of_listed(socket), port: socket.tuple.local.port };
    End(&local).to_string()
}

fn remote(socket: &Socket) -> String {
    if socket.state == TcpState::Listen {
        return "*".to_owned();
    }
    End(&socket.tuple.remote).to_string()
}

/// `retransmit,1.25s,3`: what, in how long, how often in vain so far.
fn timer(socket: &Socket) -> String {
    match socket.timer {
        None => "-".to_owned(),
        Some(timer) if timer.kind == TimerKind::Off => "off".to_owned(),
        Some(timer) => {
            let left = timer.expires.since(socket.at).unwrap_or(0);
            format!("{},{},{}", timer.kind.name(), Nanoseconds(left), timer.retransmits)
        }
    }
}

/// `nginx(812) fd 9,10, nginx(813) fd 9`.
pub(in crate::output) fn owner(listed: &ListedSocket) -> String {
    if listed.owners.is_empty() {
        let kernel = listed.socket.kernel == Some(true);
        return if kernel { "kernel" } else { "-" }.to_owned();
    }
    let owners = listed.owners.iter().map(|owner| {
        let fds: Vec<String> = owner.fds.iter().map(u32::to_string).collect();
        let comm = escape::printable(&owner.process.comm);
        format!("{comm}({}) fd {}", owner.process.pid, fds.join(","))
    });
    owners.collect::<Vec<_>>().join(", ")
}
