//! The iterators: programs that look instead of waiting for events.
//!
//! They are loaded by system calls of our own, for a look should cost little: aya finds out first what
//! the kernel knows, loads types that no iterator needs, and takes the number of the type to attach to
//! from BTF with as many types as that, which is ten times as much work. aya reads and links the object.

use std::{
    collections::{HashMap, HashSet},
    ffi::CStr,
    fs::File,
    io::{self, ErrorKind, Read as _},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};
use aya_obj::{EbpfSectionKind, Object, Program, generated::bpf_insn};
use bytemuck::{NoUninit, Zeroable};
use tcptrace_common::{
    layout::{Layout, Settings},
    symbols,
};

use super::btf::Btf;

/// Bytes read at once: as many as the kernel gathers (`bpf_seq_read`, 5.10 to 7.2), and one record more.
const PIECE: usize = 33 << 10;
/// What the verifier says of a program that it refuses.
const VERIFIER_LOG: usize = 1 << 20;

// From the kernel's include/uapi/linux/bpf.h.
const MAP_CREATE: u32 = 0;
const MAP_UPDATE_ELEM: u32 = 2;
const PROG_LOAD: u32 = 5;
const MAP_FREEZE: u32 = 22;
const LINK_CREATE: u32 = 28;
const ITER_CREATE: u32 = 33;
const MAP_TYPE_ARRAY: u32 = 2;
const MAP_READ_ONLY: u32 = 1 << 7;
const PROG_TYPE_TRACING: u32 = 26;
const TRACE_ITER: u32 = 28;

/// An iterator in the kernel.
#[derive(Debug)]
pub(super) struct IteratorProgram(OwnedFd);

/// Both of them, or why one cannot be had.
#[derive(Debug)]
pub(super) struct Iterators {
    /// Existing sockets of a network namespace.
    pub(super) tcp: Result<IteratorProgram>,
    /// Descriptors of all processes that are TCP sockets.
    pub(super) task_file: Result<IteratorProgram>,
}

impl Iterators {
    /// Loads them.
    ///
    /// # Errors
    /// If the object is not usable, or the kernel takes no read-only map.
    pub(super) fn load(
        object: &[u8],
        btf: &Btf,
        layout: &Layout,
        settings: &Settings,
    ) -> Result<Self> {
        let mut object = Object::parse(object).context("cannot read the kernel programs")?;
        object.patch_map_data(HashMap::from([
            (symbols::LAYOUT, (bytemuck::bytes_of(layout), true)),
            (symbols::SETTINGS, (bytemuck::bytes_of(settings), true)),
        ]))?;
        // The rest needs maps that nobody else does.
        let is_iterator = |name: &str| [symbols::ITER_TCP, symbols::ITER_TASK_FILE].contains(&name);
        for (_, other) in object.programs.extract_if(|name, _| !is_iterator(name)) {
            object.functions.remove(&other.function_key());
        }
        let (name, constants) = object
            .maps
            .iter()
            .find(|(_, map)| map.section_kind() == EbpfSectionKind::Rodata)
            .map(|(name, map)| (name.clone(), map.clone()))
            .context("the kernel object has no constants")?;
        let map = read_only_map(constants.data()).context("cannot create a map")?;
        let sections: HashSet<usize> =
            object.functions.keys().map(|(section, _)| *section).collect();
        object
            .relocate_maps([(name.as_str(), map.as_raw_fd(), &constants)].into_iter(), &sections)?;
        object.relocate_calls(&sections)?;
        let load = |program, kind| {
            let function = object.programs.get(program).map(Program::function_key);
            let function = function.and_then(|key| object.functions.get(&key));
            let function =
                function.with_context(|| format!("the kernel object has no program {program}"))?;
            let attach_to = btf
                .iterator_type(kind)
                .with_context(|| format!("the kernel has no iterator {kind}"))?;
            load_program(program, &function.instructions, &object.license, attach_to)
                .context("the kernel refused a program")
        };
        Ok(Self {
            tcp: load(symbols::ITER_TCP, "tcp"),
            task_file: load(symbols::ITER_TASK_FILE, "task_file"),
        })
    }
}

impl IteratorProgram {
    /// Begins a walk, in the network namespace of the calling thread. Any thread may go it.
    ///
    /// # Errors
    /// If the kernel has no memory or the process no descriptor left.
    pub(super) fn open(&self) -> Result<File> {
        #[expect(clippy::cast_sign_loss, reason = "descriptors are not negative")]
        let word = |fd: &OwnedFd| fd.as_raw_fd() as u32;
        let link = LinkCreate { program: word(&self.0), kind: TRACE_ITER, ..Zeroable::zeroed() };
        let link = bpf_descriptor(LINK_CREATE, &link).context("cannot attach an iterator")?;
        let walk = bpf_descriptor(ITER_CREATE, &[word(&link), 0]).context("cannot begin a walk")?;
        Ok(walk.into())
    }
}

