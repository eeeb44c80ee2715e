//! What the tracker can say of a socket that a snapshot shows.

use tcptrace_common::tcp_state::TcpState;

use super::{Tracker, dumps::Index};
use crate::{
    event::{Shape, Socket},
    model::{
        change::{ConnectionId, Role},
        connection::Connection,
    },
};

/// What is remembered of a socket at hand.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// Its connection, which is in the state that the socket shows.
    Here(&'a Connection),
    /// Its connection has left that state since.
    MovedOn,
    /// Nothing.
    Stranger,
}

/// The tracker, ready for questions about the sockets of a snapshot.
#[derive(Debug)]
pub struct Memory<'a> {
    tracker: &'a Tracker,
    /// Only where rows name no address.
    index: Option<Index>,
}

impl<'a> Memory<'a> {
    /// What is remembered of the socket.
    #[must_use]
    pub fn known(&self, socket: &Socket) -> Known<'a> {
        let Tracker { sockets, unplaced, minisocks, .. } = self.tracker;
        let connection = match socket.shape {
            Shape::Request => None,
            Shape::Minisock => {
                let minisock = minisocks.at(Some(socket.netns), &socket.tuple);
                minisock.map(|minisock| &minisock.connection)
            }
            Shape::Full => {
                let skaddr = socket.skaddr.or_else(|| self.index.as_ref()?.find(socket));
                let placed = skaddr.and_then(|skaddr| sockets.get(skaddr));
                placed.or_else(|| unplaced.get(socket.cookie?))
            }
        };
        match connection {
            Some(connection) if !connection.may_be(socket.cookie, &socket.tuple) => Known::Stranger,
            Some(connection) if connection.state() != socket.state => Known::MovedOn,
            Some(connection) => Known::Here(connection),
            None => Known::Stranger,
        }
    }
}

impl Tracker {
    /// All that is there, as far as is known: full sockets, listeners too, and minisocks. In no order.
    pub fn living(&self) -> impl Iterator<Item = &Connection> {
        let placed = self.sockets.iter().map(|(_, connection)| connection);
        let minisocks = self.minisocks.iter().map(|minisock| &minisock.connection);
        let all = placed.chain(self.unplaced.iter()).chain(minisocks);
        all.filter(|connection| connection.state() != TcpState::Close)
    }

    /// Answers questions about these sockets.
    #[must_use]
    pub fn memory(&self, sockets: &[Socket]) -> Memory<'_> {
        let nameless = |socket: &Socket| socket.shape == Shape::Full && socket.skaddr.is_none();
        let index = sockets.iter().any(nameless).then(|| Index::new(&self.sockets));
        Memory { tracker: self, index }
    }

    /// Whether the connection `id` at this address is still in `state`.
    #[must_use]
    pub fn is_in(&self, skaddr: Option<u64>, id: ConnectionId, state: TcpState) -> bool {
        let is_it = |connection: &Connection| connection.id() == id && connection.state() == state;
        skaddr.and_then(|skaddr| self.sockets.get(skaddr)).is_some_and(is_it)
            || self.minisocks.orphan(id).is_some_and(|minisock| is_it(&minisock.connection))
    }
}

impl Connection {
    /// Whether its local port is the service: it was opened by somebody else.
    #[must_use]
    pub fn is_passive(&self) -> bool {
        self.role() == Some(Role::Passive)
    }
}
