//! The program where something is missing: BTF, tracefs, a reader.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};

use crate::needing_root;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tcptrace");
/// How long a line or the end of a run may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn trials() -> Vec<Trial> {
    type Test = fn() -> Result<()>;
    let tests: [(&str, Test); 9] = [
        ("without BTF the classic tracepoint claims nothing", without_btf),
        ("without BTF and tracefs the fix is named", without_btf_and_tracefs),
        ("without BTF the list comes from netlink and /proc", list_without_btf),
        ("an MPTCP listener belongs to who holds it", mptcp),
        ("filters reach into the kernel and lose nothing", filtered),
        ("a closed pipe ends the run quietly", closed_pipe),
        ("SIGTERM ends the run in order", terminated),
        ("a signal while it starts ends it in order too", stopped_early),
        ("the kernel programs can log", logging),
    ];
    tests
        .map(|(name, test)| Trial::test(format!("surroundings: {name}"), needing_root(test)))
        .into()
}

fn without_btf() -> Result<()> {
    let script = "test -d /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing \
                  && exec \"$0\" \"$@\"";
    let mut run = Run::start(
        Command::new("unshare")
            .args(["--mount", "sh", "-c", script, PROGRAM, "watch", "--json"])
            .env("TCPTRACE_BTF", "/nowhere/vmlinux"),
    )?;
    let note = run.line(|line| line.contains("classic tracepoint"))?;
    ensure!(
        note == "tcptrace: using the classic tracepoint (no BTF at /nowhere/vmlinux): owners, \
                 reasons, TIME_WAIT, namespaces and byte counts are unknown",
        "{note}"
    );
    let port = connect_and_close()?;
    let mut states = Vec::new();
    while states.last().is_none_or(|last| last != "CLOSE") {
        let line = run.line(|line| is_client_of(line, port))?;
        let line: Value = serde_json::from_str(&line)?;
        for unknown in ["pid", "comm", "owner", "reason", "netns", "cookie"] {
            ensure!(line[unknown].is_null(), "{unknown} cannot be known: {line}");
        }
        if line["from"] == "FIN_WAIT2" {
            ensure!(line["dwell"] != "exact", "FIN_WAIT2 may go on as an orphan: {line}");
        }
        states.push(line["to"].as_str().context("a state")?.to_owned());
    }
    let expected = ["SYN_SENT", "ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "CLOSE"];
    ensure!(states == expected, "{states:?}");
    run.stop(Signal::INT)?;
    Ok(())
}

fn without_btf_and_tracefs() -> Result<()> {
    let script = "mount -t tmpfs none /sys/kernel/tracing && mount -t tmpfs none /sys/kernel/debug \
                  && exec \"$0\" \"$@\"";
    let mut run = Run::start(
        Command::new("unshare")
            .args(["--mount", "sh", "-c", script, PROGRAM, "watch"])
            .env("TCPTRACE_BTF", "/nowhere/vmlinux"),
    )?;
    let line = run.line(|_| true)?;
    ensure!(
        line == "tcptrace: cannot trace: tracefs: not mounted, and without BTF it is needed; \
                 mount -t tracefs tracefs /sys/kernel/tracing",
        "{line}"
    );
    ensure!(run.status()? == Some(3));
    Ok(())
}

fn list_without_btf() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let script = "test -d /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing \
                  && exec \"$0\" \"$@\"";
    let mut run = Run::start(
        Command::new("unshare")
            .args(["--mount", "sh", "-c", script, PROGRAM, "list", "--json"])
            .env("TCPTRACE_BTF", "/nowhere/vmlinux"),
    )?;
    let line = run.line(|line| line.contains(&format!("\"lport\":{port},")))?;
    let line: Value = serde_json::from_str(&line)?;
    ensure!(line["state"] == "LISTEN" && line["skaddr"].is_null(), "{line}");
    ensure!(line["owners"][0]["pid"] == std::process::id(), "{line}");
    ensure!(run.status()? == Some(0));
    Ok(())
}