/// Hands what an iterator writes to `take`, piece by piece, which takes off the records that are whole;
/// the rest comes again with the next piece.
///
/// # Errors
/// If the walk ends early.
pub(super) fn read(mut walk: File, mut take: impl FnMut(&mut &[u8])) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut filled = 0;
    loop {
        let read = match walk.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("an iterator ended early"),
        };
        filled += read;
        let mut rest = &buffer[..filled];
        take(&mut rest);
        let left = rest.len();
        buffer.copy_within(filled - left..filled, 0);
        filled = left;
    }
}

/// A map of one value that neither the programs nor we can change, so that the verifier knows it.
fn read_only_map(value: &[u8]) -> io::Result<OwnedFd> {
    #[expect(clippy::cast_possible_truncation, reason = "constants of a few KiB")]
    let value_size = value.len() as u32;
    let map = MapCreate {
        kind: MAP_TYPE_ARRAY,
        key_size: 4,
        value_size,
        entries: 1,
        flags: MAP_READ_ONLY,
    };
    let map = bpf_descriptor(MAP_CREATE, &map)?;
    #[expect(clippy::cast_sign_loss, reason = "descriptors are not negative")]
    let fd = map.as_raw_fd() as u32;
    let key = 0_u32;
    let value = address(value);
    bpf(
        MAP_UPDATE_ELEM,
        &MapUpdate { map: fd, key: address(&[key]), value, ..Zeroable::zeroed() },
    )?;
    bpf(MAP_FREEZE, &[fd])?;
    Ok(map)
}

fn load_program(
    name: &str,
    instructions: &[bpf_insn],
    license: &CStr,
    attach_to: u32,
) -> io::Result<IteratorProgram> {
    let mut program_name = [0; 16];
    for (to, from) in program_name[..15].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a few thousand")]
    let count = instructions.len() as u32;
    let program = ProgLoad {
        kind: PROG_TYPE_TRACING,
        count,
        instructions: address(instructions),
        license: address(license.to_bytes_with_nul()),
        name: program_name,
        attach_kind: TRACE_ITER,
        attach_to,
        ..Zeroable::zeroed()
    };
    bpf_descriptor(PROG_LOAD, &program).map(IteratorProgram).inspect_err(|_| {
        let mut log = vec![0_u8; VERIFIER_LOG];
        #[expect(clippy::cast_possible_truncation, reason = "see its value")]
        let log_size = VERIFIER_LOG as u32;
        let log_address = log.as_mut_ptr().expose_provenance() as u64;
        // Once more, to be told why.
        _ = bpf_descriptor(
            PROG_LOAD,
            &ProgLoad { log_level: 1, log_size, log: log_address, ..program },
        );
        let text = log.split(|&byte| byte == 0).next().unwrap_or_default();
        log::debug!("verifier: {}", String::from_utf8_lossy(text));
    })
}

/// Where the kernel finds what it reads.
fn address<T>(of: &[T]) -> u64 {
    of.as_ptr().expose_provenance() as u64
}

/// `union bpf_attr` of `BPF_MAP_CREATE`, as far as it is used.
#[repr(C)]
#[derive(Clone, Copy, NoUninit, Zeroable)]
struct MapCreate {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
}

/// `union bpf_attr` of `BPF_MAP_UPDATE_ELEM`.
#[repr(C)]
#[derive(Clone, Copy, NoUninit, Zeroable)]
struct MapUpdate {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `union bpf_attr` of `BPF_PROG_LOAD`, as far as it is used.
#[repr(C)]
#[derive(Clone, Copy, NoUninit, Zeroable)]
struct ProgLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_kind: u32,
    btf: u32,
    function_size: u32,
    functions: u64,
    function_count: u32,
    line_size: u32,
    lines: u64,
    line_count: u32,
    attach_to: u32,
}

/// `union bpf_attr` of `BPF_LINK_CREATE`, as far as it is used.
#[repr(C)]
#[derive(Clone, Copy, NoUninit, Zeroable)]
struct LinkCreate {
    program: u32,
    target: u32,
    kind: u32,
    flags: u32,
}

/// A call that gives a descriptor.
fn bpf_descriptor(command: u32, attributes: &impl NoUninit) -> io::Result<OwnedFd> {
    let fd = bpf(command, attributes)?;
    // SAFETY: it is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf(command: u32, attributes: &impl NoUninit) -> io::Result<i32> {
    let bytes = bytemuck::bytes_of(attributes);
    // SAFETY: the kernel reads no more than these bytes, which are what the command takes, and what they
    // point to is as long as they say and lives until the call returns; it writes to a log only.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, bytes.as_ptr(), bytes.len()) };
    match i32::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
