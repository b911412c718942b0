//! One shard of the map: a table of records, and the digests of its buckets, which change together.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::digest::{BUCKETS, Digest, Place};
use super::{Change, Merged, Record, Spot};
use crate::protocol::Nanos;

/// What one lock guards.
#[derive(Debug)]
pub(super) struct Shard {
    table: HashTable<Held>,
    /// The hash of each client whose record here is marked, so that its newest is taken for the disk, or
    /// was before it expired. No more than the hash: a note is made for every report that comes first, and a
    /// record that it held would be freed by another thread than the one that made it. Clients may share a
    /// hash: then it is here for each of them that is marked.
    unsaved: Vec<ClientHash>,
    /// A record of each client that has expired since it was last taken for the disk.
    gone: Vec<(ClientHash, Record)>,
    digests: Box<[Digest; BUCKETS]>,
    /// Records of before are expired: they are not here, and are not taken.
    horizon: Nanos,
    /// How often the table may have moved its records: a cursor of before begins anew.
    moves: u64,
}

/// What a table finds a client by. Half a hash, so that a slot has room for it: then a table that grows
/// moves its slots without a look at the records, each of which would be a miss of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientHash(pub(super) u32);

/// A slot of the table, 16 bytes: a record, and what can be known of its client without a look at it.
#[derive(Debug)]
struct Held {
    record: Record,
    hash: ClientHash,
    /// One of the 256 of the shard.
    bucket: u8,
    /// The client is noted for the disk.
    is_unsaved: bool,
}

/// How far a reader has come in the slots of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    moves: u64,
    at: usize,
}

/// Clients for which an empty list of those noted for the disk keeps its room.
const KEPT_CAPACITY: usize = 64;

impl ClientHash {
    /// As the table wants it. It finds a slot by the low bits and tells slots apart by the top seven, so each
    /// half has all that there is.
    fn whole(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.0)
    }
}

impl Held {
    fn is_of(&self, hash: ClientHash, client: &[u8]) -> bool {
        self.hash == hash && self.record.client() == client
    }
}

impl Shard {
    pub(super) fn new() -> Self {
        Self {
            table: HashTable::new(),
            unsaved: Vec::new(),
            gone: Vec::new(),
            digests: Box::new([Digest::default(); BUCKETS]),
            horizon: Nanos(i64::MIN),
            moves: 0,
        }
    }

    /// Reads what a put at this spot will read, but for the record that it finds there (most likely this one), and
    /// gives a byte that depends on it.
    pub(super) fn look(&self, spot: Spot) -> (Option<&Record>, u8) {
        let held = self.table.find(spot.hash.whole(), |held| held.hash == spot.hash);
        (held.map(|held| &held.record), self.digests[spot.place.bucket].0 as u8)
    }

    /// Puts a record at its spot if it `replaces` the one that is held, or if none is held and
    /// `has_room` says so; `is_unsaved` notes it for the disk. What was replaced comes back, to be
    /// dropped when the lock is gone.
    #[inline] // 60 instructions less a merge
    pub(super) fn put(
        &mut self,
        Spot { place: Place { bucket, .. }, hash }: Spot,
        record: &Record,
        is_unsaved: bool,
        replaces: impl FnOnce(&Record) -> bool,
        has_room: impl FnOnce() -> bool,
    ) -> (Merged, Option<Record>) {
        if record.time() < self.horizon {
            return (Merged::Expired, None);
        }
        // A full table makes room before it looks.
        self.moves += u64::from(self.table.len() == self.table.capacity());
        let entry = self.table.entry(
            hash.whole(),
            |held| held.is_of(hash, record.client()),
            |held| held.hash.whole(),
        );
        match entry {
            Entry::Vacant(vacant) if has_room() => {
                let in_slot = u8::try_from(bucket).expect("a shard has 256 buckets");
                vacant.insert(Held { record: record.clone(), hash, bucket: in_slot, is_unsaved });
                if is_unsaved {
                    self.unsaved.push(hash);
                }
                self.digests[bucket] = self.digests[bucket].plus(Digest::of(record));
                (Merged::Stored { is_new: true }, None)
            }
            Entry::Vacant(_) => (Merged::Full, None),
            Entry::Occupied(mut held) if replaces(&held.get().record) => {
                let held = held.get_mut();
                let replaced = std::mem::replace(&mut held.record, record.clone());
                if is_unsaved && !held.is_unsaved {
                    held.is_unsaved = true;
                    self.unsaved.push(hash);
                }
                let others = self.digests[bucket].minus(Digest::of(&replaced));
                self.digests[bucket] = others.plus(Digest::of(record));
                (Merged::Stored { is_new: false }, Some(replaced))
            }
            Entry::Occupied(held) => (Merged::Held(held.get().record.clone()), None),
        }
    }

    pub(super) fn get(&self, hash: ClientHash, client: &[u8]) -> Option<Record> {
        let held = self.table.find(hash.whole(), |held| held.is_of(hash, client));
        held.map(|held| held.record.clone())
    }

