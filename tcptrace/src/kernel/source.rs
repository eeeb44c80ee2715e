//! The running kernel as a source of events.

use std::{
    collections::BTreeMap, fs::File, os::unix::fs::MetadataExt as _, process, thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use aya_log::EbpfLogger;
use rustix::net::{AddressFamily, SocketType, socket};
use tcptrace_common::record::SocketRecord;
use tokio::{
    io::{Interest, unix::AsyncFd},
    task::yield_now,
    time::{sleep, timeout},
};

use super::{
    HookState, Mode, clock, decode,
    holders::{self, Holders},
    iterators,
    loader::{self, Programs},
    losses::Losses,
    namespaces, netlink,
    records::Records,
    requirements,
};
use crate::{
    event::{DumpEnd, Event, Socket},
    time::Timestamp,
};

/// How soon it is looked again after something came.
const BUSY_INTERVAL: Duration = Duration::from_millis(4);
/// The longest time that a record can wait unseen.
const IDLE_INTERVAL: Duration = Duration::from_millis(64);
/// How soon it is looked again where the next record wakes us.
const ASLEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Records taken out in one go, so that a flood cannot keep the loop from its other duties.
const MAX_BATCH: usize = 65_536;

/// What to trace, and how.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// Bytes for what is on its way to us, a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Record the task on the CPU with every event.
    pub on_cpu: bool,
    /// Only this family: 4 or 6.
    pub family: Option<u8>,
    /// Only these local ports; empty for all.
    pub local_ports: Vec<u16>,
    /// Only these remote ports; empty for all.
    pub remote_ports: Vec<u16>,
    /// Only this network namespace.
    pub netns: Option<u32>,
    /// Tell which process began which.
    pub forks: bool,
    /// Let the kernel programs log; slow.
    pub log_programs: bool,
    /// Only look at what there is: no event comes, if this kernel has the iterators.
    pub look_only: bool,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            ring_bytes: 32 << 20,
            on_cpu: false,
            family: None,
            local_ports: Vec::new(),
            remote_ports: Vec::new(),
            netns: None,
            forks: false,
            log_programs: false,
            look_only: false,
        }
    }
}

/// A dump of existing sockets.
#[derive(Debug, Default)]
pub struct Dump {
    /// The sockets.
    pub sockets: Vec<Socket>,
    /// When it began, and which namespaces it covered.
    pub end: Option<DumpEnd>,
    /// Namespaces that could not be entered or walked, with the reason for the first.
    pub failed: Vec<(u32, String)>,
}

/// The running kernel.
pub struct KernelSource {
    programs: Programs,
    /// None if nothing traces.
    records: Option<Records>,
    logger: Option<EbpfLogger<&'static dyn log::Log>>,
    interval: Duration,
    /// The programs wake us for the next record.
    is_asleep: bool,
    /// The last batch was full, so more is waiting.
    more: bool,
    losses: Losses,
    jiffy_ns: u64,
    /// The only network namespace that is traced, if it is not all of them.
    netns: Option<u32>,
}

impl KernelSource {
    /// Loads and attaches the programs. From here on no transition goes unseen or uncounted, unless
    /// nothing but a look is wanted.
    ///
    /// # Errors
    /// If this machine does not allow tracing; the message says what is missing and the fix.
    pub fn start(options: &SourceOptions) -> Result<Self> {
        Self::attach(options).map_err(|error| requirements::explain(&error))
    }

    fn attach(options: &SourceOptions) -> Result<Self> {
        requirements::raise_memlock_limit();
        let mut programs = if options.look_only {
            loader::load_iterators(options).or_else(|error| {
                log::debug!("looking takes more than the iterators, because: {error:#}");
                loader::load(options)
            })?
        } else {
            loader::load(options)?
        };
        let (mut logger, mut records) = (None, None);
        if let Some(ebpf) = &mut programs.ebpf {
            let ring = loader::ring(ebpf)?;
            // SAFETY: the ring buffer owns its descriptor and never replaces it.
            let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
                .map_err(|error| error.into_parts().1)
                .context("cannot wait for the ring buffer")?;
            records = Some(Records::new(ring, programs.queues.take()));
            if options.log_programs {
                let log = EbpfLogger::init(ebpf);
                logger = Some(log.context("cannot read the log of the kernel programs")?);
            }
        }
        Ok(Self {
            programs,
            records,
            logger,
            interval: BUSY_INTERVAL,
            is_asleep: false,
            more: false,
            losses: Losses::default(),
            jiffy_ns: clock::jiffy_ns(),
            netns: options.netns,
        })
    }

