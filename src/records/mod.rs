//! The map from client to record, and the merge: newest wins.
//!
//! Reading order: [`Record`] and its merge order, [`digest`] (what a set of records comes to),
//! `shard` (one table and its digests), and here the whole.

pub mod digest;
mod record;
mod shard;

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use smallvec::SmallVec;

use crate::protocol::Nanos;
use crate::waits::RwLock;
use digest::{BUCKETS, Digest, Place, SHARDS};
pub use record::Record;
use shard::{ClientHash, Shard, Slot};

/// Records that are merged under the locks of their shards together, at most. What a merge costs is mostly waiting
/// for memory, in turn for a shard's table, its slot, the record that is held; of so many records these waits
/// overlap. With more of them the locks are held for longer than that wins, and glibc's malloc keeps seven pieces of
/// a size at hand for a thread: with eight each time one more went the long way, 5 to 9 % of a report.
pub const TOGETHER: usize = 7;

/// Slots of a shard's table that are read under one lock, at most: some 100 microseconds.
const PAGE_SLOTS: usize = 4096;

/// Notes for the disk that are taken under one lock, at most: some 100 microseconds.
const PAGE_NOTES: usize = 512;

/// Every client's newest record. Shared by all threads. Each call locks one shard at a time, for a few hundred
/// nanoseconds, [`Records::page`] for some 100 microseconds; those that merge several records lock up to
/// [`TOGETHER`] shards, and wait for a lock only while they hold none.
#[derive(Debug)]
pub struct Records {
    shards: Box<[RwLock<Shard>]>,
    /// SipHash, keyed at random for each process: clients choose their names, so with a fixed hash they
    /// could choose names that fall together. Faster ones that have a key as well promise less: who watches
    /// how long answers take may learn enough of the key.
    hasher: RandomState,
    /// How many records there are: with many threads at it, right to within a few.
    count: AtomicUsize,
    /// Whether changes are noted for the disk.
    are_kept: bool,
    /// How many clients are noted. Changed under the lock of their shard, so that who sees a record
    /// sees its note too.
    unsaved: AtomicUsize,
}

/// What changed of a client since it was last taken for the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This is held now.
    Held(Record),
    /// Nothing is held any more of the client of this record.
    Gone(Record),
}

/// What became of a report or an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// It was newer than what was held, and is held now.
    Stored {
        /// Nothing was held of this client before.
        is_new: bool,
    },
    /// It was not newer than this, which is still held.
    Held(Record),
    /// It is of before the horizon ([`Records::expire`]), and not taken.
    Expired,
    /// It is of a new client, and there are as many as may be.
    Full,
}

/// Where the map has a client.
#[derive(Clone, Copy, Debug)]
struct Spot {
    place: Place,
    hash: ClientHash,
}

/// How far a reader of the whole map has come. The default is its beginning.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    shard: usize,
    slot: Slot,
}

/// Which buckets of a shard are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketSet([bool; BUCKETS]);

impl Default for Records {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::new(Shard::new())).collect();
        Self {
            shards,
            hasher: RandomState::new(),
            count: AtomicUsize::new(0),
            are_kept: false,
            unsaved: AtomicUsize::new(0),
        }
    }
}

impl Change {
    /// The client that it is about.
    pub fn client(&self) -> &[u8] {
        let (Self::Held(record) | Self::Gone(record)) = self;
        record.client()
    }
}

impl Records {
    /// An empty map that notes what changes, for the disk: at most one note a client, of a few bytes
    /// and under a lock that is held anyway. [`Records::take_unsaved`] has to be called then.
    pub fn kept() -> Self {
        Self { are_kept: true, ..Self::default() }
    }

    /// Merges what a client reported; a new client only while there are fewer than `most` records. A
    /// report that is held already stays as it was stamped, even if the clock went back meanwhile.
    pub fn report(&self, record: &Record, most: usize) -> Merged {
        self.put(record, self.are_kept, is_newer_report, || self.len() < most)
    }

    /// Merges what clients reported, in order, each as [`Records::report`] does; `merged` gets what became
    /// of each.
    pub fn report_all(
        &self,
        records: &[impl Borrow<Record>],
        most: usize,
        merged: &mut Vec<Merged>,
    ) {
        self.put_all(records, is_newer_report, || self.len() < most, merged);
    }

    /// Merges what another server knows: however many there are, so that copies stay equal.
    pub fn merge(&self, record: &Record) -> Merged {
        self.put(record, self.are_kept, Record::is_newer_than, || true)
    }

