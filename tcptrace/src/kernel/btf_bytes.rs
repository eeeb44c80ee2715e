//! The bytes of the kernel's BTF.

use std::{
    fs::{self, File},
    io,
    ops::Deref,
    path::Path,
};

use rustix::mm::{MapFlags, ProtFlags};

use super::mapping::Mapping;

/// Where the kernel has its own BTF.
pub(super) const OF_THE_KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// They are mapped where the kernel allows that (6.16+): to copy five megabytes in pieces of a page
/// takes longer than to find in them what is asked for.
#[derive(Debug)]
pub(super) enum BtfBytes {
    Mapped(Mapping),
    Read(Vec<u8>),
}

impl BtfBytes {
    /// Those at `path`.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        // Any other file might become shorter meanwhile.
        if path == Path::new(OF_THE_KERNEL)
            && let Ok(mapping) = mapped(&File::open(path)?)
        {
            return Ok(Self::Mapped(mapping));
        }
        fs::read(path).map(Self::Read)
    }
}

impl From<Vec<u8>> for BtfBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Read(bytes)
    }
}

impl Deref for BtfBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            // SAFETY: the kernel's BTF is as long as the file says, and never changes.
            Self::Mapped(mapping) => unsafe { mapping.bytes(0, mapping.len()) },
            Self::Read(bytes) => bytes,
        }
    }
}

fn mapped(file: &File) -> io::Result<Mapping> {
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    Mapping::of(file, length, ProtFlags::READ, MapFlags::PRIVATE)
}