    /// How many clients are noted for the disk, at least.
    pub(super) fn unsaved(&self) -> usize {
        self.unsaved.len() + self.gone.len()
    }

    /// Notes the client of a record for the disk: what is held of it, or that nothing is.
    pub(super) fn note_unsaved(&mut self, hash: ClientHash, record: Record) {
        match self.table.find_mut(hash.whole(), |held| held.is_of(hash, record.client())) {
            Some(held) if held.is_unsaved => {}
            Some(held) => {
                held.is_unsaved = true;
                self.unsaved.push(hash);
            }
            None => self.gone.push((hash, record)),
        }
    }

    /// Takes up to `most` of the clients that are noted. Each comes with a copy of what is held of it now.
    pub(super) fn take_unsaved(&mut self, most: usize, taken: &mut Vec<Change>) {
        for _ in 0..most {
            if let Some(hash) = self.unsaved.pop() {
                let is_noted = |held: &Held| held.is_unsaved && held.hash == hash;
                // One that has expired since is among those that are gone.
                if let Some(held) = self.table.find_mut(hash.whole(), is_noted) {
                    held.is_unsaved = false;
                    taken.push(Change::Held(held.record.copy()));
                }
            } else if let Some((hash, record)) = self.gone.pop() {
                // One that came back is noted anew, or was taken since.
                if self.get(hash, record.client()).is_none() {
                    taken.push(Change::Gone(record));
                }
            }
        }
        if self.unsaved.is_empty() {
            self.unsaved.shrink_to(KEPT_CAPACITY);
            self.gone.shrink_to(KEPT_CAPACITY);
        }
    }

    pub(super) fn digests(&self) -> [Digest; BUCKETS] {
        *self.digests
    }

    pub(super) fn digest(&self) -> Digest {
        self.digests.iter().copied().sum()
    }

    /// Copies the records of up to `slots` slots of the table whose bucket `is_wanted`, and moves `slot`
    /// on. False when the table is at its end. A record that is here all the while is copied once at least.
    pub(super) fn page(
        &self,
        slot: &mut Slot,
        slots: usize,
        is_wanted: impl Fn(usize) -> bool,
        page: &mut Vec<Record>,
    ) -> bool {
        if slot.moves != self.moves {
            *slot = Slot { moves: self.moves, at: 0 };
        }
        let end = (slot.at + slots).min(self.table.num_buckets());
        let here = (slot.at..end).filter_map(|at| self.table.get_bucket(at));
        let wanted = here.filter(|held| is_wanted(usize::from(held.bucket)));
        page.extend(wanted.map(|held| held.record.clone()));
        slot.at = end;
        end < self.table.num_buckets()
    }

    /// Takes away what is of before `horizon`, and from now on takes in nothing that is.
    /// `is_unsaved` notes what is taken away for the disk.
    pub(super) fn expire(&mut self, horizon: Nanos, is_unsaved: bool) -> Vec<Record> {
        self.horizon = horizon;
        let expired: Vec<_> = self.table.extract_if(|held| held.record.time() < horizon).collect();
        for held in &expired {
            let digest = &mut self.digests[usize::from(held.bucket)];
            *digest = digest.minus(Digest::of(&held.record));
            if is_unsaved {
                self.gone.push((held.hash, held.record.clone()));
            }
        }
        expired.into_iter().map(|held| held.record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests;

    fn record(client: &str, time: i64) -> Record {
        tests::record(client, time, 0, "A", "+1+1")
    }

    #[test]
    fn a_slot_takes_16_bytes() {
        assert_eq!(size_of::<Held>(), 16);
    }

    #[test]
    fn clients_that_share_a_hash_are_held_and_noted_each_by_itself() {
        const HASH: ClientHash = ClientHash(7);
        let mut shard = Shard::new();
        let spot = Spot { place: Place { shard: 0, bucket: 0 }, hash: HASH };
        let mut put = |record: &Record| shard.put(spot, record, true, |_| true, || true).0;
        let (kiwi, plum, newer) = (record("kiwi", 1), record("plum", 1), record("kiwi", 2));
        assert_eq!(put(&kiwi), Merged::Stored { is_new: true });
        assert_eq!(put(&plum), Merged::Stored { is_new: true });
        assert_eq!(put(&newer), Merged::Stored { is_new: false });
        assert_eq!(shard.get(HASH, b"kiwi"), Some(newer.clone()));
        assert_eq!(shard.get(HASH, b"plum"), Some(plum.clone()));
        assert_eq!(shard.get(HASH, b"fig"), None);
        assert_eq!(shard.unsaved(), 2);
        let mut taken = Vec::new();
        shard.take_unsaved(2, &mut taken);
        taken.sort_by(|a, b| a.client().cmp(b.client()));
        assert_eq!(taken, [Change::Held(newer), Change::Held(plum)]);
    }
}
