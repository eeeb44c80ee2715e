//! Tracers of others, which tcptrace is compared with.

use std::{fs::File, io, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    thread::{UnshareFlags, unshare_unsafe},
};

use crate::{options::Bench, tracer::Tracer};

/// Another tracer of TCP states.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: &'static str,
    /// The package of Debian that has it.
    package: &'static str,
    arguments: &'static [&'static str],
}

/// What tcpstates prints, but for the names of states, of IPv4 alone.
const ONE_LINER: &str = r#"
tracepoint:sock:inet_sock_set_state /args->protocol == 6/ {
    $since = @since[args->skaddr];
    printf("%s %llx %d %s %s %d %s %d %d %d %d\n", strftime("%H:%M:%S", nsecs), args->skaddr, pid, comm,
        ntop(args->saddr), args->sport, ntop(args->daddr), args->dport,
        args->oldstate, args->newstate, $since ? (nsecs - $since) / 1000 : 0);
    if (args->newstate == 7) { delete(@since[args->skaddr]); } else { @since[args->skaddr] = nsecs; }
}
END { clear(@since); }
"#;

/// All of them.
pub(crate) const PEERS: &[Peer] = &[
    Peer {
        name: "bpftrace",
        program: "bpftrace",
        package: "bpftrace",
        arguments: &["-e", ONE_LINER],
    },
    Peer { name: "tcpstates", program: "tcpstates", package: "libbpf-tools", arguments: &[] },
];

impl Peer {
    /// Why it cannot be measured, if so.
    pub(crate) fn problem(&self) -> Option<String> {
        let started = Command::new(self.program).arg("--help").output();
        let error = started.err()?;
        Some(format!("no {}: {error}; `apt-get install {}`", self.name, self.package))
    }

    /// Starts it with its output in a file, and waits until it traces.
    pub(crate) fn start(&self, bench: &Bench) -> Result<Tracer> {
        let mut command = Command::new(self.program);
        command.args(self.arguments).stdout(File::create(bench.file("lines.txt"))?);
        sees_tracepoints(&mut command);
        let mut tracer = Tracer::spawn_command(command)?;
        tracer.settle_peer().with_context(|| format!("cannot trace with {}", self.name))?;
        Ok(tracer)
    }
}

/// Both look for the tracepoint in file systems that are not mounted everywhere.
fn sees_tracepoints(command: &mut Command) {
    let mount_both = || {
        // SAFETY: only descriptor tables (CLONE_FILES) are unsafe to unshare; this is another flag.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
        mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        // Where they are mounted already, this does nothing.
        _ = mount(c"tracefs", c"/sys/kernel/tracing", c"tracefs", MountFlags::empty(), None);
        _ = mount(c"debugfs", c"/sys/kernel/debug", c"debugfs", MountFlags::empty(), None);
        io::Result::Ok(())
    };
    // SAFETY: between fork and exec only system calls are made, by text that is there already.
    unsafe { command.pre_exec(mount_both) };
}
