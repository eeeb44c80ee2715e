//! A connection that is looked at with more and fewer privileges.

use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{PATIENCE, copy::Copy};
use crate::{cast::Actor, namespace::Namespace};

/// A connection that its holder does not close although the other end did, in a namespace of its own.
pub(super) struct Held {
    netns: Namespace,
    pub(super) actor: Actor,
    port: u16,
}

/// What a run told of it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: Option<i32>,
    pub(super) found: Option<Value>,
    pub(super) stderr: String,
}

impl Held {
    pub(super) fn new() -> Result<Self> {
        let netns = Namespace::new()?;
        let actor = Actor::spawn("holder", &netns)?;
        for command in [
            "listen l 127.0.0.1:7000",
            "connect c 127.0.0.1:7000",
            "accept s l",
            "shutdown s",
            "until c CLOSE_WAIT",
        ] {
            actor.tell(command, PATIENCE)?.done()?;
        }
        Ok(Self { netns, actor, port: 7000 })
    }

    pub(super) fn look(&self, program: &Copy, held: &str, arguments: &[&str]) -> Result<Told> {
        self.look_from(self, program, held, arguments)
    }

    pub(super) fn look_from(
        &self,
        place: &Self,
        program: &Copy,
        held: &str,
        arguments: &[&str],
    ) -> Result<Told> {
        let mut command = program.with(held, arguments);
        command.arg("--json");
        self.told(place.run(command)?)
    }

    pub(super) fn look_without_btf(&self, program: &Copy, held: &str) -> Result<Told> {
        let script = "test -d /sys/kernel/tracing/events || mount -t tracefs none \
                      /sys/kernel/tracing && exec \"$0\" \"$@\"";
        let mut around = Command::new("unshare");
        around.args(["--mount", "sh", "-c", script]).env("TCPTRACE_BTF", "/nowhere/vmlinux");
        self.of(around, &program.with(held, &["list", "--json"]))
    }

    /// A command within another one that prepares its surroundings.
    pub(super) fn of(&self, mut around: Command, command: &Command) -> Result<Told> {
        around.arg(command.get_program()).args(command.get_args());
        self.told(self.run(around)?)
    }

    fn run(&self, mut command: Command) -> Result<Output> {
        self.netns.enter("starter", move || Ok(command.output()?))
    }

    fn told(&self, output: Output) -> Result<Told> {
        let stdout = String::from_utf8(output.stdout)?;
        let lines = stdout.lines().map(serde_json::from_str);
        let lines: Vec<Value> = lines.collect::<Result<_, _>>()?;
        // Without BTF namespaces are known by netlink as well.
        let is_it = |line: &Value| {
            line["netns"] == self.netns.inode()
                && line["rport"] == self.port
                && line["state"] == "CLOSE_WAIT"
        };
        Ok(Told {
            status: output.status.code(),
            found: lines.into_iter().find(is_it),
            stderr: String::from_utf8(output.stderr)?,
        })
    }
}

impl Told {
    pub(super) fn owner(&self) -> Result<&Value> {
        let found = self.found.as_ref().with_context(|| format!("not found: {self:?}"))?;
        found["owners"].get(0).with_context(|| format!("no owner: {self:?}"))
    }

    pub(super) fn says(&self, what: &str) -> bool {
        self.stderr.contains(what)
    }
}
