//! What we depend on: licences, versions that are there twice, and what is known to be broken.

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

/// Checks what is known against the versions in use. Tells why where the database cannot be had: without
/// the network nothing can be said of them, and nothing else should fail for that.
pub(crate) fn advisories() -> Result<Option<String>> {
    setup::tool(&CARGO_DENY)?;
    let mut fetch = project::cargo(["deny", "--config", "deny.toml", "fetch", "db"])?;
    if let Err(error) = project::execute(&mut fetch) {
        return Ok(Some(format!("the advisory database cannot be fetched: {error:#}")));
    }
    let mut deny = project::cargo(["deny", "--config", "deny.toml", "--locked", "--offline"])?;
    deny.args(["check", "advisories"]);
    project::execute(&mut deny).context("see https://rustsec.org for what to do")?;
    Ok(None)
}
