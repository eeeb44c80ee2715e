//! The process that acts in a scenario: this same binary, started again under a name of its own and
//! in the scenario's network namespace, or where its parent is if it is told none.
//!
//! It reads one command a line and answers one line, once the system call is done: `ok`, with
//! `local=` and `remote=` where a socket has them, or `err ECONNREFUSED …`. It has one thread, so
//! that it may fork, unless it traces ([`crate::tee`]). When its input ends it exits.

use std::{
    collections::HashMap,
    env,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr},
    os::fd::{AsRawFd, OwnedFd},
    process, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::{
    net::connect_unspec,
    stdio::{dup2_stdin, dup2_stdout},
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{churn, faults::tiny, state_name, stuck::pile, sys, tee::Tee};

/// Set in an actor: its name.
pub(crate) const NAME: &str = "TCPTRACE_TEST_ACTOR";
/// Set in an actor: the path of its network namespace.
pub(crate) const NETNS: &str = "TCPTRACE_TEST_NETNS";

/// A socket that does not reach the awaited state in this time will not reach it. What has not been
/// acknowledged for ten seconds is sent again no sooner than ten seconds later.
const PATIENCE: Duration = Duration::from_secs(25);

/// Obeys until the input ends.
pub(crate) fn main(name: &str) -> Result<()> {
    if let Ok(netns) = env::var(NETNS) {
        let file = File::open(&netns).with_context(|| format!("cannot open {netns}"))?;
        sys::enter_netns(&file).with_context(|| format!("cannot enter {netns}"))?;
    }
    sys::set_comm(&unescape(name)?)?;
    let mut actor = Actor::default();
    let mut line = String::new();
    // After a fork the child goes on in this loop: the standard input holds nothing read ahead,
    // because a command is sent only once the one before it was answered.
    while io::stdin().lock().read_line(&mut line)? > 0 {
        let answer = match actor.obey(line.trim_end()) {
            Ok(Some(answer)) => answer,
            Ok(None) => String::new(),
            Err(error) => describe(&error),
        };
        if !answer.is_empty() {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{answer}")?;
            stdout.flush()?;
        }
        line.clear();
        if actor.stays {
            loop {
                thread::park();
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Actor {
    /// It outlives whoever tells it what to do.
    stays: bool,
    sockets: HashMap<String, Socket>,
    children: HashMap<String, Child>,
    /// Sockets that are only to be held.
    pile: Vec<Socket>,
    /// A trace of the host.
    tee: Option<Tee>,
}

/// The pipes to a forked child, which is driven through its parent.
struct Child {
    commands: File,
    answers: BufReader<File>,
}

impl Actor {
    /// Does one command. `None` is no answer: the process is a child that was just forked.
    fn obey(&mut self, command: &str) -> Result<Option<String>> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (&verb, arguments) = words.split_first().context("an empty command")?;
        match (verb, arguments) {
            ("fork", [name]) => return self.fork(name),
            ("in", [name, ..]) => {
                let child =
                    self.children.get_mut(*name).with_context(|| format!("no child {name}"))?;
                let rest = command.split_once(name).map_or("", |(_, rest)| rest);
                writeln!(child.commands, "{rest}")?;
                let mut answer = String::new();
                ensure!(child.answers.read_line(&mut answer)? > 0, "the child {name} is gone");
                return Ok(Some(answer.trim_end().to_owned()));
            }
            ("rename", [name]) => sys::set_comm(&unescape(name)?)?,
            ("churn", [count, servers, first, place @ ..]) => {
                let place = place.first().map_or(Ok(0), |place| place.parse())?;
                churn::act(count.parse()?, servers.parse()?, first, place)?;
            }
            ("pile", [count, address]) => {
                self.pile.extend(pile::act(count.parse()?, address.parse()?)?);
            }
            ("trace", [view @ ("follow" | "look"), ring_bytes, netns, file]) => {
                tiny::act(*view == "follow", ring_bytes.parse()?, netns.parse()?, file)?;
            }
            ("tee", ["begin", view, file]) => self.tee = Some(Tee::begin(view, file)?),
            ("tee", ["until", count, kind, netns]) => {
                let tee = self.tee.as_ref().context("no trace has begun")?;
                tee.until(count.parse()?, kind, netns.parse()?)?;
            }
            ("tee", ["until-tick"]) => {
                self.tee.as_ref().context("no trace has begun")?.until_tick()?;
            }
            ("tee", ["end"]) => self.tee.take().context("no trace has begun")?.end()?,
            (_, [name, options @ ..]) => {
                let answer = self.act(verb, name, options)?;
                let descriptor = self.sockets.get(*name).map(AsRawFd::as_raw_fd);
                let descriptor = descriptor.map_or(String::new(), |fd| format!(" fd={fd}"));
                return Ok(Some(answer + &descriptor));
            }
            (_, []) => bail!("{verb} wants a socket"),
        }
        Ok(Some("ok".to_owned()))
    }

    fn act(&mut self, verb: &str, name: &str, options: &[&str]) -> Result<String> {
        match (verb, options) {
            ("listen", [address, options @ ..]) => {
                let address: SocketAddr = address.parse()?;
                let socket = self.open(name, address, options)?;
                if socket.local_addr()?.as_socket().is_none_or(|bound| bound.port() == 0) {
                    socket.bind(&address.into())?;
                }
                let backlog = options.iter().find_map(|option| option.strip_prefix("backlog="));
                socket.listen(backlog.map_or(Ok(8), str::parse)?)?;
            }
            ("bind", [address, options @ ..]) => {
                let address: SocketAddr = address.parse()?;
                self.open(name, address, options)?.bind(&address.into())?;
            }
            ("connect" | "start", [address, options @ ..]) => {
                let address: SocketAddr = address.parse()?;
                let socket = self.open(name, address, options)?;
                let result = if verb == "start" {
                    if options.contains(&"deferred") {
                        sys::set_tcp_option(socket, libc::TCP_FASTOPEN_CONNECT, 1)?;
                    }
                    socket.set_nonblocking(true)?;
                    let result = socket.connect(&address.into());
                    socket.set_nonblocking(false)?;
                    result.or_else(|error| match error.raw_os_error() {
                        Some(libc::EINPROGRESS) => Ok(()),
                        _ => Err(error),
                    })
                } else if options.contains(&"fastopen") {
                    // The data goes out with the SYN.
                    socket
                        .send_to_with_flags(b"early", &address.into(), libc::MSG_FASTOPEN)
                        .map(drop)
                } else {
                    socket.connect(&address.into())
                };
                let local = socket.local_addr().ok().and_then(|address| address.as_socket());
                let local = local.map_or(String::new(), |local| format!(" local={local}"));
                return Ok(match result {
                    Ok(()) => format!("ok{local} remote={address}"),
                    Err(error) => format!("{}{local} remote={address}", describe(&error.into())),
                });
            }
            ("accept", [listener]) => {
                let (socket, remote) = self.socket(listener)?.accept()?;
                let local = socket.local_addr()?.as_socket().context("an address")?;
                let remote = remote.as_socket().context("an address")?;
                self.sockets.insert(name.to_owned(), socket);
                return Ok(format!("ok local={local} remote={remote}"));
            }
            ("send", [count]) => self.socket(name)?.write_all(&vec![b'x'; count.parse()?])?,
            ("recv", [count]) => self.socket(name)?.read_exact(&mut vec![0; count.parse()?])?,
            ("eof", []) => {
                let mut socket = self.socket(name)?;
                let rest = io::copy(&mut socket, &mut io::sink())?;
                ensure!(rest == 0, "{rest} bytes came before the end");
            }
            ("shutdown", []) => self.socket(name)?.shutdown(Shutdown::Write)?,
            ("linger", []) => self.socket(name)?.set_linger(Some(Duration::ZERO))?,
            ("linger2", [seconds]) => {
                sys::set_tcp_option(self.socket(name)?, libc::TCP_LINGER2, seconds.parse()?)?;
            }
            ("keepalive", []) => self.socket(name)?.set_keepalive(true)?,
            ("rcvbuf", [bytes]) => self.socket(name)?.set_recv_buffer_size(bytes.parse()?)?,
            ("fill", []) => fill(self.socket(name)?)?,
            ("drain", []) => _ = io::copy(&mut self.socket(name)?, &mut io::sink())?,
            ("open", []) => {
                self.open(name, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), &[])?;
            }
            ("dup", [other]) => {
                let copy = self.socket(other)?.try_clone()?;
                self.sockets.insert(name.to_owned(), copy);
            }
            ("disconnect", []) => connect_unspec(self.socket(name)?)?,
            ("close", []) => {
                drop(self.sockets.remove(name).with_context(|| format!("no socket {name}"))?);
            }
            ("until", [state]) => self.until(name, state)?,
            // The answer has to be out before this process reads no more.
            ("stay", []) => self.stays = true,
            ("which", []) => return Ok(format!("ok pid={}", process::id())),
            _ => bail!("no command {verb} with {} words", options.len() + 1),
        }
        Ok("ok".to_owned())
    }

    fn socket(&self, name: &str) -> Result<&Socket> {
        self.sockets.get(name).with_context(|| format!("no socket {name}"))
    }

    /// The socket of that name, made if it is not there yet.
    fn open(&mut self, name: &str, address: SocketAddr, options: &[&str]) -> Result<&Socket> {
        if !self.sockets.contains_key(name) {
            let protocol = if options.contains(&"mptcp") { Protocol::MPTCP } else { Protocol::TCP };
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(protocol))?;
            // A port still in TIME_WAIT is no obstacle.
            socket.set_reuse_address(true)?;
            self.sockets.insert(name.to_owned(), socket);
        }
        self.socket(name)
    }

    /// Waits for a state that follows from what others did. There is no call that blocks for it.
    fn until(&self, name: &str, state: &str) -> Result<()> {
        let socket = self.socket(name)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = state_name(sys::tcp_state(socket)?);
            if now == state {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{name} is in {now}, not in {state}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A child that holds copies of all sockets. It takes its commands from a pipe of its parent.
    fn fork(&mut self, name: &str) -> Result<Option<String>> {
        let (their_commands, commands) = io::pipe()?;
        let (answers, their_answers) = io::pipe()?;
        match sys::fork()? {
            sys::Forked::Child => {
                dup2_stdin(their_commands)?;
                dup2_stdout(their_answers)?;
                sys::set_comm(name.as_bytes())?;
                self.children.clear();
                Ok(None)
            }
            sys::Forked::Parent(pid) => {
                let child = Child {
                    commands: File::from(OwnedFd::from(commands)),
                    answers: BufReader::new(File::from(OwnedFd::from(answers))),
                };
                self.children.insert(name.to_owned(), child);
                Ok(Some(format!("ok pid={pid}")))
            }
        }
    }
}

/// Sends until neither our buffer nor the peer's has room.
fn fill(mut socket: &Socket) -> Result<()> {
    let data = [b'x'; 65_536];
    socket.set_nonblocking(true)?;
    let end = loop {
        if let Err(error) = socket.write(&data) {
            break error;
        }
    };
    socket.set_nonblocking(false)?;
    ensure!(end.kind() == io::ErrorKind::WouldBlock, "{end}");
    Ok(())
}

/// `err`, the name of the error number, and the whole story.
fn describe(error: &anyhow::Error) -> String {
    let number = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    let name = match number {
        Some(libc::ECONNREFUSED) => "ECONNREFUSED",
        Some(libc::ECONNRESET) => "ECONNRESET",
        Some(libc::ECONNABORTED) => "ECONNABORTED",
        Some(libc::EHOSTUNREACH) => "EHOSTUNREACH",
        Some(libc::ENETUNREACH) => "ENETUNREACH",
        Some(libc::EPIPE) => "EPIPE",
        Some(libc::ETIMEDOUT) => "ETIMEDOUT",
        _ => "?",
    };
    format!("err {name} {}", format!("{error:#}").replace('\n', " "))
}

/// Bytes written as `\x1b` become those bytes; all else stays.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let digits =
            after.get(..2).with_context(|| format!("{text} wants two digits after \\x"))?;
        bytes.push(u8::from_str_radix(digits, 16).with_context(|| format!("in {text}"))?);
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}