/// Its subflow, which is what TCP knows of, has no descriptor and was made by the kernel.
fn mptcp() -> Result<()> {
    let Ok(listener) = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::MPTCP)) else {
        // A kernel without MPTCP has nothing to be wrong about.
        return Ok(());
    };
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    listener.listen(1)?;
    let port = TcpListener::from(listener.try_clone()?).local_addr()?.port();
    let mut run = Run::start(Command::new(PROGRAM).args(["list", "--json"]))?;
    let line = run.line(|line| line.contains(&format!("\"lport\":{port},")))?;
    let line: Value = serde_json::from_str(&line)?;
    ensure!(line["owners"][0]["pid"] == std::process::id(), "{line}");
    Ok(())
}

/// The event that opens a connection knows no local port and must not fall to the filter.
fn filtered() -> Result<()> {
    let wanted = refused_port()?;
    let other = refused_port()?;
    ensure!(wanted != other);
    let local = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let local_port = local.local_addr()?.port().to_string();
    for (filter, selects) in [
        (["-D", &wanted.to_string()], true),
        (["-L", &local_port], false),
        (["--addr", "127.0.0.0/8"], true),
        (["--state", "SYN_SENT"], true),
        (["-p", &std::process::id().to_string()], true),
    ] {
        let mut run = Run::start(Command::new(PROGRAM).args(["watch", "--json"]).args(filter))?;
        // One of these is wanted by every filter; its end shows that all before it were seen.
        let end = run.line_while(
            |line| line.contains(&format!("\"lport\":{local_port},")) || is_client_of(line, wanted),
            || {
                drop(TcpStream::connect((Ipv4Addr::LOCALHOST, other)));
                drop(TcpStream::connect((Ipv4Addr::LOCALHOST, wanted)));
                // Full of connections that nobody accepts it would let the next one wait.
                if local.local_addr().and_then(TcpStream::connect).is_ok() {
                    drop(local.accept());
                }
            },
        )?;
        let mut seen = vec![end];
        seen.extend(run.stop(Signal::INT)?);
        let of_port = |port| seen.iter().filter(move |line| is_client_of(line, port)).count();
        ensure!(of_port(wanted) % 2 == 0, "{filter:?} tore connections apart: {seen:?}");
        ensure!((of_port(wanted) > 0) == selects, "{filter:?}: {seen:?}");
        ensure!(filter[0] != "-D" || of_port(other) == 0, "{filter:?} let others pass: {seen:?}");
    }
    Ok(())
}

fn closed_pipe() -> Result<()> {
    let mut child =
        Command::new(PROGRAM).arg("watch").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut first = String::new();
    BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut first)?;
    ensure!(first.starts_with("PID "), "{first}");
    let stderr = child.stderr.take().context("a pipe")?;
    let mut run = Run::reading(child, [Some(stderr), None]);
    let line = run.line(|_| true)?;
    ensure!(line.ends_with("nothing lost"), "{line}");
    ensure!(run.status()? == Some(0));
    Ok(())
}

fn terminated() -> Result<()> {
    let mut run = Run::start(Command::new(PROGRAM).args(["watch", "--json"]))?;
    let port = refused_port()?;
    run.line_while_connecting(port)?;
    let rest = run.stop(Signal::TERM)?;
    let summary = rest.iter().find(|line| line.starts_with("{\"type\":\"summary\""));
    let summary: Value = serde_json::from_str(summary.context("a summary")?)?;
    ensure!(summary["transitions"].as_u64().is_some_and(|count| count >= 2), "{summary}");
    ensure!(rest.iter().any(|line| line.ends_with("nothing lost")), "{rest:?}");
    Ok(())
}

