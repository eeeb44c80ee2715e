//! Loading and attaching the kernel programs: the best variant this kernel takes.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Btf as AyaBtf, Ebpf, Endianness,
    maps::{MapData, RingBuf},
    programs::{BtfTracePoint, ProgramError, TracePoint, tp_btf::BtfTracePointLinkId},
};
use tcptrace_common::{
    layout::{ABSENT, Layout, Settings},
    symbols,
};

use super::{
    SourceOptions, bare_loader::bare_loader, btf::Btf, btf_bytes::OF_THE_KERNEL, functions,
    iterators::Iterators, layout, memory::Memory, queues::Queues, tracepoint_format,
};

/// The programs, built by build.rs; empty in a build without them.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tcptrace-ebpf"));
/// The tracepoint everything rests on.
const SET_STATE: &str = "inet_sock_set_state";
/// The tracepoint that tells of new processes.
const PROCESS_FORK: &str = "sched_process_fork";
/// All tracepoints that programs are attached to by BTF.
const TRACEPOINTS: [&str; 5] =
    [SET_STATE, PROCESS_FORK, "tcp_destroy_sock", "tcp_receive_reset", "tcp_send_reset"];
/// Level of the programs' log: at 0 the verifier removes every log statement.
const NO_LOG: u8 = 0;
const FULL_LOG: u8 = 5;

/// How state changes are traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// BTF tracepoint: every field of the socket.
    Btf,
    /// Classic tracepoint: states and addresses only.
    Classic,
}

/// A helper hook, and why it is missing if it is.
#[derive(Clone, Debug)]
pub struct HookState {
    /// Name of the kernel's tracepoint, function or iterator.
    pub name: &'static str,
    /// What is lost without it.
    pub purpose: &'static str,
    /// Why it is off; `None` if it works.
    pub problem: Option<String>,
}

/// Loaded and attached programs. Dropping them detaches.
pub(super) struct Programs {
    /// What traces; nothing does for a look.
    pub(super) ebpf: Option<Ebpf>,
    /// None without BTF.
    pub(super) iterators: Option<Iterators>,
    pub(super) mode: Mode,
    /// Why the fast path is not used.
    pub(super) degraded: Option<String>,
    pub(super) hooks: Vec<HookState>,
    /// Queues that the programs write to, beside the ring buffer.
    pub(super) queues: Option<Queues>,
    /// How `set_state_nested` is attached, if it is.
    nested_link: Option<BtfTracePointLinkId>,
}

/// Whether this build carries the kernel programs.
pub(crate) fn has_programs() -> bool {
    !OBJECT.is_empty()
}

/// Where the kernel's BTF is; `TCPTRACE_BTF` names another place.
pub(crate) fn btf_path() -> PathBuf {
    std::env::var_os("TCPTRACE_BTF").map_or_else(|| OF_THE_KERNEL.into(), PathBuf::from)
}

/// The kernel's BTF, and what the programs need of it.
struct KernelBtf {
    ours: Btf,
    layout: Layout,
}

impl KernelBtf {
    fn read() -> Result<Self> {
        let path = btf_path();
        if !path.exists() {
            bail!("no BTF at {}", path.display());
        }
        let ours = Btf::read(&path)?;
        let layout = layout::resolve(&ours)?;
        Ok(Self { ours, layout })
    }

    /// What aya needs: the numbers of the types that programs are attached to. It would take ten times as
    /// long to read all of it.
    fn for_aya(&self) -> Result<AyaBtf> {
        AyaBtf::parse(&self.ours.only(&TRACEPOINTS, &functions::FUNCTIONS), Endianness::default())
            .context("cannot pass on the kernel's BTF")
    }
}

