//! The actor's side: a live run in a thread, and the same again from its recording.

use std::{
    fs::File,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow, bail, ensure};
use bytes::BytesMut;
use rustix::process::{Signal, getpid, kill_process};
use tcptrace::{
    commands::tracing,
    kernel::{KernelSource, SourceOptions, clock},
    live::{self, Hangups},
    model::{
        filter::Filter,
        findings::{detector, limits::Limits},
        summary::Summary,
        tracker::Options,
    },
    pipeline::Pipeline,
    recording::{Compression, Input, Metadata, Output, Recorder, Rotate},
    replay::{self, Speed},
    time::ClockSample,
};

use super::kept::{Kept, Seen};

/// What is awaited comes within this time or not at all; less than whoever asks waits for the answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that reads a trace.
#[derive(Clone, Copy, Debug)]
pub(super) enum View {
    Watch,
    Lifetimes,
    Stuck,
}

impl FromStr for View {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "watch" => Ok(Self::Watch),
            "lifetimes" => Ok(Self::Lifetimes),
            "stuck" => Ok(Self::Stuck),
            _ => bail!("no view {name}"),
        }
    }
}

impl View {
    fn pipeline(self, options: Options, clock: ClockSample) -> Pipeline {
        match self {
            Self::Watch | Self::Lifetimes => Pipeline::tracked(options, Filter::default(), clock),
            Self::Stuck => {
                let limits = Limits::all(Duration::from_secs(1));
                let stuck = detector::Options { limits, ..detector::Options::default() };
                Pipeline::stuck(options, stuck, clock)
            }
        }
    }
}

/// All that a run told: the text in each format, and what it came to.
type Told = (Vec<BytesMut>, Summary);

/// A live run that is teed to a recording.
pub(crate) struct Tee {
    view: View,
    file: PathBuf,
    run: JoinHandle<Result<Told>>,
    seen: Arc<Seen>,
}

impl Tee {
    /// Begins to trace, and to record into `file`.
    pub(crate) fn begin(view: &str, file: &str) -> Result<Self> {
        let view = view.parse()?;
        let file = PathBuf::from(file);
        let (sender, begun) = mpsc::channel();
        let run = {
            let file = file.clone();
            thread::spawn(move || traced(view, &file, sender))
        };
        match begun.recv_timeout(PATIENCE) {
            Ok(seen) => Ok(Self { view, file, run, seen }),
            Err(_) if run.is_finished() => Err(joined(run).err().unwrap_or(anyhow!("it ended"))),
            Err(_) => bail!("it does not begin"),
        }
    }

    /// Waits until so many changes of a kind have been told of this network namespace.
    pub(crate) fn until(&self, count: u64, kind: &str, netns: u64) -> Result<()> {
        ensure!(self.seen.wait(count, kind, netns, PATIENCE), "too few: {:?}", self.seen);
        Ok(())
    }

    /// Waits until what was told together has been told.
    pub(crate) fn until_tick(&self) -> Result<()> {
        ensure!(self.seen.wait_for_tick(PATIENCE), "no time passes");
        Ok(())
    }

    /// Ends it as a user would, and compares what was told with what its recording tells.
    pub(crate) fn end(self) -> Result<()> {
        kill_process(getpid(), Signal::INT)?;
        let (live, live_summary) = joined(self.run)?;
        let (recorded, summary) = replayed(self.view, &self.file)?;
        for (live, recorded) in live.iter().zip(&recorded) {
            compare(&String::from_utf8_lossy(live), &String::from_utf8_lossy(recorded))?;
        }
        // It counts the events too, so that none is in only one of the two.
        ensure!(live_summary == summary, "live: {live_summary:?}, recorded: {summary:?}");
        Ok(())
    }
}

fn joined(run: JoinHandle<Result<Told>>) -> Result<Told> {
    run.join().map_err(|_| anyhow!("the live run panicked"))?
}

/// What the view told live, in each format. Once it is attached `begun` is told.
fn traced(view: View, file: &Path, begun: Sender<Arc<Seen>>) -> Result<Told> {
    tracing::event_loop()?.block_on(async {
        let stop = live::StopSignals::new()?;
        let clock = clock::sample();
        let mut source = KernelSource::start(&SourceOptions::default())?;
        let options = tracing::options(&source);
        let metadata = Metadata {
            clock,
            reset_hook: options.reset_hook,
            destroy_hook: options.destroy_hook,
            ..Metadata::default()
        };
        let output = Output::file(file, File::create(file)?, false)?;
        let no_next = Box::new(|_| bail!("nobody asked for another file"));
        let mut recorder =
            Recorder::new(metadata, Compression::Zstd, output, no_next, Rotate::default(), |_| {})?;
        let mut pipeline = view.pipeline(options, clock);
        let seen = Arc::default();
        let told = Arc::clone(&seen);
        let mut kept = Kept::new(view, clock, seen, move || _ = begun.send(Arc::clone(&told)));
        let tee = live::Tee { recorder: &mut recorder, hangups: Hangups::default() };
        let outcome =
            live::run(&mut source, &mut pipeline, &mut kept, Some(tee), stop, None).await?;
        let written = recorder.finish(clock::now())?;
        ensure!(written.lost == 0, "the recorder was behind: {written:?}");
        Ok((kept.texts(), outcome.summary))
    })
}

/// What the view tells of the recording.
fn replayed(view: View, file: &Path) -> Result<Told> {
    tracing::event_loop()?.block_on(async {
        let mut input = Input::open(&[file.to_owned()])?;
        let Metadata { clock, reset_hook, destroy_hook, .. } = *input.metadata();
        let options = Options { reset_hook, destroy_hook, ..Options::default() };
        let mut pipeline = view.pipeline(options, clock);
        let mut kept = Kept::new(view, clock, Arc::default(), || {});
        let outcome = replay::run(&mut input, &mut pipeline, &mut kept, Speed::Max).await?;
        Ok((kept.texts(), outcome.summary))
    })
}

fn compare(live: &str, recorded: &str) -> Result<()> {
    ensure!(live.lines().count() > 1, "nothing was told");
    let (mut of_live, mut of_recorded) = (live.lines(), recorded.lines());
    for number in 1.. {
        let (was, is) = (of_live.next(), of_recorded.next());
        if was != is {
            let before = live.lines().take(number - 1).last().unwrap_or_default();
            bail!("line {number}, after {before:?}, live: {was:?}, recorded: {is:?}");
        }
        if was.is_none() {
            break;
        }
    }
    ensure!(live == recorded, "they end in different ways");
    Ok(())
}
