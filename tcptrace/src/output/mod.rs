//! How facts read: pure formatting into a buffer, no I/O.
//!
//! One file per kind of record (`transitions`, `connections`, `sockets`, `stuck`, `summary`) chooses
//! among the formats: `table`, `bcc`, and the `fields` of CSV and JSON. `explain` and `diagnoses` are
//! text of their own. The other files are what these have in common.

pub mod connections;
pub mod escape;
pub mod explain;
pub mod progress;
pub mod report;
pub mod sockets;
pub mod stuck;
pub mod style;
pub mod summary;
pub mod times;
pub mod transitions;

mod addresses;
mod bcc;
mod csv;
pub mod diagnoses;
pub(crate) mod fields;
#[cfg(test)]
mod golden;
pub(crate) mod json;
mod people;
mod row;
mod table;
mod units;
