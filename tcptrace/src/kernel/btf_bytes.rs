//! The bytes of the kernel's BTF.

use std::{
    ffi::c_void,
    fs::{self, File},
    io,
    ops::Deref,
    path::Path,
    ptr, slice,
};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

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
            && let Ok(mapping) = Mapping::of(&File::open(path)?)
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
            Self::Mapped(mapping) => mapping,
            Self::Read(bytes) => bytes,
        }
    }
}

/// Pages of the kernel.
#[derive(Debug)]
pub(super) struct Mapping {
    pages: *mut c_void,
    length: usize,
}

impl Mapping {
    fn of(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        // SAFETY: it replaces no other mapping.
        let pages =
            unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, file, 0) }?;
        Ok(Self { pages, length })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the kernel's BTF is as long as the file says, never changes, and lies here as long as
        // this value.
        unsafe { slice::from_raw_parts(self.pages.cast(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody can have a reference into it any more.
        _ = unsafe { munmap(self.pages, self.length) };
    }
}
