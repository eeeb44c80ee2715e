//! What the programs have written, by the queues and by the ring buffer, as events in order of time.

use aya::maps::{MapData, RingBuf};
use tokio::io::unix::AsyncFd;

use super::{decode, queues::Queues};
use crate::{event::Event, time::Timestamp};

/// Both ways of a record to us.
pub(super) struct Records {
    pub(super) ring: AsyncFd<RingBuf<MapData>>,
    queues: Option<Queues>,
    /// The next of the ring buffer, which waits for its time.
    held: Option<Event>,
}

impl Records {
    /// Those of the ring buffer, and of the queues if there are any.
    pub(super) fn new(ring: AsyncFd<RingBuf<MapData>>, queues: Option<Queues>) -> Self {
        Self { ring, queues, held: None }
    }

    /// Asks to be woken for the next record, or no more. Returns whether the programs do that.
    pub(super) fn fall_asleep(&self, is_asleep: bool) -> bool {
        self.queues.as_ref().map(|queues| queues.fall_asleep(is_asleep)).is_some()
    }

    /// Takes out what was written before `until`, at most `most` records; returns how many. Those that
    /// cannot be decoded are no events. `jiffy_ns` is the length of a jiffy.
    pub(super) fn take(
        &mut self,
        until: Timestamp,
        most: usize,
        jiffy_ns: u64,
        events: &mut Vec<Event>,
    ) -> usize {
        let ring = self.ring.get_mut();
        let mut taken = 0;
        let Some(queues) = &mut self.queues else {
            while taken < most
                && let Some(record) = ring.next()
            {
                taken += 1;
                events.extend(decode::event(&record, jiffy_ns));
            }
            return taken;
        };
        queues.look(until.0);
        while taken < most {
            while self.held.is_none()
                && taken < most
                && let Some(record) = ring.next()
            {
                self.held = decode::event(&record, jiffy_ns);
                taken += usize::from(self.held.is_none());
            }
            let next = queues.next_time();
            let held = self.held.as_ref().and_then(time);
            match (held.filter(|&held| held < until.0), next) {
                (Some(held), next) if next.is_none_or(|next| held <= next) => {
                    events.extend(self.held.take());
                    taken += 1;
                }
                (_, Some(_)) => queues.take(held, |record| {
                    taken += 1;
                    events.extend(decode::event(record, jiffy_ns));
                    taken < most
                }),
                (_, None) => break,
            }
        }
        queues.release();
        taken
    }
}

/// Time of an event that a record became.
fn time(event: &Event) -> Option<u64> {
    let at = match event {
        Event::Transition(transition) => transition.at,
        Event::Hook(hook) => hook.at,
        Event::Fork(fork) => fork.at,
        _ => return None,
    };
    Some(at.0)
}
