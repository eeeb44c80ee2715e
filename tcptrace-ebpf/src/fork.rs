//! `sched_process_fork`: which process descends from which.

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_boot_ns, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use tcptrace_common::record::{ForkRecord, KIND_FORK};

use crate::{
    emit,
    fields::{load, offset},
};

#[btf_tracepoint(function = "sched_process_fork")]
fn process_fork(ctx: BtfTracePointContext) -> i32 {
    let (parent, child): (*const u8, *const u8) = (ctx.arg(0), ctx.arg(1));
    // SAFETY: both arguments of this tracepoint are tasks, whose ids lie at these offsets.
    let (parent, child, thread): (u32, u32, u32) = unsafe {
        (
            load(parent, offset!(task_tgid)),
            load(child, offset!(task_tgid)),
            load(child, offset!(task_pid)),
        )
    };
    // A new thread belongs to the process that made it.
    if thread != child {
        return 0;
    }
    let Some(mut entry) = emit::reserve::<ForkRecord>(KIND_FORK) else {
        return 0;
    };
    entry.write(ForkRecord {
        kind: KIND_FORK,
        reserved: [0; 7],
        // SAFETY: helper without arguments.
        boot_ns: unsafe { bpf_ktime_get_boot_ns() },
        parent,
        child,
    });
    emit::submit(entry);
    0
}
