//! Findings: which connections are stuck, who holds them, and since when.
//!
//! A snapshot (all sockets, who holds them, what these processes are, the settings) is judged as a
//! whole; the tracker adds since when. Between snapshots, events tell when the next one is worth it.

pub mod advice;
pub mod descendants;
pub mod detector;
pub mod finding;
pub mod kind;
pub mod limits;
pub mod lookout;

mod deadlines;
mod group;
mod judge;
mod pressure;
mod report;
mod snapshot;
mod waiting;
