//! Loading and attaching the kernel programs: the best variant this kernel takes.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Btf as AyaBtf, Ebpf, Endianness,
    maps::{MapData, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, Iter, ProgramError, TracePoint},
};
use tcptrace_common::{
    layout::{Layout, Settings},
    record::CpuCounters,
    symbols,
};

use super::{SourceOptions, bare_loader::bare_loader, btf::Btf, layout, tracepoint_format};

/// The programs, built by build.rs; empty in a build without them.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tcptrace-ebpf"));
/// The tracepoint everything rests on.
const SET_STATE: &str = "inet_sock_set_state";
/// The tracepoint that tells of new processes.
const PROCESS_FORK: &str = "sched_process_fork";
/// All tracepoints that programs are attached to by BTF.
const TRACEPOINTS: [&str; 5] =
    [SET_STATE, PROCESS_FORK, "tcp_destroy_sock", "tcp_receive_reset", "tcp_send_reset"];
const ITERATORS: [Iterator; 2] = [
    Iterator {
        program: symbols::ITER_TCP,
        kind: "tcp",
        name: "iter/tcp",
        purpose: "existing sockets (else by netlink)",
    },
    Iterator {
        program: symbols::ITER_TASK_FILE,
        kind: "task_file",
        name: "iter/task_file",
        purpose: "owners of sockets (else from /proc)",
    },
];

/// A program that looks instead of waiting for events.
struct Iterator {
    program: &'static str,
    /// What of the kernel it walks.
    kind: &'static str,
    name: &'static str,
    /// What is lost without it.
    purpose: &'static str,
}
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
    /// Name of the kernel's tracepoint or iterator.
    pub name: &'static str,
    /// What is lost without it.
    pub purpose: &'static str,
    /// Why it is off; `None` if it works.
    pub problem: Option<String>,
}

/// Loaded and attached programs. Dropping them detaches.
pub(super) struct Programs {
    pub(super) ebpf: Ebpf,
    pub(super) mode: Mode,
    /// Why the fast path is not used.
    pub(super) degraded: Option<String>,
    pub(super) hooks: Vec<HookState>,
}

/// Whether this build carries the kernel programs.
pub(crate) fn has_programs() -> bool {
    !OBJECT.is_empty()
}

/// Where the kernel's BTF is; `TCPTRACE_BTF` names another place.
pub(crate) fn btf_path() -> PathBuf {
    std::env::var_os("TCPTRACE_BTF").map_or_else(|| "/sys/kernel/btf/vmlinux".into(), PathBuf::from)
}

/// The kernel's BTF, and what aya needs of it: the numbers of the types that programs are attached to.
/// aya takes ten times as long to read all of it.
struct KernelBtf {
    ours: Btf,
    ayas: AyaBtf,
    layout: Layout,
}

