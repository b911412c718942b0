//! Connections that are waited on together, and the only `unsafe` of the crate.

#![allow(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use polling::{Event, Events, PollMode};
use slab::Slab;

use super::connection::{Awaits, Connection};
use crate::waits::Poller;

/// Connections of one lot, each registered with the lot's poller (level-triggered) from when it
/// comes in until it goes out.
pub struct Waiting {
    poller: Arc<Poller>,
    connections: Slab<Box<Connection>>,
    events: Events,
}

impl Waiting {
    /// No connections yet.
    pub fn new(poller: Arc<Poller>) -> Self {
        Self { poller, connections: Slab::new(), events: Events::new() }
    }

    /// Takes a connection in, and returns its key.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to watch it; the connection is dropped.
    pub fn insert(&mut self, connection: Box<Connection>) -> io::Result<usize> {
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        let interest = interest(key, connection.awaits);
        // SAFETY: the source must leave the poller before it is dropped. The connection goes into
        // `connections`, which hands it out only through `remove`, and `drop` removes all.
        // `Connection` lends its stream out but never gives it away or replaces it.
        unsafe { self.poller.add_with_mode(connection.stream(), interest, PollMode::Level)? };
        entry.insert(connection);
        Ok(key)
    }

    /// Gives a connection out again.
    pub fn remove(&mut self, key: usize) -> Box<Connection> {
        let connection = self.connections.remove(key);
        // It fails only for a source that is not in the poller, which this one is.
        let _ = self.poller.delete(connection.stream());
        connection
    }

    /// The connection with that key, if it is still here.
    pub fn get_mut(&mut self, key: usize) -> Option<&mut Connection> {
        self.connections.get_mut(key).map(|connection| &mut **connection)
    }

    /// Changes what a connection is waited for.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn await_on(&mut self, key: usize, awaits: Awaits) -> io::Result<()> {
        let connection = &mut self.connections[key];
        if connection.awaits != awaits {
            connection.awaits = awaits;
            self.poller.modify_with_mode(
                connection.stream(),
                interest(key, awaits),
                PollMode::Level,
            )?;
        }
        Ok(())
    }

    /// Blocks until a connection is ready, the poller is notified, or for `timeout`; puts the keys
    /// of ready connections into `ready`.
    ///
    /// # Errors
    ///
    /// When waiting itself fails.
    pub fn wait(&mut self, timeout: Duration, ready: &mut Vec<usize>) -> io::Result<()> {
        ready.clear();
        self.events.clear();
        self.poller.wait(&mut self.events, Some(timeout))?;
        ready.extend(self.events.iter().map(|event| event.key));
        Ok(())
    }

    /// The keys of all connections.
    pub fn keys(&self) -> Vec<usize> {
        self.connections.iter().map(|(key, _)| key).collect()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for key in self.keys() {
            drop(self.remove(key));
        }
    }
}

fn interest(key: usize, awaits: Awaits) -> Event {
    match awaits {
        Awaits::Readable => Event::readable(key),
        Awaits::Writable => Event::writable(key),
    }
}
