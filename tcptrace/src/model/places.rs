//! Where things lie in a slab, found by a key that each of them holds itself.

use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::RandomState;

/// Places by the hash of a key: one look at the table, one at the thing.
///
/// Where there are a million of each, both looks find nothing in a cache, and the second waits for the
/// first. The tables of the standard library look twice themselves, at a tag and at an entry, which
/// makes three waits of two.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// As many as a power of two, at most three quarters of them taken, each as near behind the place
    /// that its hash names as there is room.
    slots: Vec<Slot>,
    taken: usize,
    state: RandomState,
}

/// The hash spares a look at things with other keys, and at all things when the table grows.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    place: u32,
}

const FREE: Slot = Slot { hash: 0, place: u32::MAX };

impl Slot {
    fn is_free(self) -> bool {
        self.place == FREE.place
    }
}

impl Places {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.taken == 0
    }

    /// The place of the thing with this key; `is_it` tells whether a thing has it.
    pub(super) fn find(&self, key: &impl Hash, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let hash = self.hash(key);
        let is_sought = |slot: Slot| slot.hash == hash && is_it(slot.place as usize);
        self.seek(hash, is_sought).map(|slot| self.slots[slot].place as usize)
    }

    /// Loads the slots in which things with these keys are looked for first. No load waits for another,
    /// so a processor waits for all of them at a time. The sum means nothing.
    pub(super) fn load_homes<K: Hash>(&self, keys: impl Iterator<Item = K>) -> u32 {
        keys.map(|key| self.slots[self.home(self.hash(&key))].place).fold(0, u32::wrapping_add)
    }

    /// The place of the first thing whose key has the hash of this one, most likely the one with it.
    pub(super) fn likely(&self, key: &impl Hash) -> Option<usize> {
        let hash = self.hash(key);
        self.seek(hash, |slot| slot.hash == hash).map(|slot| self.slots[slot].place as usize)
    }

    /// Notes that a thing with this key, which no other has, lies in this place.
    pub(super) fn insert(&mut self, key: &impl Hash, place: usize) {
        if 4 * (self.taken + 1) > 3 * self.slots.len() {
            self.grow();
        }
        self.taken += 1;
        // Whatever has places is bounded to a few millions.
        self.put(Slot { hash: self.hash(key), place: place as u32 });
    }

    /// Forgets the thing with this key that lies in this place.
    pub(super) fn remove(&mut self, key: &impl Hash, place: usize) {
        let Some(mut hole) = self.seek(self.hash(key), |slot| slot.place as usize == place) else {
            return;
        };
        self.taken -= 1;
        // Whoever would not be found across the hole moves into it.
        let mut next = self.after(hole);
        while !self.slots[next].is_free() {
            let home = self.home(self.slots[next].hash);
            if self.distance(home, next) >= self.distance(hole, next) {
                self.slots[hole] = self.slots[next];
                hole = next;
            }
            next = self.after(next);
        }
        self.slots[hole] = FREE;
    }

    /// The slot that is sought, among those that may have this hash.
    #[inline]
    fn seek(&self, hash: u32, is_sought: impl Fn(Slot) -> bool) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let mut at = self.home(hash);
        while !self.slots[at].is_free() {
            if is_sought(self.slots[at]) {
                return Some(at);
            }
            at = self.after(at);
        }
        None
    }

    fn put(&mut self, slot: Slot) {
        let mut at = self.home(slot.hash);
        while !self.slots[at].is_free() {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        let larger = vec![FREE; (2 * self.slots.len()).max(8)];
        let slots = std::mem::replace(&mut self.slots, larger);
        slots.into_iter().filter(|slot| !slot.is_free()).for_each(|slot| self.put(slot));
    }

    fn hash(&self, key: &impl Hash) -> u32 {
        self.state.hash_one(key) as u32
    }

    /// Where a thing with this hash lies if there is room.
    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    fn after(&self, slot: usize) -> usize {
        (slot + 1) & (self.slots.len() - 1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::Places;

    proptest! {
        #[test]
        fn what_is_there_is_found_and_nothing_else(
            steps in prop::collection::vec((0..200_u64, any::<bool>()), 1..1_000)
        ) {
            let mut places = Places::default();
            let mut expected: HashMap<u64, usize> = HashMap::new();
            let mut keys = Vec::new();
            for (key, adds) in steps {
                let found = places.find(&key, |place| keys[place] == key);
                prop_assert_eq!(found, expected.get(&key).copied());
                match found {
                    None if adds => {
                        places.insert(&key, keys.len());
                        expected.insert(key, keys.len());
                        keys.push(key);
                    }
                    Some(place) if !adds => {
                        places.remove(&key, place);
                        expected.remove(&key);
                    }
                    _ => {}
                }
                prop_assert_eq!(places.taken, expected.len());
                prop_assert!(4 * places.taken <= 3 * places.slots.len());
            }
        }
    }
}
