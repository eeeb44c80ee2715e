//! tcptrace follows every TCP connection of a Linux host through its states.

pub mod cli;
pub mod commands;
pub mod event;
pub mod export;
pub mod kernel;
pub mod live;
pub mod model;
pub mod output;
pub mod pipeline;
pub mod recording;
pub mod replay;
pub mod teller;
pub mod time;
