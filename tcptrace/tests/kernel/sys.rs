//! System calls of the suite that are neither in the standard library nor in `socket2`, and the
//! five for which there is no safe function.

use std::{
    env,
    ffi::CString,
    fs::{self, File},
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, geteuid, kill_process, pidfd_open},
    thread::{
        LinkNameSpaceType, UnshareFlags, move_into_link_name_space, set_name, unshare_unsafe,
    },
    time::{ClockId, clock_gettime},
};
use socket2::Socket;

/// Begins anew if whoever started the suite ignores SIGHUP, SIGINT, SIGQUIT or SIGTERM, as shells do in the
/// background: all that it starts would ignore them too.
pub(crate) fn heed_signals() -> Result<()> {
    const THESE: u64 = 0x4007;
    let status = fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.context("ignored signals")?.trim(), 16)?;
    if ignored & THESE == 0 {
        return Ok(());
    }
    let mut anew = Command::new("env");
    anew.arg("--default-signal=HUP,INT,QUIT,TERM").arg(env::current_exe()?);
    Err(anew.args(env::args_os().skip(1)).exec()).context("cannot start env")
}

/// Nanoseconds of the clock that the tracer's `boot_ns` counts.
pub(crate) fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// What the wall clock is ahead of that clock, in nanoseconds.
pub(crate) fn wall_offset() -> i128 {
    let now = clock_gettime(ClockId::Realtime);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec) - i128::from(boot_ns())
}

/// Whether this process may create namespaces and trace.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}

/// Gives the calling thread a process name of any bytes; the kernel keeps the first fifteen.
pub(crate) fn set_comm(name: &[u8]) -> Result<()> {
    let name = CString::new(name).context("a process name holds no zero byte")?;
    Ok(set_name(&name)?)
}

/// Moves the calling thread into a new network namespace.
pub(crate) fn unshare_netns() -> Result<()> {
    // SAFETY: only descriptor tables (CLONE_FILES) are unsafe to unshare; this is another flag.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?)
}

/// Moves the calling thread into a mount namespace of its own, a copy of that it was in.
pub(crate) fn unshare_mounts() -> Result<()> {
    // SAFETY: as above.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?)
}

/// Moves the calling thread into the network namespace that `netns` refers to.
pub(crate) fn enter_netns(netns: &File) -> Result<()> {
    Ok(move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// The state number of a TCP socket, as `TCP_INFO` tells it.
pub(crate) fn tcp_state(socket: &Socket) -> io::Result<u8> {
    let mut info = [0_u8; 8];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `info`; the state is the first of them.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(info[0]) }
}

/// Sets an option of TCP that is a number.
pub(crate) fn set_tcp_option(socket: &Socket, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as an `i32` has from `value`, which is one.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What `fork` returned.
pub(crate) enum Forked {
    /// In the new process.
    Child,
    /// In the old one: the pid of the new.
    Parent(u32),
}

/// Forks this process, which must have no second thread.
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: actors have one thread, so no lock can be held by a thread that the child lacks.
    match unsafe { libc::fork() } {
        0 => Ok(Forked::Child),
        pid => u32::try_from(pid).map(Forked::Parent).map_err(|_| io::Error::last_os_error()),
    }
}

/// Sends a signal to one process and waits for its end; false if it did not end in time.
pub(crate) fn end(pid: u32, signal: Signal, patience: Duration) -> Result<bool> {
    // Taken first, so that it is certain which process is meant.
    let process = pidfd_open(pid_of(pid)?, PidfdFlags::empty())?;
    kill_process(pid_of(pid)?, signal)?;
    ended(&process, patience)
}

/// Waits for the end of a process that is referred to; false if it did not come in time.
pub(crate) fn ended(process: &OwnedFd, patience: Duration) -> Result<bool> {
    let patience = Timespec::try_from(patience)?;
    Ok(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience))? > 0)
}

/// The number of a process as system calls take it.
pub(crate) fn pid_of(pid: u32) -> Result<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw).context("a pid is positive")
}
