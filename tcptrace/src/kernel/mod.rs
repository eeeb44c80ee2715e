//! The kernel edge: programs, maps, iterators, namespaces. The only module that names aya.

mod bare_loader;
pub mod btf;
mod btf_bytes;
pub mod clock;
pub mod decode;
mod functions;
#[cfg(fuzzing)]
pub mod fuzzing;
mod holders;
mod iterators;
mod layout;
mod loader;
mod losses;
pub mod machine;
mod mapping;
mod memory;
pub mod namespaces;
mod netlink;
pub mod privileges;
pub mod processes;
mod queues;
mod records;
pub mod requirements;
mod source;
pub mod sysctls;
mod tracepoint_format;

/// Where aya logs that it cannot raise limits, of which our own requirements tell more.
pub const LIMITS_LOG: &str = "aya::sys";

pub use holders::Holders;
pub use loader::{HookState, Mode};
pub use source::{Dump, KernelSource, SourceOptions};
