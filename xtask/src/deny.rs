//! What we depend on: licences, versions that are there twice, and what is known to be broken.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    project,
    setup::{self, Tool},
};

/// Built without optimisation, in a third of the time; it runs for a second.
const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    settings: &[
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
        ("CARGO_PROFILE_RELEASE_LTO", "off"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "64"),
    ],
    needs: "the network and a C compiler (`cc`)",
};

/// The workspaces, each with a lock file of its own; what the fuzz targets need besides is shipped to nobody.
const MANIFESTS: &[&str] = &["Cargo.toml", "fuzz/Cargo.toml"];

/// Checks licences, sources and versions by `deny.toml`, without the network.
pub(crate) fn dependencies() -> Result<()> {
    setup::tool(&CARGO_DENY)?;
    for manifest in MANIFESTS {
        let mut deny = project::cargo(["deny", "--config", "deny.toml", "--locked"])?;
        deny.args(["--manifest-path", manifest, "check", "--hide-inclusion-graph"]);
        deny.args(["licenses", "sources"]);
        if *manifest == "Cargo.toml" {
            deny.arg("bans");
        }
        project::execute(&mut deny)?;
    }
    Ok(())
}

/// Checks what is known against the versions in use, by the database that an earlier run fetched where the
/// network has none. Tells why where there is neither: nothing else should fail for that.
pub(crate) fn advisories() -> Result<Option<String>> {
    setup::tool(&CARGO_DENY)?;
    let mut fetch = project::cargo(["deny", "--config", "deny.toml", "fetch", "db"])?;
    if let Err(error) = project::execute(&mut fetch) {
        if !has_database() {
            return Ok(Some(format!("the advisory database cannot be fetched: {error:#}")));
        }
        // One that is older than 90 days is refused.
        eprintln!("check: advisories are those that were fetched before");
    }
    let mut deny = project::cargo(["deny", "--config", "deny.toml", "--locked", "--offline"])?;
    deny.args(["check", "advisories"]);
    project::execute(&mut deny).context("see https://rustsec.org for what to do")?;
    Ok(None)
}

/// Whether the database lies where cargo-deny keeps it.
fn has_database() -> bool {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let entries = home.and_then(|home| fs::read_dir(home.join("advisory-dbs")).ok());
    entries.into_iter().flatten().flatten().any(|entry| entry.path().join("crates").is_dir())
}
