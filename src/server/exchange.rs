//! One connection's part in a turn: what it reported, and what it is replied.

use std::ops::Range;

use super::shared::Shared;
use crate::protocol::reply::write_invalid;
use crate::records::{Merged, Record};
use crate::store::Round;

/// A buffer that grew beyond this (bytes) is given back after the turn.
pub(super) const KEPT_BYTES: usize = 512 * 1024;

/// What one connection reported in a turn, and is replied.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Replies, in order.
    pub replies: Vec<u8>,
    /// What is sent instead if the commit of what they show comes late: `? ` and the line for those
    /// that show a record, the same bytes for others. Kept only where replies wait for commits.
    pub denials: Vec<u8>,
    /// Replies that show a record.
    pub shown: u64,
    /// Reports that stand one after the other and are not replied to, a few.
    pub reports: Vec<Report>,
}

/// A report that is to be merged together with others.
#[derive(Debug)]
pub struct Report {
    /// Where its line stands in the input.
    pub line: Range<usize>,
    /// What it says.
    pub record: Record,
    /// What became of it, once it is merged.
    pub merged: Option<Merged>,
}

impl Exchange {
    /// Begins anew.
    pub fn begin(&mut self) {
        for bytes in [&mut self.replies, &mut self.denials] {
            bytes.clear();
            bytes.shrink_to(KEPT_BYTES);
        }
        self.shown = 0;
        self.reports.clear();
    }

    /// Takes note of the reply to a line, which stands in `replies` from `start` on.
    pub fn reply_ends(&mut self, shared: &Shared, line: &[u8], start: usize, shows_record: bool) {
        if shared.awaited_store().is_none() {
            return;
        }
        if shows_record {
            self.shown += 1;
            write_invalid(line, &mut self.denials);
        } else {
            self.denials.extend_from_slice(&self.replies[start..]);
        }
    }

    /// The commit that the replies have to wait for; `None` if they may be sent: nobody waits for
    /// commits, they show no record, or all of them are on disk.
    pub fn awaits_commit(&self, shared: &Shared) -> Option<Round> {
        if self.shown == 0 { None } else { shared.awaited_store()?.want() }
    }
}
