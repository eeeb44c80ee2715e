//! What describes a recording as a whole.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};

use crate::time::{ClockSample, Timestamp};

/// The version of the format that this code writes. A higher one is refused; lower ones are read.
pub(super) const FORMAT: u32 = 1;

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
}

impl Metadata {
    pub(super) fn write(&self) -> HashMap<String, String> {
        [
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
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
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
        let number = |key: &str| entries.get(key).and_then(|text| text.parse().ok());
        Ok(Self {
            tool: text(TOOL_KEY),
            host: text(HOST_KEY),
            kernel: text(KERNEL_KEY),
            boot_id: text(BOOT_ID_KEY),
            clock: ClockSample {
                boot: Timestamp(
                    number(BOOT_NS_KEY).and_then(|ns| u64::try_from(ns).ok()).unwrap_or(0),
                ),
                wall_ns: number(WALL_NS_KEY).unwrap_or(0),
            },
            command_line: text(COMMAND_KEY),
            reset_hook: text(RESET_HOOK_KEY) == "true",
            destroy_hook: text(DESTROY_HOOK_KEY) == "true",
        })
    }
}
