//! Accepted records into what waits for a link, and out of it.

use std::hint::black_box;
use std::time::Duration;

use herd::flood::outbox::Outbox;
use herd::records::Record;

use super::counted;
use super::inputs::{SECOND, record};

/// Records that come at a time: those of a turn.
const PUSHED: usize = 64;

/// Records that a link takes at a time.
const TAKEN: usize = 128;

/// Records of clients of which none waits yet.
pub(super) fn put(operations: usize) {
    let outbox = open();
    let records = records(operations, SECOND);
    counted(&mut || push(&outbox, &records));
}

/// Newer records of clients of which one waits.
pub(super) fn replace(operations: usize) {
    let outbox = open();
    push(&outbox, &records(operations, SECOND));
    let records = records(operations, SECOND + 1);
    counted(&mut || push(&outbox, &records));
}

/// Takes what waits until nothing does, and drops it.
pub(super) fn take(operations: usize) {
    let outbox = open();
    push(&outbox, &records(operations * TAKEN, SECOND));
    counted(&mut || {
        for _ in 0..operations {
            black_box(outbox.take(TAKEN, Duration::ZERO));
        }
    });
}

fn open() -> Outbox {
    let outbox = Outbox::default();
    outbox.open();
    outbox
}

fn records(count: usize, second: u32) -> Vec<Record> {
    (0..count).map(|client| record(client, second)).collect()
}

fn push(outbox: &Outbox, records: &[Record]) {
    for batch in records.chunks(PUSHED) {
        outbox.push(batch.iter().cloned());
    }
}