impl KernelBtf {
    fn read() -> Result<Self> {
        let path = btf_path();
        if !path.exists() {
            bail!("no BTF at {}", path.display());
        }
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let ours = Btf::parse(bytes).with_context(|| format!("cannot use {}", path.display()))?;
        let needed = ours.only(&TRACEPOINTS, &ITERATORS.map(|iterator| iterator.kind));
        let ayas = AyaBtf::parse(&needed, Endianness::default())
            .with_context(|| format!("cannot use {}", path.display()))?;
        let layout = layout::resolve(&ours)?;
        Ok(Self { ours, ayas, layout })
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
    // bpf_get_socket_cookie takes a BTF socket since 5.12; before, the cookie is read as a field.
    let attempt = |cookie_helper: bool| -> Result<Ebpf> {
        let settings = settings_by_btf(options, btf, cookie_helper);
        let mut ebpf = load_object(options, &btf.layout, &settings)?;
        attach_btf(&mut ebpf, symbols::SET_STATE_BTF, SET_STATE, &btf.ayas)?;
        Ok(ebpf)
    };
    let mut ebpf = attempt(true).or_else(|error| {
        log::debug!("without the cookie helper, because: {error:#}");
        attempt(false)
    })?;
    // After the program that it stands in for: kernels that let that one interrupt itself run both, and
    // the first has told the event by then.
    let nested = attach_btf(&mut ebpf, symbols::SET_STATE_NESTED, SET_STATE, &btf.ayas);
    let mut hooks = vec![HookState {
        name: symbols::SET_STATE_NESTED,
        purpose: "transitions that come in an interrupt (else counted as lost)",
        problem: nested.err().map(|error| format!("{error:#}")),
    }];
    hooks.extend(attach_hooks(&mut ebpf, btf));
    if options.log_programs {
        let problem = attach_btf(&mut ebpf, symbols::SET_STATE_LOG, SET_STATE, &btf.ayas).err();
        hooks.push(HookState {
            name: symbols::SET_STATE_LOG,
            purpose: "the log of the kernel programs",
            problem: problem.map(|error| format!("{error:#}")),
        });
    }
    if options.forks {
        let problem = attach_btf(&mut ebpf, symbols::PROCESS_FORK, PROCESS_FORK, &btf.ayas).err();
        hooks.push(HookState {
            name: PROCESS_FORK,
            purpose: "which process began which",
            problem: problem.map(|error| format!("{error:#}")),
        });
    }
    Ok(Programs { ebpf, mode: Mode::Btf, degraded: None, hooks })
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
    // Nothing is ever written into the ring buffer.
    let options = SourceOptions { ring_bytes: 4096, ..options.clone() };
    // The helper is no newer than what the other iterator takes.
    let settings = settings_by_btf(&options, &btf, true);
    let mut ebpf = load_object(&options, &btf.layout, &settings)?;
    let mut hooks = Vec::new();
    for Iterator { program, kind, name, purpose } in ITERATORS {
        load_iterator(&mut ebpf, program, kind, &btf.ayas)?;
        hooks.push(HookState { name, purpose, problem: None });
    }
    Ok(Programs { ebpf, mode: Mode::Btf, degraded: None, hooks })
}

fn load_classic(options: &SourceOptions) -> Result<Programs> {
    tracepoint_format::check()?;
    let layout: Layout = bytemuck::Zeroable::zeroed();
    let mut ebpf = load_object(options, &layout, &settings(options))?;
    let program: &mut TracePoint = program(&mut ebpf, symbols::SET_STATE_CLASSIC)?.try_into()?;
    program.load().map_err(explain)?;
    program
        .attach("sock", SET_STATE)
        .context("cannot attach to the tracepoint sock:inet_sock_set_state")?;
    Ok(Programs { ebpf, mode: Mode::Classic, degraded: None, hooks: Vec::new() })
}

fn settings(options: &SourceOptions) -> Settings {
    Settings {
        wake_bytes: options.ring_bytes / 4,
        netns: options.netns.unwrap_or(0),
        on_cpu: u8::from(options.on_cpu),
        family: options.family.unwrap_or(0),
        local_ports: u8::from(!options.local_ports.is_empty()),
        remote_ports: u8::from(!options.remote_ports.is_empty()),
        ..Settings::default()
    }
}

fn settings_by_btf(options: &SourceOptions, btf: &KernelBtf, cookie_helper: bool) -> Settings {
    Settings {
        cookie_helper: u8::from(cookie_helper),
        kern_sock_mask: layout::bit_mask(&btf.ours, "sock", "sk_kern_sock"),
        repair_mask: layout::bit_mask(&btf.ours, "tcp_sock", "repair"),
        usec_mask: layout::bit_mask(&btf.ours, "tcp_sock", "tcp_usec_ts"),
        ..settings(options)
    }
}

fn load_object(options: &SourceOptions, layout: &Layout, settings: &Settings) -> Result<Ebpf> {
    let local_ports = bitmap(&options.local_ports);
    let remote_ports = bitmap(&options.remote_ports);
    let log_level = if options.log_programs { FULL_LOG } else { NO_LOG };
    bare_loader()
        .map_max_entries(symbols::EVENTS, options.ring_bytes)
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

fn attach_hooks(ebpf: &mut Ebpf, btf: &KernelBtf) -> Vec<HookState> {
    // The third argument, the reason, came with 6.10, and with it resets that no full socket sends.
    let (send_reset, resets_sent) = match btf.ours.tracepoint_arguments("tcp_send_reset") {
        Some(2) => (symbols::SEND_RESET_NO_REASON, "resets sent, but for those of minisocks"),
        _ => (symbols::SEND_RESET, "resets sent, told from those received"),
    };
    let mut hooks = Vec::new();
    for (program, name, purpose) in [
        (symbols::DESTROY_SOCK, "tcp_destroy_sock", "when a closed socket's last descriptor goes"),
        (symbols::RECEIVE_RESET, "tcp_receive_reset", "resets received, confirmed"),
        (send_reset, "tcp_send_reset", resets_sent),
    ] {
        let problem = attach_btf(ebpf, program, name, &btf.ayas).err();
        hooks.push(HookState { name, purpose, problem: problem.map(|error| format!("{error:#}")) });
    }
    for Iterator { program, kind, name, purpose } in ITERATORS {
        let problem = load_iterator(ebpf, program, kind, &btf.ayas).err();
        hooks.push(HookState {
            name,
            purpose,
            problem: problem.map(|error| format!("{error:#}")),
        });
    }
    hooks
}

fn attach_btf(ebpf: &mut Ebpf, name: &str, tracepoint: &str, btf: &AyaBtf) -> Result<()> {
    let program: &mut BtfTracePoint = program(ebpf, name)?.try_into()?;
    program.load(tracepoint, btf).map_err(explain)?;
    program.attach().with_context(|| format!("cannot attach to the tracepoint {tracepoint}"))?;
    Ok(())
}

fn load_iterator(ebpf: &mut Ebpf, name: &str, kind: &str, btf: &AyaBtf) -> Result<()> {
    let program: &mut Iter = program(ebpf, name)?.try_into()?;
    program.load(kind, btf).map_err(explain)
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut aya::programs::Program> {
    ebpf.program_mut(name).with_context(|| format!("the kernel object has no program {name}"))
}

/// Shortens a load error: the verifier's log goes to our log, not to the user.
fn explain(error: ProgramError) -> anyhow::Error {
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

/// Reads what the programs counted since the start.
///
/// # Errors
/// If the map cannot be read.
pub(super) fn counters(ebpf: &Ebpf) -> Result<Counted> {
    let map = ebpf.map(symbols::COUNTERS).context("the kernel object has no map COUNTERS")?;
    let mut counted = Counted::default();
    for Counters(cpu) in PerCpuArray::<_, Counters>::try_from(map)?.get(&0, 0)?.iter() {
        counted.lost += cpu.lost.iter().sum::<u64>();
        counted.nested += cpu.nested;
    }
    Ok(counted)
}

/// What the programs counted, of all CPUs together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    /// Records that found the ring buffer full.
    pub(super) lost: u64,
    /// Transitions that the second program told because the first was running.
    pub(super) nested: u64,
}

/// What the map holds, as aya may read it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Counters(CpuCounters);

// SAFETY: all of it is plain integers, for which any bytes are a value.
unsafe impl aya::Pod for Counters {}
