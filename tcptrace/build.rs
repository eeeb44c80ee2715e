//! Builds the kernel programs into `OUT_DIR`, from where `kernel::loader` includes them.

use std::{env, fs, path::Path};

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain};

/// Without the kernel programs everything but live tracing works; set this where no linker for
/// them can be had.
const SKIP: &str = "TCPTRACE_SKIP_EBPF";
const EBPF: &str = "tcptrace-ebpf";

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed={SKIP}");
    let out_dir = env::var("OUT_DIR").context("OUT_DIR is set by cargo")?;
    if env::var_os(SKIP).is_some_and(|value| value == "1") {
        return fs::write(Path::new(&out_dir).join(EBPF), []).context("write an empty object");
    }
    // SAFETY: no other thread runs yet. The variable lets this one build, of this one package, use
    // `-Z build-std`, which the BPF target needs; everything else stays plain stable.
    unsafe { env::set_var("RUSTC_BOOTSTRAP", "1") };
    let manifest_dir =
        env::var("CARGO_MANIFEST_DIR").context("CARGO_MANIFEST_DIR is set by cargo")?;
    // Where `cargo xtask setup` puts bpf-linker, so that a plain `cargo build` finds it too.
    let tools = format!("{manifest_dir}/../target/tools/bin");
    let path = env::var("PATH").unwrap_or_default();
    // SAFETY: as above.
    unsafe { env::set_var("PATH", format!("{tools}:{path}")) };
    // aya-build passes everything the inner cargo says on as warnings; only real ones should come.
    // SAFETY: as above.
    unsafe { env::set_var("CARGO_TERM_QUIET", "true") };
    let root_dir = format!("{manifest_dir}/../{EBPF}");
    aya_build::build_ebpf(
        [Package { name: EBPF, root_dir: &root_dir, ..Package::default() }],
        Toolchain::Custom("1.95.0"),
    )
    .context("cannot build the kernel programs; `cargo xtask setup` installs what they need")
}
