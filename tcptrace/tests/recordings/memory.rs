//! An allocator that knows how much each thread took.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// The system's, counted.
pub(crate) struct Counted;

thread_local! {
    /// Bytes taken and not given back, and the most that this was. A thread may give back what another
    /// took, so it may be below zero.
    static TAKEN: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn take(bytes: isize) {
    // A thread that ends has no cell any more.
    _ = TAKEN.try_with(|taken| {
        let (now, most) = taken.get();
        let now = now.saturating_add(bytes);
        taken.set((now, most.max(now)));
    });
}

// SAFETY: everything is left to the system's allocator; counting takes no memory.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size().cast_signed());
        // SAFETY: the caller keeps the same promises to us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        take(-layout.size().cast_signed());
        // SAFETY: the caller keeps the same promises to us.
        unsafe { System.dealloc(block, layout) }
    }
}

/// The most bytes that `work` had taken at a time, on this thread.
pub(crate) fn peak(work: impl FnOnce()) -> usize {
    TAKEN.set((0, 0));
    work();
    TAKEN.get().1.cast_unsigned()
}
