//! The pure core: events and time in, facts out. No I/O, no clock, no allocation that input could
//! make unbounded.

pub mod arrows;
pub mod change;
pub mod classify;
pub mod connection;
pub mod diagram;
pub mod filter;
pub mod findings;
pub mod hex;
pub mod map;
pub mod minisocks;
mod places;
pub mod raw;
pub mod report;
pub mod selection;
pub mod since;
pub mod socket_list;
pub mod span;
pub mod state_name;
pub mod summary;
pub mod tracker;
