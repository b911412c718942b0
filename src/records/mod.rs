//! The map from client to record, and the merge: newest wins.

mod record;

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use parking_lot::RwLock;

pub use record::Record;

/// Shards of the map. Each has its own lock and grows by itself, so that neither a lock nor a
/// growing table is ever held for long; more cost only an empty table each.
pub const SHARDS: usize = 256;

/// Every client's newest record. Shared by all threads; each call locks one shard for a few
/// hundred nanoseconds, [`Records::shard`] for as long as it copies one.
#[derive(Debug)]
pub struct Records {
    shards: Box<[RwLock<HashTable<Record>>]>,
    /// Keyed at random for each process: clients choose their names, so with a fixed hash they
    /// could choose names that fall together.
    hasher: RandomState,
}

/// What became of a report or an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It was newer than what was held, and is held now.
    Stored,
    /// It was not newer than this, which is still held.
    Held(Record),
}

impl Default for Records {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::new(HashTable::new())).collect();
        Self { shards, hasher: RandomState::new() }
    }
}

impl Records {
    /// Merges what a client reported. A report that is held already stays as it was stamped, even
    /// if the clock went back meanwhile.
    pub fn report(&self, record: &Record) -> Merged {
        self.put(record, |held| !record.is_same_report(held) && record.is_newer_than(held))
    }

    /// Merges what another server knows.
    pub fn merge(&self, record: &Record) -> Merged {
        self.put(record, |held| record.is_newer_than(held))
    }

    fn put(&self, record: &Record, replaces: impl FnOnce(&Record) -> bool) -> Merged {
        let hash = self.hasher.hash_one(record.client());
        let mut shard = self.shard_of(hash).write();
        let entry = shard.entry(
            hash,
            |held| held.client() == record.client(),
            |held| self.hasher.hash_one(held.client()),
        );
        match entry {
            Entry::Vacant(vacant) => {
                vacant.insert(record.clone());
                Merged::Stored
            }
            Entry::Occupied(mut held) if replaces(held.get()) => {
                let replaced = std::mem::replace(held.get_mut(), record.clone());
                drop(shard);
                drop(replaced);
                Merged::Stored
            }
            Entry::Occupied(held) => Merged::Held(held.get().clone()),
        }
    }

    /// The record of a client.
    pub fn get(&self, client: &[u8]) -> Option<Record> {
        let hash = self.hasher.hash_one(client);
        let shard = self.shard_of(hash).read();
        shard.find(hash, |held| held.client() == client).cloned()
    }

    /// How many clients are known.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    /// True if no client is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of one shard, 0 to [`SHARDS`] - 1: a page of the map.
    pub fn shard(&self, index: usize) -> Vec<Record> {
        self.shards[index].read().iter().cloned().collect()
    }

    /// All records, a shard at a time: one that changes meanwhile may come old or new.
    pub fn iter(&self) -> impl Iterator<Item = Record> {
        (0..SHARDS).flat_map(|index| self.shard(index))
    }

    fn shard_of(&self, hash: u64) -> &RwLock<HashTable<Record>> {
        // The table itself uses the lowest and the highest bits: take the shard from between.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Nanos;
    use crate::protocol::reply::Fields;
    use proptest::prelude::*;

    fn record(client: &str, time: i64, skew: i64, origin: &str, location: &str) -> Record {
        Record::new(&Fields {
            client: client.as_bytes(),
            origin: origin.as_bytes(),
            location: location.as_bytes(),
            time_text: time.to_string().as_bytes(),
            time: Nanos(time),
            skew: Nanos(skew),
        })
    }

    /// Few values each, so that ties of every kind come up.
    fn any_record() -> impl Strategy<Value = Record> {
        (0..3_i64, -1..2_i64, "[AB]", "[+-][01][+-][01]", "[ab]", "0?").prop_map(
            |(time, skew, origin, location, client, zero)| {
                Record::new(&Fields {
                    client: client.as_bytes(),
                    origin: origin.as_bytes(),
                    location: location.as_bytes(),
                    time_text: format!("{zero}{time}").as_bytes(),
                    time: Nanos(time),
                    skew: Nanos(skew),
                })
            },
        )
    }

    fn contents(records: &Records) -> Vec<String> {
        let mut all: Vec<String> = records.iter().map(|record| format!("{record:?}")).collect();
        all.sort();
        all
    }

    #[test]
    fn a_record_says_what_it_was_made_of() {
        let fields = Fields {
            client: &[0xff; 255],
            origin: &[b'o'; 32],
            location: &[b'1'; 64],
            time_text: &[b'2'; 40],
            time: Nanos(i64::MAX),
            skew: Nanos(i64::MIN),
        };
        assert_eq!(Record::new(&fields).fields(), fields);
    }

    #[test]
    fn an_older_report_never_replaces_a_newer_one() {
        let records = Records::default();
        let newer = record("kiwi", 2, 5, "A", "+1+1");
        assert_eq!(records.report(&newer), Merged::Stored);
        assert_eq!(records.report(&record("kiwi", 1, 0, "B", "+2+2")), Merged::Held(newer.clone()));
        assert_eq!(records.get(b"kiwi"), Some(newer));
        assert_eq!(records.get(b"plum"), None);
    }

    #[test]
    fn the_same_report_is_not_restamped_when_the_clock_goes_back() {
        let records = Records::default();
        let first = record("kiwi", 2, 5, "A", "+1+1");
        let again = record("kiwi", 2, 3, "A", "+1+1");
        records.report(&first);
        assert_eq!(records.report(&again), Merged::Held(first));
        assert_eq!(records.merge(&again), Merged::Stored, "from a neighbor the lower skew wins");
    }

    #[test]
    fn ties_fall_to_lower_skew_then_greater_origin_location_time_bytes() {
        let least = record("k", 1, 9, "A", "+1+1");
        for greater in [
            record("k", 2, 99, "A", "+0+0"),
            record("k", 1, 8, "A", "+0+0"),
            record("k", 1, 9, "B", "+0+0"),
            record("k", 1, 9, "A", "+1+2"),
        ] {
            assert!(greater.is_newer_than(&least), "{greater:?}");
            assert!(!least.is_newer_than(&greater), "{greater:?}");
        }
    }

    proptest! {
        #[test]
        fn merging_gives_the_same_whatever_the_order_and_however_often(
            updates in prop::collection::vec(any_record(), 0..12),
            order in any::<prop::sample::Index>(),
            repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let (here, there) = (Records::default(), Records::default());
            for update in &updates {
                here.merge(update);
            }
            let mut shuffled = updates.clone();
            if !shuffled.is_empty() {
                shuffled.rotate_left(order.index(updates.len()));
                shuffled.reverse();
                shuffled.extend(repeats.iter().map(|at| updates[at.index(updates.len())].clone()));
            }
            for update in &shuffled {
                there.merge(update);
            }
            prop_assert_eq!(contents(&here), contents(&there));
        }

        #[test]
        fn the_merge_order_is_total(a in any_record(), b in any_record(), c in any_record()) {
            prop_assert_eq!(a.merge_order(&b), b.merge_order(&a).reverse());
            if a.client() == b.client() {
                prop_assert_eq!(a.merge_order(&b).is_eq(), a == b);
            }
            if a.merge_order(&b).is_lt() && b.merge_order(&c).is_lt() {
                prop_assert!(a.merge_order(&c).is_lt());
            }
        }
    }
}
