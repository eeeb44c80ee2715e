//! Records as named fields, for JSON, CSV and tables. The names are a promise.

pub(crate) mod connections;
pub(super) mod sockets;
pub(super) mod stuck;
pub(super) mod stuck_csv;
pub(crate) mod transitions;
