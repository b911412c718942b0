//! What a link's writer says besides what its outbox gets, in pieces, so that live updates go between.

use std::time::{Duration, Instant};

use super::NeighborId;
use super::filling::Filling;
use super::repair::{Order, Repair};
use super::sync::Message;
use crate::records::{Cursor, Record, Records};

/// BUCKETS lines in one piece: some 44 KiB.
const BUCKETS_AT_ONCE: usize = 8;

/// A piece of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Records, to be sent as updates.
    Records(Vec<Record>),
    /// Whole lines.
    Lines(Vec<u8>),
    /// The neighbor has nothing that is not here: there is nothing to say.
    Synced,
}

/// Says what brings the neighbor's copy and ours together.
#[derive(Debug)]
pub enum Speaker<'a> {
    /// All records, once: for who says no digests.
    Everything(Everything<'a>),
    /// Digests, and what differs.
    Digests(Conversation<'a>),
}

/// All records, a page at a time.
#[derive(Debug)]
pub struct Everything<'a> {
    records: &'a Records,
    cursor: Cursor,
    page: Vec<Record>,
}

/// Digest sync with one neighbor, from when the outbox of its link is open.
#[derive(Debug)]
pub struct Conversation<'a> {
    records: &'a Records,
    repair: &'a Repair,
    filling: &'a Filling,
    id: NeighborId,
    /// How often digests are said.
    every: Duration,
    /// When they are to be said next.
    due: Instant,
    asking: Option<Asking>,
    giving: Option<Giving>,
}

/// What we ask for, while we say it.
#[derive(Debug)]
struct Asking {
    number: u64,
    shards: Vec<usize>,
}

/// What the neighbor asked for, while we send it.
#[derive(Debug)]
struct Giving {
    number: u64,
    order: Order,
    page: Vec<Record>,
}

impl<'a> Speaker<'a> {
    /// All records, once.
    pub fn everything(records: &'a Records) -> Self {
        Self::Everything(Everything { records, cursor: Cursor::default(), page: Vec::new() })
    }

    /// Digests now and `every` so often, and what differs. The outbox has to be open before, so that
    /// nothing falls between.
    pub fn digests(
        records: &'a Records,
        repair: &'a Repair,
        filling: &'a Filling,
        id: NeighborId,
        every: Duration,
        now: Instant,
    ) -> Self {
        let (asking, giving) = (None, None);
        Self::Digests(Conversation {
            records,
            repair,
            filling,
            id,
            every,
            due: now,
            asking,
            giving,
        })
    }

    /// The next piece, with up to `limit` records; `None` if there is nothing to say now.
    pub fn next(&mut self, limit: usize, now: Instant) -> Option<Said> {
        match self {
            Self::Everything(everything) => everything.next(limit),
            Self::Digests(conversation) => conversation.next(limit, now),
        }
    }

    /// How long there will be nothing to say, if no news come; `most` at most.
    pub fn silence(&self, now: Instant, most: Duration) -> Duration {
        match self {
            Self::Everything(_) => most,
            Self::Digests(conversation) => {
                most.min(conversation.due.saturating_duration_since(now))
            }
        }
    }
}

impl Everything<'_> {
    fn next(&mut self, limit: usize) -> Option<Said> {
        while self.page.is_empty() {
            self.page = self.records.page(&mut self.cursor)?;
        }
        Some(Said::Records(piece(&mut self.page, limit)))
    }
}

impl Conversation<'_> {
    fn next(&mut self, limit: usize, now: Instant) -> Option<Said> {
        if self.repair.take_due() || now >= self.due {
            self.due = now + self.every;
            self.repair.say_digests();
            return Some(lines([Message::Digests(Box::new(self.records.shard_digests()))]));
        }
        self.ask(now).or_else(|| self.give(limit))
    }

    fn ask(&mut self, now: Instant) -> Option<Said> {
        if self.asking.is_none() && self.repair.differs() && self.filling.begin(self.id, now) {
            let Some((number, shards)) = self.repair.ask(self.records) else {
                self.filling.end(self.id);
                return Some(Said::Synced);
            };
            self.asking = Some(Asking { number, shards });
        }
        let Asking { number, shards } = self.asking.as_mut()?;
        let rest = shards.split_off(shards.len().min(BUCKETS_AT_ONCE));
        let buckets = std::mem::replace(shards, rest).into_iter().map(|shard| Message::Buckets {
            shard,
            digests: Box::new(self.records.bucket_digests(shard)),
        });
        let repair = shards.is_empty().then_some(Message::Repair(*number));
        let said = lines(buckets.chain(repair));
        if shards.is_empty() {
            self.asking = None;
        }
        Some(said)
    }

    fn give(&mut self, limit: usize) -> Option<Said> {
        if self.giving.is_none() {
            let (number, order) = self.repair.take_order()?;
            self.giving = Some(Giving { number, order, page: Vec::new() });
        }
        let giving = self.giving.as_mut()?;
        while giving.page.is_empty() {
            let Some((shard, buckets)) = giving.order.pop_first() else {
                let repaired = Message::Repaired(giving.number);
                self.giving = None;
                return Some(lines([repaired]));
            };
            giving.page = self.records.in_buckets(shard, &buckets);
        }
        Some(Said::Records(piece(&mut giving.page, limit)))
    }
}

/// Up to `limit` records from the end of a page.
fn piece(page: &mut Vec<Record>, limit: usize) -> Vec<Record> {
    page.split_off(page.len().saturating_sub(limit))
}

fn lines(messages: impl IntoIterator<Item = Message>) -> Said {
    let mut lines = Vec::new();
    for message in messages {
        message.write(&mut lines);
    }
    Said::Lines(lines)
}