/// Loading the programs takes its time, and signals must be caught before that.
fn stopped_early() -> Result<()> {
    const SIGINT_IS_CAUGHT: u64 = 1 << 1;
    for command in [&["watch", "--json"][..], &["record", "-o", "/dev/null"]] {
        let mut run = Run::start(Command::new(PROGRAM).args(command))?;
        let place = PathBuf::from(format!("/proc/{}", run.pid()));
        let deadline = Instant::now() + PATIENCE;
        let is_loading = || -> Result<bool> {
            let files = fs::read_dir(place.join("fd"))?;
            let mut links = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
            Ok(links.any(|link| link.to_string_lossy().contains("bpf")))
        };
        while !is_loading()? {
            ensure!(Instant::now() < deadline, "{command:?} loads nothing");
            thread::yield_now();
        }
        let status = fs::read_to_string(place.join("status"))?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.context("signals")?.trim(), 16)?;
        ensure!(caught & SIGINT_IS_CAUGHT != 0, "{command:?} can be killed while it loads");
        run.stop(Signal::INT)?;
    }
    Ok(())
}

fn logging() -> Result<()> {
    let mut run = Run::start(Command::new(PROGRAM).args(["watch", "-vvv"]))?;
    let port = refused_port()?;
    let line = run.line_while(
        |line| line.contains("classic tracepoint") || line.contains("tcptrace: state 7 -> 2"),
        || drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port))),
    )?;
    ensure!(line.contains("state 7 -> 2"), "the verifier refuses the log: {line}");
    run.stop(Signal::INT)?;
    Ok(())
}

/// Opens and closes a connection, the client first; returns the port of the server.
fn connect_and_close() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    drop(client);
    ensure!(server.read(&mut [0])? == 0, "nothing was sent");
    Ok(listener.local_addr()?.port())
}

/// A port on which nobody listens.
fn refused_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn is_client_of(line: &str, port: u16) -> bool {
    line.contains("\"type\":\"transition\"") && line.contains(&format!("\"rport\":{port},"))
}

/// A run of the program, whose lines (of stdout and stderr) are read as they come.
pub(crate) struct Run {
    child: Child,
    lines: Receiver<String>,
}

impl Run {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start the program")?;
        let stderr = child.stderr.take();
        let stdout = child.stdout.take();
        let (sender, lines) = channel();
        forward(stdout.context("a pipe")?, sender.clone());
        forward(stderr.context("a pipe")?, sender);
        Ok(Self { child, lines })
    }

    fn reading<R: Read + Send + 'static>(child: Child, pipes: [Option<R>; 2]) -> Self {
        let (sender, lines) = channel();
        pipes.into_iter().flatten().for_each(|pipe| forward(pipe, sender.clone()));
        Self { child, lines }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that is wanted; others are passed over.
    pub(crate) fn line(&mut self, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).context("the line did not come")?;
            if wanted(&line) {
                return Ok(line);
            }
        }
    }

    /// The next line that is wanted, doing something again and again until it comes: whether the
    /// program is attached yet shows in nothing else.
    pub(crate) fn line_while(
        &mut self,
        wanted: impl Fn(&str) -> bool,
        mut provoke: impl FnMut(),
    ) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            provoke();
            // Other lines may come without a pause, beside the churn.
            let again = Instant::now() + Duration::from_millis(100);
            while let left = again.saturating_duration_since(Instant::now())
                && !left.is_zero()
                && let Ok(line) = self.lines.recv_timeout(left)
            {
                if wanted(&line) {
                    return Ok(line);
                }
            }
        }
        anyhow::bail!("the line did not come")
    }

    fn line_while_connecting(&mut self, port: u16) -> Result<String> {
        self.line_while(
            |line| is_client_of(line, port),
            || drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port))),
        )
    }

    /// Ends the run by a signal, which must end it in order; returns the lines that still came.
    pub(crate) fn stop(&mut self, signal: Signal) -> Result<Vec<String>> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal)?;
        let rest = self.lines.iter().collect();
        ensure!(self.status()? == Some(0), "the run did not end in order: {rest:?}");
        Ok(rest)
    }

    pub(crate) fn status(&mut self) -> Result<Option<i32>> {
        // The lines end with the program, so this does not wait for long.
        while self.lines.recv_timeout(PATIENCE).is_ok() {}
        Ok(self.child.wait()?.code())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn forward(pipe: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        let lines = BufReader::new(pipe).lines().map_while(Result::ok);
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
    });
}