/// Loads the best variant, attaches it and the helper hooks.
///
/// # Errors
/// If state changes cannot be traced at all.
pub(super) fn load(options: &SourceOptions) -> Result<Programs> {
    if !has_programs() {
        bail!("this build has no kernel programs");
    }
    let fast = KernelBtf::read().and_then(|btf| load_btf(options, &btf));
    match fast {
        Ok(programs) => Ok(programs),
        Err(fast_error) => {
            log::debug!("BTF tracepoint refused: {fast_error:#}");
            let mut programs = load_classic(options).with_context(|| format!("{fast_error:#}"))?;
            programs.degraded = Some(format!("{fast_error:#}"));
            Ok(programs)
        }
    }
}

fn load_btf(options: &SourceOptions, btf: &KernelBtf) -> Result<Programs> {
    let ayas = btf.for_aya()?;
    // bpf_get_socket_cookie takes a BTF socket since 5.12; before, the cookie is read as a field.
    let memory = Memory::with_queues(options, &btf.ours)?;
    let attempt = |cookie_helper: bool| -> Result<(Ebpf, Settings)> {
        let settings = settings_by_btf(options, memory, btf, cookie_helper);
        let mut ebpf = load_object(options, memory, &btf.layout, &settings)?;
        attach_btf(&mut ebpf, symbols::SET_STATE_BTF, SET_STATE, &ayas)?;
        Ok((ebpf, settings))
    };
    let (mut ebpf, settings) = attempt(true).or_else(|error| {
        log::debug!("without the cookie helper, because: {error:#}");
        attempt(false)
    })?;
    // After the program that it stands in for: kernels that let that one interrupt itself run both, and
    // the first has told the event by then.
    let nested_link = attach_btf(&mut ebpf, symbols::SET_STATE_NESTED, SET_STATE, &ayas);
    let problem = nested_link.as_ref().err().map(|error| format!("{error:#}"));
    let mut hooks = vec![HookState {
        name: symbols::SET_STATE_NESTED,
        purpose: "transitions that come in an interrupt (else counted as lost)",
        problem,
    }];
    hooks.extend(attach_hooks(&mut ebpf, &btf.ours, &ayas));
    hooks.extend(functions::attach(&mut ebpf, &btf.ours, &ayas));
    let iterators = Iterators::load(OBJECT, &btf.ours, &btf.layout, &settings)?;
    hooks.extend(iterator_hooks(&iterators));
    if options.log_programs {
        let problem = attach_btf(&mut ebpf, symbols::SET_STATE_LOG, SET_STATE, &ayas).err();
        hooks.push(HookState {
            name: symbols::SET_STATE_LOG,
            purpose: "the log of the kernel programs",
            problem: problem.map(|error| format!("{error:#}")),
        });
    }
    if options.forks {
        let problem = attach_btf(&mut ebpf, symbols::PROCESS_FORK, PROCESS_FORK, &ayas).err();
        hooks.push(HookState {
            name: PROCESS_FORK,
            purpose: "which process began which",
            problem: problem.map(|error| format!("{error:#}")),
        });
    }
    let queues = Queues::open(&ebpf, memory)?;
    Ok(Programs {
        ebpf: Some(ebpf),
        iterators: Some(iterators),
        mode: Mode::Btf,
        degraded: None,
        hooks,
        queues,
        nested_link: nested_link.ok(),
    })
}

impl Programs {
    /// Has the second program tell what the first one is kept from, or not: while it is attached, a
    /// transition costs a fifth more.
    pub(super) fn attend_nested(&mut self, is_needed: bool) {
        let is_loaded =
            |hook: &HookState| hook.name == symbols::SET_STATE_NESTED && hook.problem.is_none();
        if is_needed == self.nested_link.is_some() || !self.hooks.iter().any(is_loaded) {
            return;
        }
        let Some(ebpf) = &mut self.ebpf else { return };
        let link = self.nested_link.take();
        let changed = program(ebpf, symbols::SET_STATE_NESTED).and_then(|program| {
            let program: &mut BtfTracePoint = program.try_into()?;
            match link {
                None => self.nested_link = Some(program.attach()?),
                Some(link) => program.detach(link)?,
            }
            Ok(())
        });
        if let Err(error) = changed {
            log::debug!("{} could not be changed: {error:#}", symbols::SET_STATE_NESTED);
        }
    }
}

