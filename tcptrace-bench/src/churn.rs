//! The load itself: connections over the loopback of a network namespace of its own.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::{namespace, options::Load};

/// Server addresses of a thread, so that there are enough local ports.
const SERVERS: u8 = 8;
/// A clock is looked at, and a pace is kept, in steps of so many connections or so long.
const STEP: u32 = 64;
const PACE: Duration = Duration::from_millis(1);

/// What a load came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) connections: u64,
    pub(crate) seconds: f64,
}

impl Done {
    /// Connections a second.
    pub(crate) fn rate(&self) -> f64 {
        self.connections as f64 / self.seconds
    }
}

/// Makes the namespace and the load in it; prints what it came to.
pub(crate) fn run(load: &Load) -> Result<()> {
    namespace::enter_a_new_one()?;
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

/// Both ends of a new connection.
pub(crate) fn pair(
    listener: &TcpListener,
    address: SocketAddr,
) -> io::Result<(TcpStream, TcpStream)> {
    let client = TcpStream::connect(address)?;
    let (accepted, _) = listener.accept()?;
    Ok((client, accepted))
}

fn connect(listener: &TcpListener, address: SocketAddr) -> io::Result<()> {
    let (client, mut accepted) = pair(listener, address)?;
    drop(client);
    accepted.read(&mut [0]).map(drop)
}
