//! Memory that the kernel shares with us.

use std::{
    io,
    ptr::{self, NonNull},
    slice,
    sync::atomic::AtomicU64,
};

use rustix::{
    fd::AsFd,
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// Pages of a file or a map of kernel programs, as long as this value lives.
#[derive(Debug)]
pub(super) struct Mapping {
    begin: NonNull<u8>,
    length: usize,
}

impl Mapping {
    /// The first `length` bytes of `file`.
    ///
    /// # Errors
    /// If the kernel does not give the memory.
    pub(super) fn of(
        file: impl AsFd,
        length: usize,
        access: ProtFlags,
        kind: MapFlags,
    ) -> io::Result<Self> {
        // SAFETY: the kernel chooses the place, so nothing else is there.
        let begin = unsafe { mmap(ptr::null_mut(), length, access, kind, file, 0) }?;
        Self::at(begin.cast(), length)
    }

    /// Memory of nobody else, full of zeros, in which tests play the kernel.
    #[cfg(any(test, fuzzing))]
    pub(super) fn anonymous(length: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: as above.
        let begin = unsafe {
            rustix::mm::mmap_anonymous(ptr::null_mut(), length, access, MapFlags::PRIVATE)
        }?;
        Self::at(begin.cast(), length)
    }

    fn at(begin: *mut u8, length: usize) -> io::Result<Self> {
        let begin = NonNull::new(begin).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { begin, length })
    }

    /// Bytes there are.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Where it begins.
    #[cfg(test)]
    pub(super) fn begin(&self) -> *mut u8 {
        self.begin.as_ptr()
    }

    /// The word at this place, of memory that may be written to.
    #[inline]
    pub(super) fn word(&self, place: usize) -> &AtomicU64 {
        assert!(place.is_multiple_of(8) && place + 8 <= self.length, "a word outside of its map");
        // SAFETY: it is within the mapping and aligned, which begins with a page; both sides write such
        // words whole.
        unsafe { AtomicU64::from_ptr(self.begin.as_ptr().add(place).cast()) }
    }

    /// The bytes from this place on.
    ///
    /// # Safety
    /// While they are used, nobody writes to them, and the file that they are of becomes no shorter.
    #[inline]
    pub(super) unsafe fn bytes(&self, place: usize, length: usize) -> &[u8] {
        let end = place.checked_add(length);
        assert!(end.is_some_and(|end| end <= self.length), "bytes outside of their map");
        // SAFETY: they are within the mapping; the rest is up to the caller.
        unsafe { slice::from_raw_parts(self.begin.as_ptr().add(place), length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more. A failure would leave memory to the process.
        let _ = unsafe { munmap(self.begin.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::Mapping;

    #[test]
    fn what_is_written_to_a_word_is_read_as_bytes() {
        let mapping = Mapping::anonymous(4096).expect("a page");
        mapping.word(4088).store(7, Ordering::Relaxed);
        // SAFETY: nobody writes any more.
        let end = unsafe { mapping.bytes(4080, 16) };
        assert_eq!(end, [[0; 8], 7_u64.to_ne_bytes()].concat());
    }

    #[test]
    #[should_panic(expected = "outside")]
    fn no_word_is_read_beyond_the_end() {
        let _ = Mapping::anonymous(4096).expect("a page").word(4096);
    }

    #[test]
    #[should_panic(expected = "outside")]
    fn no_byte_is_read_beyond_the_end() {
        let mapping = Mapping::anonymous(4096).expect("a page");
        // SAFETY: nobody writes.
        let _ = unsafe { mapping.bytes(4090, 7) };
    }
}