/// Loads the iterators, which is all that a look takes.
///
/// # Errors
/// If this kernel has not both of them. Tracing may still find ways around that.
pub(super) fn load_iterators(options: &SourceOptions) -> Result<Programs> {
    if !has_programs() {
        bail!("this build has no kernel programs");
    }
    let btf = KernelBtf::read()?;
    // The helper is no newer than what the other iterator takes.
    let settings = settings_by_btf(options, Memory::ring(options), &btf, true);
    let iterators = Iterators::load(OBJECT, &btf.ours, &btf.layout, &settings)?;
    let hooks = iterator_hooks(&iterators);
    if let Some(HookState { name, problem: Some(problem), .. }) =
        hooks.iter().find(|hook| hook.problem.is_some())
    {
        bail!("{name}: {problem}");
    }
    let iterators = Some(iterators);
    Ok(Programs {
        ebpf: None,
        iterators,
        mode: Mode::Btf,
        degraded: None,
        hooks,
        queues: None,
        nested_link: None,
    })
}

fn iterator_hooks(iterators: &Iterators) -> Vec<HookState> {
    let Iterators { tcp, task_file } = iterators;
    [
        ("iter/tcp", "existing sockets (else by netlink)", tcp),
        ("iter/task_file", "owners of sockets (else from /proc)", task_file),
    ]
    .map(|(name, purpose, iterator)| {
        let problem = iterator.as_ref().err().map(|error| format!("{error:#}"));
        HookState { name, purpose, problem }
    })
    .into()
}

fn load_classic(options: &SourceOptions) -> Result<Programs> {
    tracepoint_format::check()?;
    let layout: Layout = bytemuck::Zeroable::zeroed();
    let memory = Memory::ring(options);
    let mut ebpf = load_object(options, memory, &layout, &settings(options, memory))?;
    let program: &mut TracePoint = program(&mut ebpf, symbols::SET_STATE_CLASSIC)?.try_into()?;
    program.load().map_err(explain)?;
    program
        .attach("sock", SET_STATE)
        .context("cannot attach to the tracepoint sock:inet_sock_set_state")?;
    Ok(Programs {
        ebpf: Some(ebpf),
        iterators: None,
        mode: Mode::Classic,
        degraded: None,
        hooks: Vec::new(),
        queues: None,
        nested_link: None,
    })
}

fn settings(options: &SourceOptions, memory: Memory) -> Settings {
    Settings {
        wake_bytes: memory.ring_bytes / 4,
        queue_segments: memory.queue_segments,
        netns: options.netns.unwrap_or(0),
        on_cpu: u8::from(options.on_cpu),
        family: options.family.unwrap_or(0),
        local_ports: u8::from(!options.local_ports.is_empty()),
        remote_ports: u8::from(!options.remote_ports.is_empty()),
        ..Settings::default()
    }
}

fn settings_by_btf(
    options: &SourceOptions,
    memory: Memory,
    btf: &KernelBtf,
    cookie_helper: bool,
) -> Settings {
    // The one came with 5.11, the other with 5.12.
    let knows_tasks = ![btf.layout.task_tgid, btf.layout.task_comm].contains(&ABSENT);
    Settings {
        cookie_helper: u8::from(cookie_helper),
        task_helper: u8::from(cookie_helper && knows_tasks),
        kern_sock_mask: layout::bit_mask(&btf.ours, "sock", "sk_kern_sock"),
        repair_mask: layout::bit_mask(&btf.ours, "tcp_sock", "repair"),
        usec_mask: layout::bit_mask(&btf.ours, "tcp_sock", "tcp_usec_ts"),
        ..settings(options, memory)
    }
}

