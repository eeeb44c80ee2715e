//! One line of `tcptrace watch --json`.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::namespace::FENCE;

/// A transition. The names are those of the JSON contract.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) boot_ns: u64,
    pub(crate) conn: String,
    /// That of the addresses, null where they are.
    pub(crate) family: Option<String>,
    pub(crate) local: (Option<IpAddr>, Option<u16>),
    pub(crate) remote: (Option<IpAddr>, Option<u16>),
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) dwell_ns: Option<u64>,
    pub(crate) dwell: String,
    pub(crate) evidence: String,
    pub(crate) reason: Option<String>,
    pub(crate) pid: Option<u64>,
    pub(crate) comm: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) v4mapped: bool,
    pub(crate) cookie: Option<u64>,
    pub(crate) netns: Option<u64>,
    pub(crate) skaddr: Option<String>,
    /// As it was printed.
    pub(crate) json: String,
}

impl Line {
    /// Parses a line; every name of the contract must be there, also those whose value is `null`.
    pub(crate) fn parse(json: &str) -> Result<Self> {
        let value: Value =
            serde_json::from_str(json).with_context(|| format!("not JSON: {json}"))?;
        let field = |name: &str| value.get(name).with_context(|| format!("no `{name}` in {json}"));
        let text = |name: &str| -> Result<Option<String>> {
            match field(name)? {
                Value::Null => Ok(None),
                Value::String(text) => {
                    ensure!(
                        !text.is_empty(),
                        "`{name}` is empty, where unknown is null, in {json}"
                    );
                    Ok(Some(text.clone()))
                }
                other => anyhow::bail!("`{name}` is {other} in {json}"),
            }
        };
        let needed = |name: &str| -> Result<String> {
            text(name)?.with_context(|| format!("`{name}` is null in {json}"))
        };
        let number = |name: &str| -> Result<Option<u64>> {
            match field(name)? {
                Value::Null => Ok(None),
                other => Ok(Some(
                    other.as_u64().with_context(|| format!("`{name}` is {other} in {json}"))?,
                )),
            }
        };
        let address = |name: &str| -> Result<Option<IpAddr>> {
            text(name)?
                .map(|text| text.parse().with_context(|| format!("`{name}` in {json}")))
                .transpose()
        };
        let port = |name: &str| -> Result<Option<u16>> {
            let port = number(name)?
                .map(u16::try_from)
                .transpose()
                .with_context(|| format!("`{name}` in {json}"))?;
            ensure!(port != Some(0), "`{name}` is 0, where unknown is null, in {json}");
            Ok(port)
        };
        needed("time")?;
        Ok(Self {
            boot_ns: number("boot_ns")?.with_context(|| format!("`boot_ns` is null in {json}"))?,
            conn: needed("conn")?,
            family: text("family")?,
            local: (address("laddr")?, port("lport")?),
            remote: (address("raddr")?, port("rport")?),
            from: needed("from")?,
            to: needed("to")?,
            dwell_ns: number("dwell_ns")?,
            dwell: needed("dwell")?,
            evidence: needed("evidence")?,
            reason: text("reason")?,
            pid: number("pid")?,
            comm: text("comm")?,
            owner: text("owner")?,
            v4mapped: value.get("v4mapped").and_then(Value::as_bool).unwrap_or_default(),
            cookie: number("cookie")?,
            netns: number("netns")?,
            skaddr: text("skaddr")?,
            json: json.to_owned(),
        })
    }

    /// Whether it is about a connection of [`crate::tracer::Tracer::fence`].
    pub(crate) fn is_fence(&self) -> bool {
        self.remote.0 == Some(FENCE.into())
    }

    pub(crate) fn local(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.local.0?, self.local.1?))
    }

    pub(crate) fn remote(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.remote.0?, self.remote.1?))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json)
    }
}
