//! How much memory the programs hand their records over in.

use anyhow::{Context as _, Result};
use aya::util::nr_cpus;
use tcptrace_common::queue::SEGMENT_BYTES;

use super::{SourceOptions, btf::Btf};

/// Of the ring buffer half is enough where the bulk goes by queues. What programs on functions tell of a
/// connection still comes this way, some 180 bytes, and the ends of all TIME_WAIT that began in the same
/// seconds come in one interrupt: 131,072 of them, as many as there may be on a host, take 10 MB.
const RING_SHARE: u32 = 2;

/// A ring buffer, and perhaps queues.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    /// Size of the ring buffer.
    pub(super) ring_bytes: u32,
    /// How many queues there may be.
    pub(super) cpus: u32,
    /// How many segments each has, a power of two; 0 if there are no queues.
    pub(super) queue_segments: u32,
}

impl Memory {
    /// Only a ring buffer.
    pub(super) fn ring(options: &SourceOptions) -> Self {
        Self { ring_bytes: options.ring_bytes, cpus: 1, queue_segments: 0 }
    }

    /// With queues, but not where the kernel may let a program interrupt itself (before 6.1;
    /// `bpf_raw_tp_link.cookie` came with 6.10), or a reader may see stores in another order than they
    /// were made in; nor where there may be more processors than the memory has segments, for one ring
    /// buffer serves whichever of them is busy.
    ///
    /// # Errors
    /// If the processors cannot be counted.
    pub(super) fn with_queues(options: &SourceOptions, btf: &Btf) -> Result<Self> {
        if !cfg!(target_arch = "x86_64") || btf.field("bpf_raw_tp_link", "cookie").is_none() {
            return Ok(Self::ring(options));
        }
        let cpus = nr_cpus().map_err(|(_, error)| error).context("cannot count the processors")?;
        let cpus = u32::try_from(cpus).context("too many processors")?;
        let Some(power) = (options.ring_bytes / SEGMENT_BYTES as u32 / cpus).checked_ilog2() else {
            return Ok(Self::ring(options));
        };
        let queue_segments = 1 << power;
        Ok(Self { ring_bytes: options.ring_bytes / RING_SHARE, cpus, queue_segments })
    }
}
