//! What was derived from a recording, as Parquet tables for other tools.
//!
//! A table has the fields of the JSON under the same names, and the host. Its rows are `transitions`
//! or `connections`, its columns know how they lie in memory (`column.rs`), `parquet_file.rs` writes
//! one file, `partitions.rs` many of them, `destination.rs` is where files go and how they get there.

mod column;
mod connections;
mod destination;
mod parquet_file;
mod partitions;
mod rows;
mod transitions;

pub use destination::Destination;
pub use parquet_file::ParquetFile;
pub use partitions::{Partition, Partitions};
pub use rows::Table;
