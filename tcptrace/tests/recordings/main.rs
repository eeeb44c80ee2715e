//! Recordings from outside: what disks and people do to them, and what an old one still says.

mod faults;
mod format;
mod hostile;
mod memory;
mod refused;
mod sample;

#[global_allocator]
static MEMORY: memory::Counted = memory::Counted;
