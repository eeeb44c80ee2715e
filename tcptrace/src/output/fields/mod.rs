//! Records as named fields, for JSON and CSV. The names are a promise.

pub(super) mod connections;
pub(super) mod sockets;
pub(super) mod stuck;
pub(super) mod stuck_csv;
pub(super) mod transitions;