    /// Which variant is running.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.programs.mode
    }

    /// Why the fast path is not used, if it is not.
    #[must_use]
    pub fn degraded(&self) -> Option<&str> {
        self.programs.degraded.as_deref()
    }

    /// The helper hooks and iterators, working or not.
    #[must_use]
    pub fn hooks(&self) -> &[HookState] {
        &self.programs.hooks
    }

    /// Whether the hook or iterator `name` works.
    #[must_use]
    pub fn has_hook(&self, name: &str) -> bool {
        self.programs.hooks.iter().any(|hook| hook.name == name && hook.problem.is_none())
    }

    /// Waits until what the programs have written is worth a look, or `limit` has passed. The interval grows while
    /// nothing happens and is none while more is waiting; above its fill mark the buffer itself wakes us.
    pub async fn wait(&mut self, limit: Option<Duration>) {
        if self.more {
            // Not without a breath, in which signals are noticed.
            return yield_now().await;
        }
        let interval = limit.map_or(self.interval, |limit| limit.min(self.interval));
        let Some(records) = &self.records else {
            return sleep(interval).await;
        };
        if let Ok(Ok(mut ready)) = timeout(interval, records.ring.readable()).await {
            ready.clear_ready();
        }
    }

    /// Takes out what the programs have written, in order of time, and what was lost since the last time.
    /// Returns the moment up to which everything is in `events` now, or `None` if more is waiting.
    pub fn drain(&mut self, events: &mut Vec<Event>) -> Option<Timestamp> {
        let begin = clock::now();
        let Some(records) = &mut self.records else {
            return Some(begin);
        };
        let before = events.len();
        let taken = records.take(begin, MAX_BATCH, self.jiffy_ns, events);
        let undecodable = (taken - (events.len() - before)) as u64;
        self.interval = match self.interval {
            _ if taken > 0 => BUSY_INTERVAL,
            interval if interval < IDLE_INTERVAL => interval * 2,
            // What was being written when the programs were asked to wake us is found by one more look
            // that is as soon as usual.
            _ if self.is_asleep => ASLEEP_INTERVAL,
            interval => interval,
        };
        let is_asleep = taken == 0 && self.interval >= IDLE_INTERVAL;
        if is_asleep != self.is_asleep {
            self.is_asleep = records.fall_asleep(is_asleep) && is_asleep;
        }
        let lost = self.losses.count(&mut self.programs, begin, taken, undecodable);
        // What was lost came before or between what is here, so it is told first.
        events.splice(before..before, lost);
        if let Some(logger) = &mut self.logger {
            logger.flush();
        }
        self.more = taken == MAX_BATCH;
        (!self.more).then_some(begin)
    }

    /// Has the next [`KernelSource::drain`] count losses, even if nothing comes.
    pub fn expect_losses(&mut self) {
        self.losses.expect();
    }

    /// Walks the existing sockets of these namespaces, or of all that are traced.
    pub fn dump(&self, wanted: Option<&[u32]>) -> Dump {
        let mut namespaces = namespaces::all();
        namespaces.retain(|inode, _| {
            self.netns.is_none_or(|netns| netns == *inode)
                && wanted.is_none_or(|wanted| wanted.contains(inode))
        });
        let started = clock::now();
        let mut dump = Dump::default();
        let mut covered = Vec::new();
        for (netns, walked) in self.walk(&namespaces, &mut dump.sockets) {
            match walked {
                Ok(()) => covered.push(netns),
                Err(error) => dump.failed.push((netns, format!("{error:#}"))),
            }
        }
        covered.sort_unstable();
        dump.end = Some(DumpEnd { started, netns: covered });
        dump
    }

    /// Adds the sockets of each namespace, all of them or none.
    fn walk(
        &self,
        namespaces: &BTreeMap<u32, File>,
        sockets: &mut Vec<Socket>,
    ) -> Vec<(u32, Result<()>)> {
        let jiffy_ns = self.jiffy_ns;
        let iterator =
            self.programs.iterators.as_ref().and_then(|iterators| iterators.tcp.as_ref().ok());
        namespaces::inside_each(namespaces, |netns| {
            let before = sockets.len();
            let walked = if let Some(iterator) = iterator {
                iterator.open().and_then(|walk| {
                    iterators::read(walk, |bytes| {
                        while let Some(record) = bytes.split_off(..size_of::<SocketRecord>()) {
                            sockets.extend(decode::socket(record, jiffy_ns));
                        }
                    })
                })
            } else {
                netlink::sockets(netns, sockets)
            };
            walked.inspect_err(|_| sockets.truncate(before))
        })
    }

    /// What every process holds, and what only its descriptors keep.
    ///
    /// # Errors
    /// If neither the iterator nor /proc can be read.
    pub fn holders(&self) -> Result<Holders> {
        let iterators = self.programs.iterators.as_ref();
        match iterators.and_then(|iterators| iterators.task_file.as_ref().ok()) {
            Some(iterator) => holders::by_iterator(iterator.open()?, self.jiffy_ns),
            None => holders::from_proc(),
        }
    }

    /// [`Self::dump`] of everything and [`Self::holders`], at the same time.
    pub fn look(&self) -> (Dump, Result<Holders>) {
        let iterators = self.programs.iterators.as_ref();
        let Some(Ok(iterator)) = iterators.map(|iterators| &iterators.task_file) else {
            return (self.dump(None), self.holders());
        };
        let jiffy_ns = self.jiffy_ns;
        let walk = iterator.open();
        thread::scope(|scope| {
            let holders = scope.spawn(move || holders::by_iterator(walk?, jiffy_ns));
            let dump = self.dump(None);
            let died = |_| Err(anyhow!("the thread that looks for holders died"));
            (dump, holders.join().unwrap_or_else(died))
        })
    }

    /// Our pid as events have it. In a pid namespace that is not the one that we know, but we are
    /// found by what we hold.
    #[must_use]
    pub fn own_pid(&self) -> u32 {
        if namespaces::in_initial_pid_namespace() {
            return process::id();
        }
        self.holder_of_ours().unwrap_or_else(|| {
            log::warn!("cannot find out our pid outside of this pid namespace");
            process::id()
        })
    }

    fn holder_of_ours(&self) -> Option<u32> {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).ok()?;
        let inode =
            u32::try_from(File::from(socket.try_clone().ok()?).metadata().ok()?.ino()).ok()?;
        let holders = self.holders().ok()?;
        let holder = holders.descriptors.iter().find(|holder| holder.inode == inode)?;
        Some(holder.process.pid)
    }
}
