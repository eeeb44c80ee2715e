//! Network namespaces: each scenario has one or two of its own.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::PathBuf,
    process::{self, Command},
    sync::{PoisonError, RwLock},
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::sys;

/// Nothing listens on this address. Refused connections to it, one port after the other, mark
/// points in the tracer's output: see [`crate::tracer::Tracer::fence`].
pub(crate) const FENCE: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 254);

/// A fresh network namespace with its loopback up.
///
/// It is kept until the suite ends: the kernel gives the number of a namespace that is gone to the
/// next one, and late lines about the old one would be taken for lines about the new.
pub(crate) struct Namespace {
    file: &'static File,
    inode: u64,
}

static OURS: RwLock<BTreeSet<u64>> = RwLock::new(BTreeSet::new());

/// Whether the suite made the namespace with this number.
pub(crate) fn is_ours(inode: u64) -> bool {
    OURS.read().unwrap_or_else(PoisonError::into_inner).contains(&inode)
}

/// How many network namespaces the processes of this host live in, and how many TCP sockets are there.
pub(crate) fn crowd() -> (u32, u32) {
    let mut namespaces = BTreeSet::new();
    let mut sockets = 0;
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let inode = fs::metadata(process.path().join("ns/net")).map(|metadata| metadata.ino());
        if inode.is_ok_and(|inode| namespaces.insert(inode)) {
            let text = fs::read_to_string(process.path().join("net/sockstat")).unwrap_or_default();
            let words: Vec<&str> = text.split_whitespace().collect();
            let counts = words.windows(2).filter(|pair| matches!(pair[0], "inuse" | "tw"));
            sockets += counts.filter_map(|pair| pair[1].parse::<u32>().ok()).sum::<u32>();
        }
    }
    (u32::try_from(namespaces.len()).unwrap_or(u32::MAX), sockets)
}

impl Namespace {
    pub(crate) fn new() -> Result<Self> {
        let netns = Self::unwatched()?;
        OURS.write().unwrap_or_else(PoisonError::into_inner).insert(netns.inode);
        Ok(netns)
    }

    /// One whose connections are so many that the shared tracer must not keep their lines.
    pub(crate) fn unwatched() -> Result<Self> {
        // The namespace is the thread's, so that a short-lived thread leaves all others where they
        // are.
        let make = || -> Result<File> {
            sys::unshare_netns().context("cannot make a network namespace")?;
            Ok(File::open("/proc/thread-self/ns/net")?)
        };
        let file = joined(thread::Builder::new().spawn(make)?)?;
        let inode = file.metadata()?.ino();
        let netns = Self { file: Box::leak(Box::new(file)), inode };
        netns.set_link("lo", "up")?;
        // A delayed ACK is sent by a timer, whose softirq may interrupt a tracing program on its CPU.
        // The kernel then does not run the program again, and the transition is lost.
        netns.ip("route replace local 127.0.0.0/8 dev lo table local src 127.0.0.1 quickack 1")?;
        Ok(netns)
    }

    /// The number that the tracer prints as `netns`.
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// A path by which another process can open it while this one lives.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.file.as_raw_fd())
    }

    /// Runs `action` in a thread that is in the namespace and has the process name `comm`.
    pub(crate) fn enter<T: Send + 'static>(
        &self,
        comm: &'static str,
        action: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let file = self.file.try_clone()?;
        joined(thread::Builder::new().name(comm.to_owned()).spawn(move || {
            sys::enter_netns(&file)?;
            action()
        })?)
    }

    /// Runs a command and returns what it printed.
    pub(crate) fn run(&self, command: &[String]) -> Result<String> {
        let command = command.to_vec();
        self.enter("stage", move || run_here(&command))
    }

    /// Sets a `net.…` sysctl of the namespace.
    pub(crate) fn set_sysctl(&self, name: &str, value: &str) -> Result<()> {
        let path = sysctl_path(name);
        let value = value.to_owned();
        self.enter("stage", move || {
            fs::write(&path, value).with_context(|| format!("cannot write {}", path.display()))
        })
    }

    /// Sets a link `up` or `down`.
    pub(crate) fn set_link(&self, name: &str, to: &str) -> Result<()> {
        self.ip(&format!("link set {name} {to}"))
    }

    fn ip(&self, arguments: &str) -> Result<()> {
        self.run(&words(&format!("ip {arguments}"))).map(drop)
    }

    /// Joins two namespaces: 10.0.0.1 is here, 10.0.0.2 there.
    pub(crate) fn join(&self, other: &Self) -> Result<()> {
        self.ip(&format!("link add veth0 type veth peer name veth0 netns {}", other.path()))?;
        for (netns, address) in [(self, "10.0.0.1"), (other, "10.0.0.2")] {
            netns.ip(&format!("address add {address}/24 dev veth0 noprefixroute"))?;
            netns.set_link("veth0", "up")?;
            netns.ip(&format!("route add 10.0.0.0/24 dev veth0 src {address} quickack 1"))?;
        }
        Ok(())
    }

    /// Makes one refused connection to the port of the reserved address.
    pub(crate) fn refuse(&self, port: u16) -> Result<()> {
        self.enter("fence", move || match TcpStream::connect(SocketAddr::from((FENCE, port))) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error).context("the reserved address must refuse"),
            Ok(_) => bail!("something listens on {FENCE}:{port}, which is reserved"),
        })
    }
}

/// Where a sysctl is, in whichever namespace one looks.
pub(crate) fn sysctl_path(name: &str) -> PathBuf {
    format!("/proc/sys/{}", name.replace('.', "/")).into()
}

/// Runs `ip` with these words in the namespace of the calling thread.
pub(crate) fn ip_here(arguments: &str) -> Result<()> {
    run_here(&words(&format!("ip {arguments}"))).map(drop)
}

fn run_here(command: &[String]) -> Result<String> {
    let (program, arguments) = command.split_first().context("an empty command")?;
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}; the suite needs iproute2"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} ended with {}: {stderr}",
        command.join(" "),
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The words of a command line without quoting.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn joined<T>(thread: thread::JoinHandle<Result<T>>) -> Result<T> {
    match thread.join() {
        Ok(result) => result,
        Err(_) => bail!("a helper thread panicked"),
    }
}
