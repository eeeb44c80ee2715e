//! Builds the programs that the product is compared with into `OUT_DIR`.

use std::{env, fs, path::Path};

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain};

const EBPF: &str = "tcptrace-ebpf";
const FLOORS: &str = "floors";

/// As in `tcptrace/build.rs`.
const SKIP: &str = "TCPTRACE_SKIP_EBPF";

fn main() -> Result<()> {
    println!("cargo:rerun-if-env-changed={SKIP}");
    let out_dir = env::var("OUT_DIR").context("OUT_DIR is set by cargo")?;
    if env::var_os(SKIP).is_some_and(|value| value == "1") {
        return fs::write(Path::new(&out_dir).join(FLOORS), []).context("write an empty object");
    }
    let manifest_dir =
        env::var("CARGO_MANIFEST_DIR").context("CARGO_MANIFEST_DIR is set by cargo")?;
    let tools = format!("{manifest_dir}/../target/tools/bin");
    let path = env::var("PATH").unwrap_or_default();
    // SAFETY: no other thread runs yet; what the variables are for is said in `tcptrace/build.rs`.
    unsafe {
        env::set_var("RUSTC_BOOTSTRAP", "1");
        env::set_var("PATH", format!("{tools}:{path}"));
        env::set_var("CARGO_TERM_QUIET", "true");
    }
    let root_dir = format!("{manifest_dir}/../{EBPF}");
    let package =
        Package { name: EBPF, root_dir: &root_dir, features: &[FLOORS], ..Package::default() };
    aya_build::build_ebpf([package], Toolchain::Custom("1.95.0"))
        .context("cannot build the kernel programs; `cargo xtask setup` installs what they need")
}
