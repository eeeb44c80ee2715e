//! A process that piles up connections whose peer has closed.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

/// What the actor does: both ends of `count` connections, of which the client's has ended its sending
/// and the server's, which is told so, does not close.
pub(crate) fn act(count: usize, address: SocketAddr) -> Result<Vec<Socket>> {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?;
    let socket = || Socket::new(Domain::for_address(address), Type::STREAM, None);
    let listener = socket()?;
    listener.bind(&address.into())?;
    listener.listen(8)?;
    let mut pile = Vec::with_capacity(2 * count);
    for number in 0..count {
        let made = (|| -> Result<_> {
            let client = socket()?;
            client.connect(&address.into())?;
            let (accepted, _) = listener.accept()?;
            client.shutdown(std::net::Shutdown::Write)?;
            Ok([client, accepted])
        })();
        pile.extend(made.with_context(|| format!("after {number} connections"))?);
    }
    pile.push(listener);
    Ok(pile)
}
