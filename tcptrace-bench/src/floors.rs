//! The programs that those of tcptrace are compared with.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Btf, Ebpf, include_bytes_aligned,
    maps::{MapData, RingBuf},
    programs::BtfTracePoint,
};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/floors"));

/// How often what was submitted is taken away.
const DRAIN: Duration = Duration::from_millis(4);

/// Does nothing.
pub(crate) const EMPTY: &str = "floor_empty";
/// Reserves and submits a record of 48 bytes.
pub(crate) const SUBMIT: &str = "floor_submit";
/// Reserves and submits a record of 48 bytes with the time in it.
pub(crate) const TIMED: &str = "floor_timed";

/// Runs `action` while the program of this name is attached to the tracepoint.
pub(crate) fn attached<T>(name: &str, action: impl FnOnce() -> Result<T>) -> Result<T> {
    ensure!(!OBJECT.is_empty(), "built without kernel programs: unset TCPTRACE_SKIP_EBPF");
    let mut object = Ebpf::load(OBJECT).context("cannot load the programs to compare with")?;
    let btf = Btf::from_sys_fs().context("cannot read the kernel's BTF")?;
    let program = object.program_mut(name).with_context(|| format!("there is no {name}"))?;
    let program: &mut BtfTracePoint = program.try_into()?;
    program.load("inet_sock_set_state", &btf)?;
    program.attach()?;
    let events = object.take_map("FLOOR_EVENTS").context("the programs have a ring buffer")?;
    let mut events = RingBuf::try_from(events)?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| drain(&mut events, &stop));
        let done = action();
        stop.store(true, Ordering::Relaxed);
        done
    })
}

fn drain(events: &mut RingBuf<MapData>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        while events.next().is_some() {}
        thread::sleep(DRAIN);
    }
}