    /// Merges what another server knows, in order, each as [`Records::merge`] does; `merged` gets what became
    /// of each.
    pub fn merge_all(&self, records: &[Record], merged: &mut Vec<Merged>) {
        self.put_all(records, Record::is_newer_than, || true, merged);
    }

    /// Merges what the disk knows: as [`Records::merge`], and not noted for the disk.
    pub fn restore(&self, record: &Record) -> Merged {
        self.put(record, false, Record::is_newer_than, || true)
    }

    fn put(
        &self,
        record: &Record,
        is_unsaved: bool,
        replaces: impl Fn(&Record, &Record) -> bool,
        has_room: impl Fn() -> bool,
    ) -> Merged {
        let spot = self.spot(record.client());
        // What was replaced is dropped after the lock.
        let (merged, _replaced) = self.with_shard(spot.place.shard, |shard| {
            shard.put(spot, record, is_unsaved, |held| replaces(record, held), has_room)
        });
        self.count_new(&merged);
        merged
    }

    fn put_all(
        &self,
        records: &[impl Borrow<Record>],
        replaces: impl Fn(&Record, &Record) -> bool + Copy,
        has_room: impl Fn() -> bool + Copy,
        merged: &mut Vec<Merged>,
    ) {
        let mut rest = records;
        while !rest.is_empty() {
            rest = self.put_some(rest, replaces, has_room, merged);
        }
    }

