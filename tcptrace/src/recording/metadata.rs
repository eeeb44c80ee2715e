//! What describes a recording as a whole.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result, bail};

use crate::{
    event::{Sysctl, Sysctls},
    time::{ClockSample, Timestamp},
};

/// The version of the format that this code writes. A higher one is refused; lower ones are read.
pub(super) const FORMAT: u32 = 2;

const FORMAT_KEY: &str = "tcptrace.format";
const TOOL_KEY: &str = "tcptrace.version";
const HOST_KEY: &str = "host";
const KERNEL_KEY: &str = "kernel";
const BOOT_ID_KEY: &str = "boot_id";
const BOOT_NS_KEY: &str = "clock.boot_ns";
const WALL_NS_KEY: &str = "clock.wall_ns";
const COMMAND_KEY: &str = "command_line";
const RESET_HOOK_KEY: &str = "hook.tcp_send_reset";
const DESTROY_HOOK_KEY: &str = "hook.tcp_destroy_sock";
const RUN_KEY: &str = "run.boot_ns";
const PART_KEY: &str = "run.part";
const NETNS_KEY: &str = "netns";
/// Before the name of a filter.
const FILTER_KEYS: &str = "filter.";
/// Before the name of a setting.
const SYSCTL_KEYS: &str = "sysctl.";

/// What describes a recording as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Version of tcptrace that wrote it.
    pub tool: String,
    /// Name of the host.
    pub host: String,
    /// Release of its kernel.
    pub kernel: String,
    /// Which boot of it.
    pub boot_id: String,
    /// Where the clocks stood when it began.
    pub clock: ClockSample,
    /// How it was made.
    pub command_line: String,
    /// Resets sent were traced.
    pub reset_hook: bool,
    /// The ends of closed sockets were traced.
    pub destroy_hook: bool,
    /// Which run of the recorder wrote it: when that began.
    pub run: Timestamp,
    /// Which file of that run it is, counted from 1; 0 if that was not written down.
    pub part: u32,
    /// Which connections were asked for: options of `record` by their long names, with their values.
    pub filters: BTreeMap<String, String>,
    /// The settings of the recorder's network namespace when it began.
    pub sysctls: Sysctls,
}

impl Metadata {
    pub(super) fn write(&self) -> HashMap<String, String> {
        let mut entries: HashMap<String, String> = [
            (FORMAT_KEY, FORMAT.to_string()),
            (TOOL_KEY, self.tool.clone()),
            (HOST_KEY, self.host.clone()),
            (KERNEL_KEY, self.kernel.clone()),
            (BOOT_ID_KEY, self.boot_id.clone()),
            (BOOT_NS_KEY, self.clock.boot.0.to_string()),
            (WALL_NS_KEY, self.clock.wall_ns.to_string()),
            (COMMAND_KEY, self.command_line.clone()),
            (RESET_HOOK_KEY, self.reset_hook.to_string()),
            (DESTROY_HOOK_KEY, self.destroy_hook.to_string()),
            (RUN_KEY, self.run.0.to_string()),
            (PART_KEY, self.part.to_string()),
            (NETNS_KEY, self.sysctls.netns.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        let filters = self.filters.iter();
        entries
            .extend(filters.map(|(name, value)| (format!("{FILTER_KEYS}{name}"), value.clone())));
        let sysctls = self.sysctls.iter();
        entries.extend(
            sysctls.map(|(name, text)| (format!("{SYSCTL_KEYS}{}", name.name()), text.to_owned())),
        );
        entries
    }

    pub(super) fn read(entries: &HashMap<String, String>) -> Result<Self> {
        let text = |key: &str| entries.get(key).cloned().unwrap_or_default();
        let format = entries.get(FORMAT_KEY).context("it is no recording of tcptrace")?;
        let format: u32 = format.parse().context("it is no recording of tcptrace")?;
        if format > FORMAT {
            bail!(
                "its format {format} is newer than ours ({FORMAT}): read it with tcptrace {} or later",
                text(TOOL_KEY)
            );
        }
        let number = |key: &str| entries.get(key).and_then(|text| text.parse::<i64>().ok());
        let time = |key: &str| Timestamp(number(key).map_or(0, i64::unsigned_abs));
        let small = |key: &str| entries.get(key).and_then(|text| text.parse().ok()).unwrap_or(0);
        let named = |prefix: &'static str| {
            entries.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value)))
        };
        let sysctls = named(SYSCTL_KEYS)
            .filter_map(|(name, text)| Some((Sysctl::from_name(name)?, text.clone())));
        Ok(Self {
            tool: text(TOOL_KEY),
            host: text(HOST_KEY),
            kernel: text(KERNEL_KEY),
            boot_id: text(BOOT_ID_KEY),
            clock: ClockSample {
                boot: time(BOOT_NS_KEY),
                wall_ns: number(WALL_NS_KEY).unwrap_or(0),
            },
            command_line: text(COMMAND_KEY),
            reset_hook: text(RESET_HOOK_KEY) == "true",
            destroy_hook: text(DESTROY_HOOK_KEY) == "true",
            run: time(RUN_KEY),
            part: small(PART_KEY),
            filters: named(FILTER_KEYS)
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect(),
            sysctls: Sysctls::new(small(NETNS_KEY), sysctls),
        })
    }
}
