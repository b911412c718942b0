//! What one link knows of the repair between two copies: notes that the thread which reads from the
//! neighbor leaves for the one which writes to it.
//!
//! Each side says DIGESTS when its outbox is open, and every while. Who hears them compares: where they
//! differ from its own it says its BUCKETS and REPAIR. Who hears these sends its records of the buckets
//! that differ from its own, then REPAIRED. Both do so, and nothing is ever taken away, so both come to
//! hold what either held.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::sync::{Level, Message};
use crate::records::digest::{Digest, SHARDS};
use crate::records::{BucketSet, Records};

/// The notes of one link. Every lock is short; digests are computed outside of it.
#[derive(Debug, Default)]
pub struct Repair(Mutex<Notes>);

/// At most some 70 KiB: one DIGESTS, and two sets of buckets for each shard.
#[derive(Debug, Default)]
struct Notes {
    /// Of links, as the neighbor speaks it to us.
    version: u32,
    /// Our digests are to be said, whatever the time.
    is_due: bool,
    /// We have said digests, so that the neighbor may ask.
    has_said: bool,
    /// The newest digests that we have heard and not yet acted upon.
    theirs: Option<Level>,
    /// How often we have asked: the number of the last asking.
    askings: u64,
    /// The last asking is not answered yet.
    is_asking: bool,
    /// What the neighbor has said of its buckets since its last REPAIR.
    differing: Option<Order>,
    /// What it has asked for, and is not being sent yet.
    order: Option<(u64, Order)>,
}

/// The buckets of which a neighbor is to get our records, by shard.
pub type Order = BTreeMap<usize, BucketSet>;

/// What a message has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing that needs doing now.
    Nothing,
    /// The writer has something to say.
    Work,
    /// All that the neighbor has is here.
    Synced,
    /// It has sent all that we had asked for.
    Repaired,
}

/// A message that a sound neighbor does not send. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongMessage {
    /// Only servers of version 2 say them.
    #[error("digests from a server that said version 1")]
    Version,
    /// They are an answer to digests.
    #[error("BUCKETS, and we have said no DIGESTS")]
    NotAsked,
    /// It says which records are meant.
    #[error("REPAIR without BUCKETS")]
    NoBuckets,
}

impl Repair {
    /// Takes note that the neighbor dialed us and speaks that version. What it said on an older
    /// connection may be cut off, and is forgotten; it gets to hear our digests anew.
    pub fn dialed(&self, version: u32) {
        let mut notes = self.0.lock();
        notes.version = version;
        notes.is_due = true;
        notes.theirs = None;
        notes.differing = None;
        notes.order = None;
    }

    /// The version that the neighbor speaks to us.
    pub fn version(&self) -> u32 {
        self.0.lock().version
    }

    /// Takes note that what we say does not reach the neighbor any longer: what was asked for may never
    /// come. It says its digests again when it is dialed anew.
    pub fn cut(&self) {
        self.0.lock().is_asking = false;
    }

    /// Takes a message in, from the thread that reads.
    ///
    /// # Errors
    ///
    /// [`WrongMessage`]
    pub fn hear(&self, message: Message, records: &Records) -> Result<Heard, WrongMessage> {
        if self.version() < 2 {
            return Err(WrongMessage::Version);
        }
        match message {
            Message::Digests(theirs) => {
                let is_synced = lacking(&records.shard_digests(), &theirs).is_empty();
                self.0.lock().theirs = (!is_synced).then_some(theirs);
                Ok(if is_synced { Heard::Synced } else { Heard::Work })
            }
            Message::Buckets { shard, digests } => {
                let buckets = BucketSet::of_differences(&records.bucket_digests(shard), &digests);
                let mut notes = self.0.lock();
                if !notes.has_said {
                    return Err(WrongMessage::NotAsked);
                }
                notes.differing.get_or_insert_default().insert(shard, buckets);
                Ok(Heard::Nothing)
            }
            Message::Repair(number) => {
                let mut notes = self.0.lock();
                let order = notes.differing.take().ok_or(WrongMessage::NoBuckets)?;
                notes.order = Some((number, order));
                Ok(Heard::Work)
            }
            Message::Repaired(number) => {
                let mut notes = self.0.lock();
                let is_answer = notes.is_asking && notes.askings == number;
                notes.is_asking &= !is_answer;
                Ok(if is_answer { Heard::Repaired } else { Heard::Nothing })
            }
        }
    }

    /// True once after our digests have become due.
    pub(super) fn take_due(&self) -> bool {
        std::mem::take(&mut self.0.lock().is_due)
    }

    /// Takes note that our digests are about to be said.
    pub(super) fn say_digests(&self) {
        self.0.lock().has_said = true;
    }

    /// True if the neighbor has said digests that differ from ours.
    pub(super) fn differs(&self) -> bool {
        self.0.lock().theirs.is_some()
    }

    /// Begins to ask for what differs from the newest digests of the neighbor: the number of the asking, and
    /// the shards. `None` if nothing does any more.
    pub(super) fn ask(&self, records: &Records) -> Option<(u64, Vec<usize>)> {
        let theirs = self.0.lock().theirs.take()?;
        let shards = lacking(&records.shard_digests(), &theirs);
        if shards.is_empty() {
            return None;
        }
        let mut notes = self.0.lock();
        notes.askings += 1;
        notes.is_asking = true;
        Some((notes.askings, shards))
    }

    /// What the neighbor has asked for, once.
    pub(super) fn take_order(&self) -> Option<(u64, Order)> {
        self.0.lock().order.take()
    }
}

/// The shards in which the neighbor may have what we lack: where it has something, and not the same.
fn lacking(ours: &[Digest; SHARDS], theirs: &[Digest; SHARDS]) -> Vec<usize> {
    let may_have =
        |shard: &usize| ours[*shard] != theirs[*shard] && theirs[*shard] != Digest::default();
    (0..SHARDS).filter(may_have).collect()
}
