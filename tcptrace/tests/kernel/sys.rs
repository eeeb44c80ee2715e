//! The few system calls that neither the standard library nor `socket2` offers, each behind a safe
//! function.

use std::{
    ffi::{CString, OsStr},
    fs::File,
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

use anyhow::{Context as _, Result};
use socket2::{SockAddr, Socket};

/// Nanoseconds of the clock that the tracer's `boot_ns` counts.
pub(crate) fn boot_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is valid for writes, and Linux has had this clock since 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Whether this process may create namespaces and trace.
pub(crate) fn is_root() -> bool {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Gives the calling thread a process name of any bytes; the kernel keeps the first fifteen.
pub(crate) fn set_comm(name: &[u8]) -> Result<()> {
    let name = CString::new(name).context("a process name holds no zero byte")?;
    // SAFETY: PR_SET_NAME reads a zero-terminated string, which `name` is.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) })?;
    Ok(())
}

/// Moves the calling thread into a new network namespace.
pub(crate) fn unshare_netns() -> io::Result<()> {
    // SAFETY: only the namespace of the calling thread changes; no memory is involved.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) }).map(drop)
}

/// Moves the calling thread into the network namespace that `netns` refers to.
pub(crate) fn enter_netns(netns: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `netns` is borrowed.
    check(unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// Sets a link of the calling thread's network namespace up or down.
pub(crate) fn set_link(name: &str, up: bool) -> Result<()> {
    let any = Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    // SAFETY: `ifreq` is plain old data, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(OsStr::new(name).as_bytes()) {
        *to = (*from).cast_signed();
    }
    let act = || -> io::Result<()> {
        // SAFETY: both calls take a valid `ifreq` with a zero-terminated name, and the first fills in
        // the flags that the second reads.
        unsafe {
            check(libc::ioctl(any.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request))?;
            let flag = libc::c_short::try_from(libc::IFF_UP).unwrap_or_default();
            if up {
                request.ifr_ifru.ifru_flags |= flag;
            } else {
                request.ifr_ifru.ifru_flags &= !flag;
            }
            check(libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request))?;
        }
        Ok(())
    };
    let mut act = act;
    act().with_context(|| format!("cannot set link {name} {}", if up { "up" } else { "down" }))
}

/// Disconnects a socket with `connect(AF_UNSPEC)`.
pub(crate) fn disconnect(socket: &Socket) -> io::Result<()> {
    // SAFETY: `initialise` leaves the storage zeroed, whose family is AF_UNSPEC (0), and gives its
    // length.
    let ((), unspecified) = unsafe {
        SockAddr::try_init(|_, length| {
            *length = size_of::<libc::sockaddr>() as libc::socklen_t;
            Ok(())
        })?
    };
    socket.connect(&unspecified)
}

/// Sets an integer option of the TCP level.
pub(crate) fn set_tcp_option(socket: &Socket, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the option's value is a valid integer of the length given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    check(result).map(drop)
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
    check(result)?;
    Ok(info[0])
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
    // SAFETY: actors are single-threaded, so no lock can be held by a thread that the child lacks.
    match check(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid.unsigned_abs())),
    }
}

/// Makes `from` also the descriptor number `to` (0 or 1).
pub(crate) fn replace_descriptor(from: &OwnedFd, to: libc::c_int) -> io::Result<()> {
    // SAFETY: `from` is open; what was open as `to` is owned by nobody in particular.
    check(unsafe { libc::dup2(from.as_raw_fd(), to) }).map(drop)
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, signal: libc::c_int) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: a positive pid names one process; no memory is involved.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// A descriptor that becomes readable when the process has ended, whoever its parent is.
pub(crate) fn process_descriptor(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes a pid and no flags, and returns a descriptor that nobody else owns.
    unsafe {
        let descriptor = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(libc::c_int::try_from(descriptor).map_err(io::Error::other)?))
    }
}

/// Waits until a descriptor is readable; false if that took longer than `milliseconds`.
pub(crate) fn wait_readable(descriptor: &OwnedFd, milliseconds: libc::c_int) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `poll` is one valid entry.
    Ok(check(unsafe { libc::poll(&raw mut poll, 1, milliseconds) })? > 0)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
