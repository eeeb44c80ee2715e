//! `list`: every TCP socket now, with age and owner.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use anyhow::Result;
use bytes::BytesMut;

use super::tracing;
use crate::{
    cli::ListArgs,
    kernel::{
        KernelSource, SourceOptions,
        privileges::{self, Needs},
    },
    live,
    model::socket_list::socket_list,
    output::sockets::sockets,
};

/// Runs the command.
///
/// # Errors
/// If this machine does not allow looking, or stdout fails.
pub fn run(args: &ListArgs) -> Result<ExitCode> {
    let filter = tracing::filter(&args.filter)?;
    let runtime = tracing::event_loop()?;
    // The ring buffer wants a running event loop, although nothing is read from it here.
    let source = {
        let _guard = runtime.enter();
        KernelSource::start(&SourceOptions {
            ring_bytes: 4096,
            netns: filter.netns,
            look_only: true,
            ..SourceOptions::default()
        })?
    };
    privileges::keep_only(Needs::of_looking(filter.netns));
    tracing::note_hidden(filter.netns);
    let (mut dump, holders) = source.look();
    let holders = holders?;
    dump.sockets.extend(holders.over);
    let mut list = socket_list(&dump.sockets, &holders.descriptors);
    list.retain(|listed| filter.wants(listed));
    let mut out = BytesMut::new();
    sockets(&mut out, &args.output.style(io::stdout().is_terminal()), &list);
    live::write_out(&mut out)?;
    if let Some((inode, problem)) = dump.failed.first() {
        log::warn!(
            "{} network namespaces could not be looked into (first: {inode}, {problem})",
            dump.failed.len()
        );
        return Ok(ExitCode::from(3));
    }
    Ok(ExitCode::SUCCESS)
}
