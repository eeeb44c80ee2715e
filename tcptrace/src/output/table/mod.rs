//! Tables for people, narrow ones within 80 columns for IPv4.

pub(super) mod cells;
pub(super) mod color;
pub(super) mod connections;
pub(super) mod sockets;
pub(super) mod stuck;
pub(super) mod transitions;
