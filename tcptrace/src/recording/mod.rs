//! Recordings: every input of the analysis in a file, and back.
//!
//! A recording is an Apache Arrow IPC stream with one schema, in which a row is an event. It is whole
//! up to its last complete batch, however it ended.

mod cells;
mod column;
mod events;
mod input;
mod message;
mod metadata;
mod names;
mod output;
mod reader;
mod recorder;
mod repeated;
mod rotation;
mod rows;
mod schema;
mod turn;
mod writer;

pub use input::{EXTENSION, Input};
pub use metadata::Metadata;
pub use output::Output;
pub use reader::{NothingWritten, Recording, Tail};
pub use recorder::{Begin, Progress, Recorder};
pub use rotation::{Rotate, Rotation};
pub use writer::{Compression, Encoder};
