//! What a tracer knows of a network namespace, beside what `ss` shows there.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufReader, Read},
    net::Ipv4Addr,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tcptrace::{
    event::{Endpoint, Event, Lost},
    model::tracker::{Options, Tracker},
    recording::Recording,
    time::Timestamp,
};

use crate::{
    list::{Ends, parse_ss},
    namespace::{Namespace, words},
};

/// The state of each socket, by its ends.
type Picture = BTreeMap<Ends, String>;

/// How often `ss` is asked again.
const SHOWN_AGAIN: Duration = Duration::from_secs(1);
/// How many differences a failure shows.
const SHOWN: usize = 5;

/// What there is.
fn of_machine(netns: &Namespace) -> Result<Picture> {
    let shown = netns.run(&words("ss -H -O -t -a -n"))?;
    Ok(parse_ss(&shown)?.into_iter().map(|(ends, row)| (ends, row.state)).collect())
}

/// What the tracker of a recording knows, while that is being written: the same events through the
/// same tracker as in `watch`, so this is what `watch` knows.
pub(crate) struct Follower {
    batches: Receiver<Result<Vec<Event>>>,
    waiting: std::vec::IntoIter<Event>,
    tracker: Tracker,
    /// The latest time that any event had.
    pub(crate) now: Timestamp,
    /// When the last loss was noticed.
    pub(crate) last_lost: Option<Timestamp>,
    pub(crate) lost: u64,
    pub(crate) transitions: u64,
}

impl Follower {
    /// Reads what a recorder writes into a pipe.
    pub(crate) fn new(pipe: impl Read + Send + 'static) -> Self {
        let (sender, batches) = channel();
        thread::spawn(move || {
            let read = || -> Result<()> {
                let mut recording = Recording::open(BufReader::new(pipe))?;
                while let Some(events) = recording.next_batch()? {
                    if sender.send(Ok(events)).is_err() {
                        return Ok(());
                    }
                }
                bail!("the recording ended: {:?}", recording.tail())
            };
            // Nobody may be left to be told.
            read().or_else(|error| sender.send(Err(error))).ok();
        });
        Self {
            batches,
            waiting: Vec::new().into_iter(),
            tracker: Tracker::new(Options::default()),
            now: Timestamp(0),
            last_lost: None,
            lost: 0,
            transitions: 0,
        }
    }

    /// Takes events in until `holds` of one that has been taken in.
    pub(crate) fn until(
        &mut self,
        patience: Duration,
        mut holds: impl FnMut(&Self, &Event) -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let Some(event) = self.waiting.next() else {
                let left = deadline.saturating_duration_since(Instant::now());
                let batch = self.batches.recv_timeout(left);
                self.waiting = batch.context("it was not recorded in time")??.into_iter();
                continue;
            };
            self.take(&event);
            if holds(self, &event)? {
                return Ok(());
            }
        }
    }

    fn take(&mut self, event: &Event) {
        let at = match event {
            Event::Transition(transition) => {
                self.transitions += u64::from(transition.from != transition.to);
                transition.at
            }
            Event::Hook(hook) => hook.at,
            Event::Socket(socket) => socket.at,
            Event::DumpEnd(end) => end.started,
            Event::Tick(at) | Event::SnapshotEnd(at) => *at,
            Event::Lost(Lost { at, count, .. }) => {
                self.last_lost = Some(*at);
                self.lost += count;
                *at
            }
            _ => self.now,
        };
        self.now = self.now.max(at);
        // What is told of it is not asked here.
        self.tracker.apply(event, &mut Vec::new());
    }

    /// What the tracker knows of a namespace.
    fn picture(&self, netns: &Namespace) -> Picture {
        let end = |end: &Endpoint| {
            (end.addr.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), end.port.unwrap_or_default())
        };
        let here = self
            .tracker
            .living()
            .filter(|connection| connection.netns().map(u64::from) == Some(netns.inode()));
        here.map(|connection| {
            let (tuple, state) = (connection.tuple(), connection.state().name().to_owned());
            let remote = (state != "LISTEN").then(|| end(&tuple.remote));
            ((end(&tuple.local), remote), state)
        })
        .collect()
    }

    /// Waits until the tracker knows of a namespace what `ss` shows, where nothing happens meanwhile but
    /// that timers end.
    pub(crate) fn until_it_agrees(&mut self, netns: &Namespace, patience: Duration) -> Result<()> {
        let mut machine = of_machine(netns)?;
        let mut shown = Instant::now();
        let agreed = self.until(patience, |known, event| {
            // A comparison is work, and these are when the picture may be whole.
            let is_worth_it = known.waiting.len() == 0
                || matches!(event, Event::DumpEnd(_) | Event::Tick(_) | Event::SnapshotEnd(_));
            if !is_worth_it || known.living() < machine.len() {
                return Ok(false);
            }
            let agrees = known.picture(netns) == machine;
            if !agrees && shown.elapsed() > SHOWN_AGAIN {
                machine = of_machine(netns)?;
                shown = Instant::now();
            }
            Ok(agrees)
        });
        agreed.with_context(|| differences(&self.picture(netns), &machine))
    }

    /// How many connections there are, as far as the tracker knows.
    pub(crate) fn living(&self) -> usize {
        self.tracker.living().count()
    }
}

/// What is in only one of the two.
fn differences(known: &Picture, machine: &Picture) -> String {
    let mut text = format!("the tracker knows {}, ss shows {}", known.len(), machine.len());
    let only_in = |one: &Picture, other: &Picture| -> Vec<String> {
        let differing = one.iter().filter(|(ends, state)| other.get(ends) != Some(state));
        differing.map(|(ends, state)| format!("{ends:?} {state}")).collect()
    };
    for (who, wrong) in [("tracker", only_in(known, machine)), ("ss", only_in(machine, known))] {
        let some = &wrong[..wrong.len().min(SHOWN)];
        _ = write!(text, "; only the {who} has {}: {some:?}", wrong.len());
    }
    text
}