    /// Merges the first records, up to [`TOGETHER`], that can be locked at once, and returns the others. It ends
    /// before one whose shard is locked already, perhaps for a record before it: they stay in order.
    fn put_some<'a, R: Borrow<Record>>(
        &self,
        records: &'a [R],
        replaces: impl Fn(&Record, &Record) -> bool,
        has_room: impl Fn() -> bool,
        merged: &mut Vec<Merged>,
    ) -> &'a [R] {
        // Dropped after the locks.
        let mut replaced: SmallVec<[_; TOGETHER]> = SmallVec::new();
        let first = records.iter().take(TOGETHER);
        let spots: SmallVec<[_; TOGETHER]> =
            first.map(|record| self.spot(record.borrow().client())).collect();
        let lock = |spot: &Spot| &self.shards[spot.place.shard];
        let mut shards: SmallVec<[_; TOGETHER]> = SmallVec::new();
        shards.push(lock(&spots[0]).write());
        shards.extend(spots[1..].iter().map_while(|spot| lock(spot).try_write()));
        look(&shards, &spots);
        let count = shards.len();
        let records_of_shards = records.iter().map(Borrow::borrow);
        for ((shard, spot), record) in shards.iter_mut().zip(&spots).zip(records_of_shards) {
            let (became, held_before) = self.change(shard, |shard| {
                shard.put(*spot, record, self.are_kept, |held| replaces(record, held), &has_room)
            });
            self.count_new(&became);
            merged.push(became);
            replaced.push(held_before);
        }
        &records[count..]
    }

    fn count_new(&self, merged: &Merged) {
        if *merged == (Merged::Stored { is_new: true }) {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn spot(&self, client: &[u8]) -> Spot {
        Spot { place: Place::of(client), hash: self.hash(client) }
    }

    fn hash(&self, client: &[u8]) -> ClientHash {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(client);
        // Any half of its bits is as good as the other.
        ClientHash(hasher.finish() as u32)
    }

    fn with_shard<T>(&self, shard: usize, change: impl FnOnce(&mut Shard) -> T) -> T {
        self.change(&mut self.shards[shard].write(), change)
    }

    /// Changes a shard that is locked, and the count of notes with it.
    fn change<T>(&self, shard: &mut Shard, change: impl FnOnce(&mut Shard) -> T) -> T {
        let before = shard.unsaved();
        let changed = change(shard);
        match shard.unsaved() {
            after if after > before => self.unsaved.fetch_add(after - before, Ordering::Relaxed),
            after if after < before => self.unsaved.fetch_sub(before - after, Ordering::Relaxed),
            _ => 0,
        };
        changed
    }

    /// How many clients are noted for the disk. Whoever has seen a record counts its note, until
    /// that was taken.
    pub fn unsaved(&self) -> usize {
        self.unsaved.load(Ordering::Relaxed)
    }

    /// Takes what changed in one shard (0 to [`SHARDS`] - 1), 512 clients under one lock.
    pub fn take_unsaved(&self, shard: usize, taken: &mut Vec<Change>) {
        let mut left = self.shards[shard].read().unsaved();
        while left > 0 {
            let page = left.min(PAGE_NOTES);
            self.with_shard(shard, |shard| shard.take_unsaved(page, taken));
            left -= page;
        }
    }

    /// Notes a client for the disk again: what was taken did not get there.
    pub fn note_unsaved(&self, change: Change) {
        let (Change::Held(record) | Change::Gone(record)) = change;
        let spot = self.spot(record.client());
        self.with_shard(spot.place.shard, |shard| shard.note_unsaved(spot.hash, record));
    }

    /// The record of a client.
    pub fn get(&self, client: &[u8]) -> Option<Record> {
        let spot = self.spot(client);
        self.shards[spot.place.shard].read().get(spot.hash, client)
    }

    /// How many clients are known.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// True if no client is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole in one number: equal for equal records.
    pub fn digest(&self) -> Digest {
        self.shard_digests().into_iter().sum()
    }

    /// The digest of each shard, all of which are read one after the other.
    pub fn shard_digests(&self) -> [Digest; SHARDS] {
        std::array::from_fn(|index| self.shards[index].read().digest())
    }

    /// The digest of each bucket of a shard, 0 to [`SHARDS`] - 1, at one moment.
    pub fn bucket_digests(&self, shard: usize) -> [Digest; BUCKETS] {
        self.shards[shard].read().digests()
    }

    /// The next page of the whole map, `None` after the last; a page may be empty. A record that is here
    /// all the while comes once at least, one that changes meanwhile old or new.
    pub fn page(&self, cursor: &mut Cursor) -> Option<Vec<Record>> {
        let mut page = Vec::new();
        let shard = self.shards.get(cursor.shard)?.read();
        if !shard.page(&mut cursor.slot, PAGE_SLOTS, |_| true, &mut page) {
            *cursor = Cursor { shard: cursor.shard + 1, slot: Slot::default() };
        }
        Some(page)
    }

    /// All records of some buckets of one shard, read in pages.
    pub fn in_buckets(&self, shard: usize, buckets: &BucketSet) -> Vec<Record> {
        let mut found = Vec::new();
        let mut slot = Slot::default();
        let is_wanted = |bucket| buckets.has(bucket);
        while self.shards[shard].read().page(&mut slot, PAGE_SLOTS, is_wanted, &mut found) {}
        found
    }

    /// All records, a page at a time, as [`Records::page`] has them.
    pub fn iter(&self) -> impl Iterator<Item = Record> {
        let mut cursor = Cursor::default();
        std::iter::from_fn(move || self.page(&mut cursor)).flatten()
    }

    /// Takes away the records of one shard (0 to [`SHARDS`] - 1) whose time is before `horizon`, and
    /// returns them. From now on this shard takes none that is: [`Merged::Expired`].
    pub fn expire(&self, shard: usize, horizon: Nanos) -> Vec<Record> {
        let expired = self.with_shard(shard, |shard| shard.expire(horizon, self.are_kept));
        self.count.fetch_sub(expired.len(), Ordering::Relaxed);
        expired
    }
}

/// Reads what the merges will read, for the sake of the cache, each step for all before the next: so the waits for
/// memory overlap, where in the merges one would begin after the other.
fn look(shards: &[impl Deref<Target = Shard>], spots: &[Spot]) {
    let looks: SmallVec<[_; TOGETHER]> =
        shards.iter().zip(spots).map(|(shard, spot)| shard.look(*spot)).collect();
    let read =
        looks.iter().fold(0, |read, (held, digest)| read ^ digest ^ held.map_or(0, Record::look));
    // Or the compiler would leave it out.
    std::hint::black_box(read);
}

/// True if a report replaces what is held of its client.
fn is_newer_report(report: &Record, held: &Record) -> bool {
    !report.is_same_report(held) && report.is_newer_than(held)
}

impl BucketSet {
    /// Where two shards differ.
    pub fn of_differences(ours: &[Digest; BUCKETS], theirs: &[Digest; BUCKETS]) -> Self {
        Self(std::array::from_fn(|bucket| ours[bucket] != theirs[bucket]))
    }

    /// True if the bucket is meant.
    pub fn has(&self, bucket: usize) -> bool {
        self.0[bucket]
    }

    /// How many are meant.
    pub fn len(&self) -> usize {
        self.0.iter().filter(|&&is_meant| is_meant).count()
    }

    /// True if none is meant.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Nanos;
    use crate::protocol::reply::Fields;
    use proptest::prelude::*;

    pub(super) fn record(
        client: &str,
        time: i64,
        skew: i64,
        origin: &str,
        location: &str,
    ) -> Record {
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

    fn sorted(records: &Records) -> Vec<Record> {
        let mut all: Vec<_> = records.iter().collect();
        all.sort_by(|a, b| a.client().cmp(b.client()));
        all
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
        assert_eq!(records.report(&newer, 1), Merged::Stored { is_new: true });
        assert_eq!(
            records.report(&record("kiwi", 1, 0, "B", "+2+2"), 1),
            Merged::Held(newer.clone())
        );
        assert_eq!(records.get(b"kiwi"), Some(newer));
        assert_eq!(records.get(b"plum"), None);
    }

    #[test]
    fn the_same_report_is_not_restamped_when_the_clock_goes_back() {
        let records = Records::default();
        let first = record("kiwi", 2, 5, "A", "+1+1");
        let again = record("kiwi", 2, 3, "A", "+1+1");
        records.report(&first, 1);
        assert_eq!(records.report(&again, 1), Merged::Held(first));
        assert_eq!(
            records.merge(&again),
            Merged::Stored { is_new: false },
            "from a neighbor the lower skew wins"
        );
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

    #[test]
    fn a_new_client_over_the_most_is_refused_and_known_ones_go_on() {
        let records = Records::default();
        records.report(&record("kiwi", 1, 0, "A", "+1+1"), 1);
        assert_eq!(records.report(&record("plum", 1, 0, "A", "+1+1"), 1), Merged::Full);
        let again = record("kiwi", 2, 0, "A", "+1+1");
        assert_eq!(records.report(&again, 1), Merged::Stored { is_new: false });
        let from_a_neighbor = record("plum", 1, 0, "A", "+1+1");
        assert_eq!(records.merge(&from_a_neighbor), Merged::Stored { is_new: true });
        assert_eq!(records.len(), 2);
    }

    #[test]
    fn what_is_expired_is_gone_is_not_taken_again_and_is_in_no_digest() {
        let (records, others) = (Records::default(), Records::default());
        for at in 0..1000 {
            let record = record(&format!("client{at}"), at, 0, "A", "+1+1");
            records.merge(&record);
            if at >= 600 {
                others.merge(&record);
            }
        }
        let expired: usize = (0..SHARDS).map(|shard| records.expire(shard, Nanos(600)).len()).sum();
        assert_eq!((expired, records.len()), (600, 400));
        assert_eq!(records.merge(&record("client5", 599, 0, "A", "+1+1")), Merged::Expired);
        assert_eq!(records.report(&record("new", 599, 0, "A", "+1+1"), 1000), Merged::Expired);
        assert_eq!(records.digest(), others.digest());
        assert_eq!(contents(&records), contents(&others));
        // The horizon goes back with the clock.
        for shard in 0..SHARDS {
            records.expire(shard, Nanos(0));
        }
        let back = records.merge(&record("client5", 599, 0, "A", "+1+1"));
        assert_eq!(back, Merged::Stored { is_new: true });
    }

    #[test]
    fn pages_hold_every_record_also_while_the_table_grows() {
        let records = Records::default();
        // All in one shard, more than a page, and growing while it is read.
        let mut names = (0..)
            .map(|at| format!("client{at}"))
            .filter(|name| Place::of(name.as_bytes()).shard == 7);
        let mut add = |count: usize| -> Vec<String> {
            let added: Vec<_> = names.by_ref().take(count).collect();
            for name in &added {
                records.merge(&record(name, 1, 0, "A", "+1+1"));
            }
            added
        };
        let there_before = add(2 * PAGE_SLOTS);
        let mut cursor = Cursor::default();
        let mut seen = std::collections::HashSet::new();
        while let Some(page) = records.page(&mut cursor) {
            assert!(page.len() <= PAGE_SLOTS);
            seen.extend(page.iter().map(|record| record.client().to_vec()));
            if !page.is_empty() {
                add(1000);
            }
        }
        assert!(there_before.iter().all(|name| seen.contains(name.as_bytes())));
    }

    #[test]
    fn the_records_of_the_buckets_that_differ_are_those_that_differ_and_few_others() {
        let (ours, theirs) = (Records::default(), Records::default());
        for at in 0..10_000 {
            let record = record(&format!("client{at}"), 1, 0, "A", "+1+1");
            ours.merge(&record);
            if at != 77 {
                theirs.merge(&record);
            }
        }
        let (here, there) = (ours.shard_digests(), theirs.shard_digests());
        let differ: Vec<_> = (0..SHARDS).filter(|&shard| here[shard] != there[shard]).collect();
        let [shard] = differ[..] else { panic!("{differ:?}") };
        let buckets =
            BucketSet::of_differences(&ours.bucket_digests(shard), &theirs.bucket_digests(shard));
        assert_eq!(buckets.len(), 1);
        let sent = ours.in_buckets(shard, &buckets);
        assert!(sent.len() < 10, "{}", sent.len());
        for record in &sent {
            theirs.merge(record);
        }
        assert_eq!(ours.digest(), theirs.digest());
    }

    #[test]
    fn the_digest_is_the_same_on_every_machine_and_in_every_version() {
        // Computed once, when version 1 of the digests was made.
        let digest = Digest::of(&record("kiwi", 2, 5, "A", "+1+1"));
        assert_eq!(digest.to_string(), "f9a24ee24f71b4686ab753d9bf0d8434");
        assert_eq!(Place::of(b"kiwi"), Place { shard: 29, bucket: 179 });
    }

    #[test]
    fn bytes_that_are_no_record_are_not_taken_for_one() {
        let good = Record::new(&Fields {
            client: b"kiwi",
            origin: b"Ball",
            location: b"+1-1",
            time_text: b"2.5",
            time: Nanos(2_500_000_000),
            skew: Nanos(-1),
        });
        let bytes = good.bytes();
        assert_eq!(Record::from_bytes(bytes), Some(good.clone()));
        for length in 0..bytes.len() {
            assert_eq!(Record::from_bytes(&bytes[..length]), None, "{length}");
        }
        assert_eq!(Record::from_bytes(&[bytes, b"0"].concat()), None);
        let changed = |at: usize, byte: u8| {
            let mut bytes = bytes.to_vec();
            bytes[at] = byte;
            Record::from_bytes(&bytes)
        };
        // The time, each length, the client, origin, location and time text; the skew may be any.
        for at in [0, 16, 17, 18, 19, 20, 24, 28, 32] {
            assert_eq!(changed(at, b' '), None, "{at}");
        }
        assert!(changed(8, 7).is_some());
    }

    /// What can happen to the records of one client or all, and to the disk.
    #[derive(Clone, Debug)]
    enum Step {
        Merge(Record),
        Expire(i64),
        /// True: what is taken gets to the disk.
        Save(bool),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any_record().prop_map(Step::Merge),
            1 => (0..4_i64).prop_map(Step::Expire),
            2 => any::<bool>().prop_map(Step::Save),
        ]
    }

    /// Takes all notes, and puts them on a disk that works, or notes them again.
    fn save(
        records: &Records,
        disk: &mut std::collections::BTreeMap<Vec<u8>, Record>,
        works: bool,
    ) {
        let mut taken = Vec::new();
        (0..SHARDS).for_each(|shard| records.take_unsaved(shard, &mut taken));
        for change in taken {
            match (works, change) {
                (false, change) => records.note_unsaved(change),
                (true, Change::Held(record)) => {
                    disk.insert(record.client().to_vec(), record);
                }
                (true, Change::Gone(record)) => {
                    disk.remove(record.client());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_noted_makes_the_disk_equal_to_the_map(
            steps in prop::collection::vec(any_step(), 0..40)
        ) {
            let (records, mut disk) = (Records::kept(), std::collections::BTreeMap::new());
            for step in steps {
                match step {
                    Step::Merge(record) => {
                        records.merge(&record);
                    }
                    Step::Expire(horizon) => (0..SHARDS).for_each(|shard| {
                        records.expire(shard, Nanos(horizon));
                    }),
                    Step::Save(works) => save(&records, &mut disk, works),
                }
                prop_assert!(records.unsaved() > 0 || disk.values().cloned().eq(sorted(&records)));
            }
            save(&records, &mut disk, true);
            prop_assert_eq!(records.unsaved(), 0);
            prop_assert_eq!(disk.into_values().collect::<Vec<_>>(), sorted(&records));
        }

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
            prop_assert_eq!(here.digest(), there.digest());
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
