//! Every helper program works that this kernel can run. Without them much is found out in other ways,
//! so that no scenario would show that a kernel's verifier refuses one.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    fentry,
    mode::{self, Mode},
    needing_root,
    verdict::{self, Verdict},
};

pub(crate) const NAME: &str = "hooks: each that this kernel can have works";
/// What `doctor` lists, and the helper of the kernel without which it cannot be.
const HOOKS: [(&str, Option<&str>); 6] = [
    ("set_state_nested", None),
    ("tcp_destroy_sock", None),
    ("tcp_receive_reset", None),
    ("tcp_send_reset", None),
    ("iter/tcp", None),
    ("iter/task_file", Some("BPF_FUNC_sock_from_file")),
];

/// The classic tracepoint has no hooks beside it.
pub(crate) fn trial() -> Option<Trial> {
    let is_classic = matches!(mode::of_run(), Ok(Some(Mode::Classic)));
    (!is_classic).then(|| {
        Trial::test(NAME, || {
            let outcome = needing_root(run)();
            let verdict = match &outcome {
                Ok(()) => Verdict::Right { limits: lacking()? },
                Err(failed) => Verdict::Failed(failed.message().unwrap_or_default()),
            };
            verdict::note(NAME, &verdict)?;
            outcome
        })
    })
}

fn run() -> Result<()> {
    let mut doctor = mode::tcptrace()?;
    let output = doctor.args(["doctor", "--json"]).output().context("cannot start tcptrace")?;
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let lacking = lacking()?;
    for (hook, _) in HOOKS {
        let line = lines.iter().find(|line| line["name"] == hook);
        let line = line.with_context(|| format!("doctor does not name {hook}: {text}"))?;
        let works = line["status"] == "good";
        ensure!(works != lacking.contains(&hook), "{line}");
    }
    for function in fentry::FUNCTIONS {
        let line = lines.iter().find(|line| line["name"] == function);
        let line = line.with_context(|| format!("doctor does not name {function}: {text}"))?;
        ensure!((line["status"] == "good") == fentry::works()?, "{line}");
    }
    Ok(())
}

/// Hooks that the kernel cannot have, by what its BTF names.
fn lacking() -> Result<Vec<&'static str>> {
    let mut lacking = Vec::new();
    for (hook, needed) in HOOKS {
        if let Some(helper) = needed
            && !kernel_names(helper)?
        {
            lacking.push(hook);
        }
    }
    Ok(lacking)
}

/// Whether the kernel's BTF has this name.
pub(crate) fn kernel_names(name: &str) -> Result<bool> {
    let btf = fs::read("/sys/kernel/btf/vmlinux").context("this kernel has no BTF")?;
    Ok(btf.windows(name.len()).any(|bytes| bytes == name.as_bytes()))
}
