//! The full sockets that are being followed, by their addresses.

use std::{
    hint::black_box,
    ops::{Index, IndexMut},
};

use slab::Slab;

use crate::model::{connection::Connection, places::Places};

/// So many fit into a processor's cache with the places of them.
const CACHED: usize = 1 << 13;

/// Connections where they stay until they are over; an event changes them there.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    all: Slab<Connection>,
    by_address: Places,
}

impl Sockets {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Where the connection of the socket at this address lies.
    pub(super) fn find(&self, skaddr: u64) -> Option<usize> {
        let is_it = |place| self.all.get(place).is_some_and(|it| address_of(it) == skaddr);
        self.by_address.find(&skaddr, is_it)
    }

    pub(super) fn get(&self, skaddr: u64) -> Option<&Connection> {
        self.all.get(self.find(skaddr)?)
    }

    pub(super) fn get_mut(&mut self, skaddr: u64) -> Option<&mut Connection> {
        self.all.get_mut(self.find(skaddr)?)
    }

    /// Brings the connections of the sockets at these addresses into the cache, all at a time: an event
    /// that has to wait for the memory waits twice, for the place and then for the connection.
    pub(super) fn fetch(&self, addresses: impl Iterator<Item = u64> + Clone) {
        if self.len() <= CACHED {
            return;
        }
        black_box(self.by_address.load_homes(addresses.clone()));
        let likely = addresses.filter_map(|skaddr| self.by_address.likely(&skaddr));
        let loaded = likely.filter_map(|place| Some(self.all.get(place)?.load()));
        black_box(loaded.fold(0, u64::wrapping_add));
    }

    /// Adds the connection of a socket at this address, where none is known.
    pub(super) fn insert(&mut self, skaddr: u64, connection: Connection) -> usize {
        let place = self.all.insert(connection);
        self.by_address.insert(&skaddr, place);
        place
    }

    /// Takes out the connection of the socket at this address, which lies in this place.
    pub(super) fn take(&mut self, skaddr: u64, place: usize) -> Connection {
        self.by_address.remove(&skaddr, place);
        self.all.remove(place)
    }

    pub(super) fn remove(&mut self, skaddr: u64) -> Option<Connection> {
        let place = self.find(skaddr)?;
        Some(self.take(skaddr, place))
    }

    /// All of them, with their addresses, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Connection)> {
        self.all.iter().map(|(_, connection)| (address_of(connection), connection))
    }

    /// All of them, with their addresses, in no order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Connection)> {
        self.all.iter_mut().map(|(_, connection)| (address_of(connection), connection))
    }
}

/// That of its socket; 0, which is none, where a stranger's recording says so.
fn address_of(connection: &Connection) -> u64 {
    connection.skaddr().unwrap_or_default()
}

impl Index<usize> for Sockets {
    type Output = Connection;

    fn index(&self, place: usize) -> &Connection {
        &self.all[place]
    }
}

impl IndexMut<usize> for Sockets {
    fn index_mut(&mut self, place: usize) -> &mut Connection {
        &mut self.all[place]
    }
}
