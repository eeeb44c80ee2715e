//! A tracer with as little memory for records as one likes, as an actor of its own.

use std::{
    fs::File,
    path::Path,
    sync::mpsc::{Sender, channel},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow, bail, ensure};
use bytes::BytesMut;
use tcptrace::{
    commands::tracing,
    kernel::{KernelSource, SourceOptions, clock},
    live::{self, Hangups, Sink},
    model::{change::Change, filter::Filter, findings::limits::Limits},
    pipeline::Pipeline,
    recording::{Compression, Metadata, Output, Recorder, Rotate},
    time::ClockSample,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// What the actor does until it ends: trace one namespace in `ring_bytes` of memory, and record that
/// into `file`. It `follows` connections like `watch`, or only looks out like `record`.
pub(crate) fn act(follows: bool, ring_bytes: u32, netns: u32, file: &str) -> Result<()> {
    let (sender, begun) = channel();
    let path = file.to_owned();
    let run = thread::spawn(move || trace(follows, ring_bytes, netns, path.as_ref(), &sender));
    if begun.recv_timeout(PATIENCE).is_err() {
        ensure!(run.is_finished(), "it does not begin");
        return run.join().map_err(|_| anyhow!("it panicked"))?;
    }
    Ok(())
}

fn trace(
    follows: bool,
    ring_bytes: u32,
    netns: u32,
    file: &Path,
    begun: &Sender<()>,
) -> Result<()> {
    tracing::event_loop()?.block_on(async {
        let stop = live::StopSignals::new()?;
        let clock = clock::sample();
        let options = SourceOptions { ring_bytes, netns: Some(netns), ..SourceOptions::default() };
        let mut source = KernelSource::start(&options)?;
        let output = Output::file(file, File::create(file)?, false)?;
        let no_next = Box::new(|_| bail!("nobody asked for another file"));
        let metadata = Metadata { clock, ..Metadata::default() };
        let mut recorder =
            Recorder::new(metadata, Compression::None, output, no_next, Rotate::default(), |_| {})?;
        let (filter, options) =
            (Filter { netns: Some(netns), ..Filter::default() }, tracing::options(&source));
        let mut pipeline = if follows {
            Pipeline::tracked(options, filter, clock)
        } else {
            Pipeline::recorded(options, filter, Limits::default(), clock, false)
        };
        begun.send(())?;
        let tee = live::Tee { recorder: &mut recorder, hangups: Hangups::default() };
        live::run(&mut source, &mut pipeline, &mut Silent, Some(tee), stop, None).await?;
        Ok(())
    })
}

/// Tells nothing.
struct Silent;

impl Sink for Silent {
    fn header(&self, _: &mut BytesMut) {}

    fn change(&mut self, _: &Change, _: &ClockSample, _: &mut BytesMut) {}
}
