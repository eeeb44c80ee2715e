//! `doctor`: what this machine allows, with the fix for what is missing.

use std::process::ExitCode;

use anyhow::Result;
use bytes::BytesMut;

use super::tracing;
use crate::{
    cli::DoctorArgs,
    kernel::{
        KernelSource, Mode, SourceOptions,
        requirements::{self, Requirement, Status},
    },
    live,
    output::diagnoses::{Diagnosis, Mark, diagnoses},
};

/// Exit status if tracing cannot work here.
const CANNOT_TRACE: u8 = 3;

/// Runs the command.
///
/// # Errors
/// If stdout fails.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    let mut list: Vec<_> = requirements::check().into_iter().map(diagnosis).collect();
    let runtime = tracing::event_loop()?;
    let _guard = runtime.enter();
    let works = match KernelSource::start(&SourceOptions::default()) {
        Ok(source) => {
            list.extend(of_source(&source));
            true
        }
        Err(error) => {
            list.push(Diagnosis {
                name: "tracing".to_owned(),
                mark: Mark::Missing,
                found: format!("{error:#}"),
                fix: None,
            });
            false
        }
    };
    let mut out = BytesMut::new();
    diagnoses(&mut out, args.json, &list);
    live::write_out(&mut out)?;
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::from(CANNOT_TRACE) })
}

fn diagnosis(requirement: Requirement) -> Diagnosis {
    Diagnosis {
        name: requirement.name.to_owned(),
        mark: match requirement.status {
            Status::Good => Mark::Good,
            Status::Limited => Mark::Limited,
            Status::Missing => Mark::Missing,
        },
        found: requirement.found,
        fix: requirement.fix,
    }
}

/// What was loaded and attached just now, for real.
fn of_source(source: &KernelSource) -> Vec<Diagnosis> {
    let tracing = match source.mode() {
        Mode::Btf => Diagnosis {
            name: "tracing".to_owned(),
            mark: Mark::Good,
            found: "works, by the BTF tracepoint".to_owned(),
            fix: None,
        },
        Mode::Classic => Diagnosis {
            name: "tracing".to_owned(),
            mark: Mark::Limited,
            found: format!(
                "works, but only by the classic tracepoint ({})",
                source.degraded().unwrap_or("no BTF")
            ),
            fix: None,
        },
    };
    let hooks = source.hooks().iter().map(|hook| Diagnosis {
        name: hook.name.to_owned(),
        mark: if hook.problem.is_none() { Mark::Good } else { Mark::Limited },
        found: match &hook.problem {
            None => format!("works: {}", hook.purpose),
            Some(problem) => format!("off ({problem}); lost with it: {}", hook.purpose),
        },
        fix: None,
    });
    std::iter::once(tracing).chain(hooks).collect()
}
