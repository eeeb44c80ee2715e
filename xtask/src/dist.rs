//! `cargo xtask dist`: one static binary, `target/dist/tcptrace`, that runs on any distribution, and beside
//! it the unit of the recorder.

use std::{env::consts::ARCH, fs, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{project, setup, unit};

/// Builds against musl, makes sure nothing is linked at start, and puts the binary aside.
pub(crate) fn run(_arguments: &[String]) -> Result<()> {
    setup::run(&[])?;
    let target = format!("{ARCH}-unknown-linux-musl");
    add_target(&target)?;

    let mut build = project::cargo(["build", "--release", "--locked", "--package", "tcptrace"])?;
    build.args(["--target", &target]).env_remove(project::SKIP_EBPF);
    project::execute(&mut build)?;

    let target_dir = project::target_dir()?;
    let built = target_dir.join(&target).join("release/tcptrace");
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let interpreter = asks_for_interpreter(&bytes)
        .with_context(|| format!("{} is no 64-bit ELF file", built.display()))?;
    ensure!(!interpreter, "{} is linked dynamically; it must not be", built.display());

    let directory = target_dir.join("dist");
    let binary = directory.join("tcptrace");
    fs::create_dir_all(&directory)
        .and_then(|()| fs::copy(&built, &binary))
        .with_context(|| format!("cannot copy the binary to {}", binary.display()))?;
    let unit = unit::path()?;
    let name = unit.file_name().context("the unit is a file")?;
    fs::copy(&unit, directory.join(name))
        .with_context(|| format!("cannot copy {} beside it", unit.display()))?;
    eprintln!("dist: {}, static, {} KiB", binary.display(), bytes.len() / 1024);
    Ok(())
}

/// Makes sure that the standard library is there for `target`.
pub(crate) fn add_target(target: &str) -> Result<()> {
    if project::sysroot()?.join("lib/rustlib").join(target).join("lib").is_dir() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", target]).current_dir(project::root()?);
    project::execute(&mut rustup).with_context(|| format!("the target {target} is missing"))
}

/// Whether a program header of this ELF file names a dynamic linker; `None` if it is no such file.
/// Offsets are those of `Elf64_Ehdr` and `Elf64_Phdr` in elf(5).
fn asks_for_interpreter(elf: &[u8]) -> Option<bool> {
    const CLASS_64: u8 = 2;
    const PT_INTERP: u32 = 3;
    if elf.get(..5)? != [0x7f, b'E', b'L', b'F', CLASS_64] {
        return None;
    }
    let offset = usize::try_from(u64::from_le_bytes(*elf.get(32..)?.first_chunk()?)).ok()?;
    let size = usize::from(u16::from_le_bytes(*elf.get(54..)?.first_chunk()?));
    let count = usize::from(u16::from_le_bytes(*elf.get(56..)?.first_chunk()?));
    for index in 0..count {
        let header = elf.get(offset.checked_add(index * size)?..)?;
        if u32::from_le_bytes(*header.first_chunk()?) == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_told_from_other_bytes() {
        // The tests themselves are linked the usual way, against the C library.
        let own = fs::read("/proc/self/exe").unwrap();
        assert_eq!(asks_for_interpreter(&own), Some(true));
        assert_eq!(asks_for_interpreter(b"#!/bin/sh\n"), None);
        assert_eq!(asks_for_interpreter(&own[..40]), None);
    }

    #[test]
    fn a_file_without_the_header_is_static() {
        let mut elf = vec![0; 64 + 56];
        elf[..5].copy_from_slice(b"\x7fELF\x02");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 1;
        elf[64] = 1; // PT_LOAD
        assert_eq!(asks_for_interpreter(&elf), Some(false));
    }
}
