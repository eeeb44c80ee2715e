//! Reading kernel structures at the offsets the loader found.

use core::{mem::MaybeUninit, ptr};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use tcptrace_common::layout::{ABSENT, Layout, Settings};

/// A read-only global that the loader fills before loading.
///
/// Its value is read through [`constant`], or the compiler would take the initial one for final.
#[repr(transparent)]
pub(crate) struct Constant<T>(pub(crate) T);

#[unsafe(no_mangle)]
pub(crate) static LAYOUT: Constant<Layout> = Constant(ZERO_LAYOUT);
#[unsafe(no_mangle)]
pub(crate) static SETTINGS: Constant<Settings> = Constant(ZERO_SETTINGS);

// SAFETY: both are plain integers, for which all-zero bytes are a value.
const ZERO_LAYOUT: Layout = unsafe { core::mem::zeroed() };
// SAFETY: as above.
const ZERO_SETTINGS: Settings = unsafe { core::mem::zeroed() };

/// What the loader put into (a part of) a [`Constant`].
#[inline(always)]
pub(crate) fn constant<T: Copy>(value: &'static T) -> T {
    // SAFETY: a reference is valid for reads.
    unsafe { ptr::read_volatile(value) }
}

/// Offset of a field of [`Layout`] in the running kernel.
macro_rules! offset {
    ($field:ident) => {
        $crate::fields::constant(&$crate::fields::LAYOUT.0.$field)
    };
}
pub(crate) use offset;

/// A value of [`Settings`].
macro_rules! setting {
    ($field:ident) => {
        $crate::fields::constant(&$crate::fields::SETTINGS.0.$field)
    };
}
pub(crate) use setting;

/// Loads a field of a structure that the verifier knows by its BTF type.
///
/// The kernel turns the load into one that reads 0 from an address that faults, so a null or stale
/// `base` gives 0 (`PROBE_MEM`, 5.5+).
///
/// # Safety
/// `base` must be a BTF pointer of the running program, with a field of type `T` at `offset`.
#[inline(always)]
pub(crate) unsafe fn load<T: Copy>(base: *const u8, offset: u16) -> T {
    // SAFETY: the verifier checks the type, the kernel handles the fault (see above).
    unsafe { ptr::read_volatile(base.add(usize::from(offset)).cast::<T>()) }
}

/// Inode number of a socket's network namespace.
///
/// # Safety
/// `sk` must be a BTF pointer to a socket of any shape.
#[inline(always)]
pub(crate) unsafe fn netns(sk: *const u8) -> u32 {
    // SAFETY: `skc_net.net` is of `sock_common` and points to a `struct net`; a null one reads as 0.
    unsafe { load::<u32>(load::<*const u8>(sk, offset!(net)), offset!(net_inum)) }
}

/// Reads a field of any kernel structure; the zero value if the field is absent or the read fails.
///
/// The helper fills with zeros what it cannot read (`bpf_probe_read_kernel_common`, 5.10 to 7.2). To
/// look at what it returns would double the paths behind every field: older verifiers (6.1) walk all of
/// them, and give up.
#[inline(always)]
pub(crate) fn probe<T: Copy + Zero>(base: *const u8, offset: u16) -> T {
    if offset == ABSENT {
        return T::ZERO;
    }
    let mut value = MaybeUninit::<T>::uninit();
    let from = base.wrapping_add(usize::from(offset));
    // SAFETY: the helper copies from any address, reports a fault instead of taking it, and writes
    // every byte of `value` in either case; all types that may be read are plain.
    unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, from.cast());
        value.assume_init()
    }
}

/// A type that [`probe`] may read, with its zero value.
pub(crate) trait Zero {
    /// Zero.
    const ZERO: Self;
}

macro_rules! zero {
    ($($type:ty = $zero:expr),*) => { $(impl Zero for $type { const ZERO: Self = $zero; })* };
}
zero!(
    u8 = 0,
    u16 = 0,
    u32 = 0,
    u64 = 0,
    [u8; 16] = [0; 16],
    *const u8 = ptr::null()
);
