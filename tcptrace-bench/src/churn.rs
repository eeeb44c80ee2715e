//! The load itself: connections over the loopback of a network namespace of its own.
//!
//! The namespace belongs to this process alone and goes with it, however it ends.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use serde::{Deserialize, Serialize};

use crate::options::Load;

/// Server addresses of a thread, so that there are enough local ports.
const SERVERS: u8 = 8;
/// A clock is looked at, and a pace is kept, in steps of so many connections or so long.
const STEP: u32 = 64;
const PACE: Duration = Duration::from_millis(1);

/// Settings of the namespace. Few sockets may stay in TIME_WAIT, or they would pile up by millions.
const SETTINGS: [(&str, &str); 2] =
    [("net/ipv4/tcp_max_tw_buckets", "1000"), ("net/ipv4/ip_local_port_range", "1024 65000")];

/// What a load came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) connections: u64,
    pub(crate) seconds: f64,
}

/// Makes the namespace and the load in it; prints what it came to.
pub(crate) fn run(load: &Load) -> Result<()> {
    // SAFETY: only descriptor tables (CLONE_FILES) are unsafe to unshare; this is another flag.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("cannot make a network namespace")?;
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    let status = status.context("cannot start `ip`; install iproute2")?;
    ensure!(status.success(), "`ip link set lo up` failed ({status})");
    for (name, value) in SETTINGS {
        let path = format!("/proc/sys/{name}");
        fs::write(&path, value).with_context(|| format!("cannot write {path}"))?;
    }
    let load = *load;
    let started = Instant::now();
    let threads = (0..load.threads).map(|number| {
        let number = u8::try_from(number).context("no more than 255 threads")?;
        Ok(thread::Builder::new().name("load".to_owned()).spawn(move || churn(number, &load))?)
    });
    let threads: Vec<_> = threads.collect::<Result<_>>()?;
    let mut connections = 0;
    for thread in threads {
        connections += thread.join().map_err(|_| anyhow!("a thread of the load died"))??;
    }
    let done = Done { connections, seconds: started.elapsed().as_secs_f64() };
    io::stdout().write_all(serde_json::to_string(&done)?.as_bytes())?;
    Ok(())
}

/// Both ends of one connection after the other. The server reads until the client has closed, so
/// that each connection takes the same way: ten transitions, five at each end.
fn churn(thread: u8, load: &Load) -> Result<u64> {
    let listen = |server| TcpListener::bind((Ipv4Addr::new(127, 1, thread, server), 9100));
    let listeners = (1..=SERVERS).map(listen).collect::<io::Result<Vec<_>>>()?;
    let addresses =
        listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    let length = Duration::from_secs_f64(load.seconds);
    let started = Instant::now();
    let mut count: u64 = 0;
    loop {
        let elapsed = started.elapsed();
        if elapsed >= length {
            return Ok(count);
        }
        let until = match load.rate {
            Some(rate) => (elapsed.as_secs_f64() * rate) as u64,
            None => count + u64::from(STEP),
        };
        while count < until {
            let server = (count % u64::from(SERVERS)) as usize;
            connect(&listeners[server], addresses[server]).context("cannot connect")?;
            count += 1;
        }
        if load.rate.is_some() {
            thread::sleep(PACE);
        }
    }
}

fn connect(listener: &TcpListener, address: SocketAddr) -> io::Result<()> {
    let client = TcpStream::connect(address)?;
    let (mut accepted, _) = listener.accept()?;
    drop(client);
    accepted.read(&mut [0]).map(drop)
}
