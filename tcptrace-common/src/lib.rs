//! What the kernel programs and userspace agree on: record layouts, symbol names, state numbers.
//!
//! Everything here is plain bytes: no `bool`, no enum and no pointer crosses the boundary, so that
//! any bit pattern the kernel side could write is a valid value on the other side.
#![no_std]

pub mod layout;
pub mod queue;
pub mod record;
pub mod symbols;
pub mod tcp_state;
