//! Connections that last: established, idle, and held until nobody wants them any more.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::fd::AsFd as _,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::Pid,
};

use crate::{
    churn::pair,
    load::ends_with_this_program,
    namespace,
    options::{Bench, Hold},
};

/// Sockets of a process, at most: the usual limit of its descriptors is 20,000 and more.
const SOCKETS_EACH: u32 = 18_000;
/// Processes, at least.
const PROCESSES: u32 = 4;
/// Server addresses of a process.
const SERVERS: u8 = 8;
/// They are given up after so long, whoever still wants them.
const LONGEST: Duration = Duration::from_secs(600);

const READY: &[u8] = b"ready\n";

/// Sockets that are held beside what is measured, until this value goes.
pub(crate) struct Held {
    child: Child,
    /// What ends it when it is closed.
    wanted: Option<ChildStdin>,
}

impl Held {
    /// Starts a load that holds so many sockets, and waits until it does.
    pub(crate) fn start(bench: &Bench, sockets: u32) -> Result<Self> {
        let mut command = Command::new(&bench.own);
        command.arg("hold").arg(format!("--sockets={sockets}"));
        let mut held = Self::spawn(command)?;
        held.wait_until_ready()?;
        Ok(held)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        ends_with_this_program(&mut command);
        let mut child = command.spawn().context("cannot start what holds connections")?;
        let wanted = child.stdin.take();
        Ok(Self { child, wanted })
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let mut said = [0; READY.len()];
        let stdout = self.child.stdout.as_mut().context("its output is a pipe")?;
        stdout.read_exact(&mut said).context("what holds connections has failed")?;
        Ok(())
    }

    /// A process in their network namespace.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It ends by itself then. Until it has, its sockets would disturb what is measured next.
        self.wanted = None;
        _ = self.child.wait();
    }
}

/// Holds connections in a new network namespace, by several processes, until stdin is closed.
pub(crate) fn run(hold: &Hold) -> Result<()> {
    let Some(part) = hold.part else {
        namespace::enter_a_new_one()?;
        let own = std::env::current_exe().context("cannot find the path of this program")?;
        let parts = parts(hold.sockets).into_iter().enumerate().map(|(part, sockets)| {
            let mut command = Command::new(&own);
            command.arg("hold").arg(format!("--part={part}")).arg(format!("--sockets={sockets}"));
            Held::spawn(command)
        });
        let mut parts = parts.collect::<Result<Vec<_>>>()?;
        parts.iter_mut().try_for_each(Held::wait_until_ready)?;
        return wait_until_unwanted();
    };
    let _connections = connect(part, hold.sockets / 2)?;
    wait_until_unwanted()
}

/// How many sockets each process holds: both ends of its connections.
fn parts(sockets: u32) -> Vec<u32> {
    let processes = sockets.div_ceil(SOCKETS_EACH).max(PROCESSES);
    let pairs = sockets / 2;
    (0..processes)
        .map(|part| 2 * (pairs / processes + u32::from(part < pairs % processes)))
        .collect()
}

/// Connections with both ends here, and their listeners.
fn connect(part: u8, pairs: u32) -> Result<impl Sized> {
    let listen = |server| TcpListener::bind((Ipv4Addr::new(127, 2, part, server), 9200));
    let listeners = (1..=SERVERS).map(listen).collect::<io::Result<Vec<_>>>()?;
    let mut connections = Vec::new();
    for number in 0..pairs as usize {
        let listener = &listeners[number % listeners.len()];
        connections.push(pair(listener, listener.local_addr()?).with_context(|| {
            format!("cannot hold {pairs} connections: `ulimit -Hn` must be 20,000 at least")
        })?);
    }
    Ok((listeners, connections))
}

fn wait_until_unwanted() -> Result<()> {
    io::stdout().write_all(READY)?;
    io::stdout().flush()?;
    let stdin = io::stdin();
    let limit = Timespec::try_from(LONGEST)?;
    let closed = poll(&mut [PollFd::new(&stdin.as_fd(), PollFlags::IN)], Some(&limit))?;
    ensure!(closed > 0, "connections were held for {LONGEST:?}, which is too long");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_share_the_sockets_and_none_has_too_many() {
        for sockets in [0, 2, 1000, 20_000, 100_000] {
            let parts = parts(sockets);
            assert_eq!(parts.iter().sum::<u32>(), sockets);
            assert!(parts.len() >= 4);
            assert!(parts.iter().all(|&part| part <= SOCKETS_EACH && part % 2 == 0));
        }
    }
}
