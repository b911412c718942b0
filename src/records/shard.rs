//! One shard of the map: a table of records, and the digests of its buckets, which change together.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::digest::{BUCKETS, Digest, Place};
use super::{Merged, Record};
use crate::protocol::Nanos;

/// What one lock guards.
#[derive(Debug)]
pub(super) struct Shard {
    table: HashTable<Record>,
    digests: Box<[Digest; BUCKETS]>,
    /// Records of before are expired: they are not here, and are not taken.
    horizon: Nanos,
    /// How often the table may have moved its records: a cursor of before begins anew.
    moves: u64,
}

/// How far a reader has come in the slots of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    moves: u64,
    at: usize,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self {
            table: HashTable::new(),
            digests: Box::new([Digest::default(); BUCKETS]),
            horizon: Nanos(i64::MIN),
            moves: 0,
        }
    }

    /// Puts a record if it `replaces` the one that is held, or if none is held and `has_room` says
    /// so. What was replaced comes back, to be dropped when the lock is gone.
    pub(super) fn put(
        &mut self,
        hasher: &RandomState,
        record: &Record,
        replaces: impl FnOnce(&Record) -> bool,
        has_room: impl FnOnce() -> bool,
    ) -> (Merged, Option<Record>) {
        if record.time() < self.horizon {
            return (Merged::Expired, None);
        }
        let bucket = Place::of(record.client()).bucket;
        // A full table makes room before it looks.
        self.moves += u64::from(self.table.len() == self.table.capacity());
        let entry = self.table.entry(
            hasher.hash_one(record.client()),
            |held| held.client() == record.client(),
            |held| hasher.hash_one(held.client()),
        );
        match entry {
            Entry::Vacant(vacant) if has_room() => {
                vacant.insert(record.clone());
                self.digests[bucket] = self.digests[bucket].plus(Digest::of(record));
                (Merged::Stored { is_new: true }, None)
            }
            Entry::Vacant(_) => (Merged::Full, None),
            Entry::Occupied(mut held) if replaces(held.get()) => {
                let replaced = std::mem::replace(held.get_mut(), record.clone());
                let others = self.digests[bucket].minus(Digest::of(&replaced));
                self.digests[bucket] = others.plus(Digest::of(record));
                (Merged::Stored { is_new: false }, Some(replaced))
            }
            Entry::Occupied(held) => (Merged::Held(held.get().clone()), None),
        }
    }

    pub(super) fn get(&self, hasher: &RandomState, client: &[u8]) -> Option<Record> {
        self.table.find(hasher.hash_one(client), |held| held.client() == client).cloned()
    }

    pub(super) fn digests(&self) -> [Digest; BUCKETS] {
        *self.digests
    }

    pub(super) fn digest(&self) -> Digest {
        self.digests.iter().copied().sum()
    }

    /// Copies the records of up to `slots` slots of the table that `wanted` takes, and moves `slot` on. False
    /// when the table is at its end. A record that is here all the while is copied once at least.
    pub(super) fn page(
        &self,
        slot: &mut Slot,
        slots: usize,
        wanted: impl Fn(&Record) -> bool,
        page: &mut Vec<Record>,
    ) -> bool {
        if slot.moves != self.moves {
            *slot = Slot { moves: self.moves, at: 0 };
        }
        let end = (slot.at + slots).min(self.table.num_buckets());
        let here = (slot.at..end).filter_map(|at| self.table.get_bucket(at));
        page.extend(here.filter(|record| wanted(record)).cloned());
        slot.at = end;
        end < self.table.num_buckets()
    }

    /// Takes away what is of before `horizon`, and from now on takes in nothing that is.
    pub(super) fn expire(&mut self, horizon: Nanos) -> Vec<Record> {
        self.horizon = horizon;
        let expired: Vec<_> = self.table.extract_if(|record| record.time() < horizon).collect();
        for record in &expired {
            let bucket = Place::of(record.client()).bucket;
            self.digests[bucket] = self.digests[bucket].minus(Digest::of(record));
        }
        expired
    }
}