fn load_object(
    options: &SourceOptions,
    memory: Memory,
    layout: &Layout,
    settings: &Settings,
) -> Result<Ebpf> {
    let local_ports = bitmap(&options.local_ports);
    let remote_ports = bitmap(&options.remote_ports);
    let log_level = if options.log_programs { FULL_LOG } else { NO_LOG };
    bare_loader()
        .map_max_entries(symbols::EVENTS, memory.ring_bytes)
        .map_max_entries(symbols::SEGMENTS, memory.cpus * memory.queue_segments.max(1))
        .map_max_entries(symbols::READERS, memory.cpus)
        .override_global(symbols::LAYOUT, bytemuck::bytes_of(layout), true)
        .override_global(symbols::SETTINGS, bytemuck::bytes_of(settings), true)
        .override_global(symbols::LOCAL_PORTS, local_ports.as_slice(), true)
        .override_global(symbols::REMOTE_PORTS, remote_ports.as_slice(), true)
        .override_global(symbols::AYA_LOG_LEVEL, &log_level, false)
        .load(OBJECT)
        .context("cannot create the maps of the kernel programs")
}

/// One bit for each port.
fn bitmap(ports: &[u16]) -> Vec<u8> {
    let mut bits = vec![0; symbols::PORT_BITMAP_BYTES];
    for &port in ports {
        bits[usize::from(port >> 3)] |= 1 << (port & 7);
    }
    bits
}

fn attach_hooks(ebpf: &mut Ebpf, btf: &Btf, ayas: &AyaBtf) -> Vec<HookState> {
    // The third argument, the reason, came with 6.10, and with it resets that no full socket sends.
    let (send_reset, resets_sent) = match btf.tracepoint_arguments("tcp_send_reset") {
        Some(2) => (symbols::SEND_RESET_NO_REASON, "resets sent, but for those of minisocks"),
        _ => (symbols::SEND_RESET, "resets sent, told from those received"),
    };
    let mut hooks = Vec::new();
    for (program, name, purpose) in [
        (symbols::DESTROY_SOCK, "tcp_destroy_sock", "when a closed socket's last descriptor goes"),
        (symbols::RECEIVE_RESET, "tcp_receive_reset", "resets received, confirmed"),
        (send_reset, "tcp_send_reset", resets_sent),
    ] {
        let problem = attach_btf(ebpf, program, name, ayas).err();
        hooks.push(HookState { name, purpose, problem: problem.map(|error| format!("{error:#}")) });
    }
    hooks
}

fn attach_btf(
    ebpf: &mut Ebpf,
    name: &str,
    tracepoint: &str,
    btf: &AyaBtf,
) -> Result<BtfTracePointLinkId> {
    let program: &mut BtfTracePoint = program(ebpf, name)?.try_into()?;
    program.load(tracepoint, btf).map_err(explain)?;
    program.attach().with_context(|| format!("cannot attach to the tracepoint {tracepoint}"))
}

pub(super) fn program<'a>(
    ebpf: &'a mut Ebpf,
    name: &str,
) -> Result<&'a mut aya::programs::Program> {
    ebpf.program_mut(name).with_context(|| format!("the kernel object has no program {name}"))
}

/// Shortens a load error: the verifier's log goes to our log, not to the user.
pub(super) fn explain(error: ProgramError) -> anyhow::Error {
    if let ProgramError::LoadError { io_error, verifier_log } = error {
        log::debug!("verifier: {verifier_log}");
        return anyhow!(io_error).context("the kernel refused a program");
    }
    anyhow!(error)
}

/// The ring buffer of a loaded object.
pub(super) fn ring(ebpf: &mut Ebpf) -> Result<RingBuf<MapData>> {
    let map = ebpf.take_map(symbols::EVENTS).context("the kernel object has no map EVENTS")?;
    Ok(RingBuf::try_from(map)?)
}
