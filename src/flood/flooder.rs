//! The one thread that passes accepted updates on: from a bounded channel into the outboxes.

use super::outbox::Outbox;
use crate::records::Record;
use crate::waits::{self, Receiver, Sender};

/// Which neighbor, by its place in the server's list of neighbors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborId(pub usize);

/// A record that was accepted as newer, and is to be flooded.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// What to pass on.
    pub record: Record,
    /// The neighbor that it came from, which does not get it back.
    pub from: Option<NeighborId>,
}

/// What one turn of a connection accepted.
pub type Batch = Vec<Accepted>;

/// Batches that wait for the flooder, at most. Who sends to it may block then, which is safe
/// because the flooder itself only ever waits for short locks.
const QUEUED_BATCHES: usize = 256;

/// Records pushed under one lock of an outbox, at most: some 100 microseconds.
const PUSHED_AT_ONCE: usize = 1024;

/// Where accepted updates go. Cloned by whoever accepts them; the flooder ends when all are gone.
pub type FloodSender = Sender<Batch>;

/// The two ends of the flooder's channel.
pub fn channel() -> (FloodSender, Receiver<Batch>) {
    waits::bounded(QUEUED_BATCHES)
}

/// Passes batches on until all senders are gone. Blocks on the channel and on short locks only.
pub fn run<'a>(
    batches: &Receiver<Batch>,
    outboxes: impl Fn() -> Box<dyn Iterator<Item = &'a Outbox> + 'a>,
) {
    while let Ok(mut batch) = batches.recv() {
        // What queued up meanwhile goes in the same locks.
        while batch.len() < PUSHED_AT_ONCE
            && let Ok(more) = batches.try_recv()
        {
            batch.extend(more);
        }
        pass_on(&batch, outboxes());
    }
}

/// Puts a batch into every outbox but, for each record, that of the neighbor it came from.
/// `outboxes` are in the order of [`NeighborId`].
pub fn pass_on<'a>(batch: &[Accepted], outboxes: impl Iterator<Item = &'a Outbox>) {
    for (id, outbox) in outboxes.enumerate() {
        for part in batch.chunks(PUSHED_AT_ONCE) {
            let others = part.iter().filter(|accepted| accepted.from != Some(NeighborId(id)));
            outbox.push(others.map(|accepted| accepted.record.clone()));
        }
    }
}
