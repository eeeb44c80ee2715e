//! Standard output, which may be a pipe whose reader has gone.

use std::io::{self, ErrorKind, Write as _};

use anyhow::{Context as _, Result};
use bytes::BytesMut;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Writes `out` to stdout and empties it; false if nobody reads there any more.
///
/// # Errors
/// If stdout fails otherwise.
pub fn write_out(out: &mut BytesMut) -> Result<bool> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(out).and_then(|()| stdout.flush());
    out.clear();
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to stdout"),
        Ok(()) => Ok(!is_abandoned(&stdout)),
    }
}

/// Whether stdout is a pipe that nobody reads any more, which a quiet host would never notice.
fn is_abandoned(stdout: &io::StdoutLock<'_>) -> bool {
    let mut polled = [PollFd::new(stdout, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec::default())).is_ok()
        && polled[0].revents().contains(PollFlags::ERR)
}
