//! What the programs of tcptrace are compared with by `cargo xtask bench`; no part of the product.
//!
//! A program that does nothing is the floor of what the kernel's statistics can measure, one that
//! reserves and submits a record and does nothing else the floor of what any tracer must pay; one that
//! writes the time into it tells nothing yet, either.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

/// Keeps `cargo build --workspace` working: on the host this crate has nothing to run.
#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
mod programs {
    use aya_ebpf::{
        bindings::BPF_RB_NO_WAKEUP,
        helpers::generated::bpf_ktime_get_boot_ns,
        macros::{btf_tracepoint, map},
        maps::RingBuf,
        programs::BtfTracePointContext,
    };

    /// A record of 48 bytes, a common size of tracers.
    type Record = [u64; 6];

    #[map]
    static FLOOR_EVENTS: RingBuf = RingBuf::with_byte_size(1 << 24, 0);

    #[btf_tracepoint(function = "inet_sock_set_state")]
    fn floor_empty(_ctx: BtfTracePointContext) -> i32 {
        0
    }

    #[btf_tracepoint(function = "inet_sock_set_state")]
    fn floor_submit(_ctx: BtfTracePointContext) -> i32 {
        if let Some(mut entry) = FLOOR_EVENTS.reserve::<Record>(0) {
            entry.write([0; 6]);
            entry.submit(u64::from(BPF_RB_NO_WAKEUP));
        }
        0
    }

    #[btf_tracepoint(function = "inet_sock_set_state")]
    fn floor_timed(_ctx: BtfTracePointContext) -> i32 {
        if let Some(mut entry) = FLOOR_EVENTS.reserve::<Record>(0) {
            // SAFETY: the helper only reads a clock.
            entry.write([unsafe { bpf_ktime_get_boot_ns() }, 0, 0, 0, 0, 0]);
            entry.submit(u64::from(BPF_RB_NO_WAKEUP));
        }
        0
    }

    #[panic_handler]
    fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }

    #[unsafe(link_section = "license")]
    #[unsafe(no_mangle)]
    static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
}
