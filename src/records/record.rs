//! One record: what is known of one client, in one allocation, and the order that decides which of
//! two is newer.

use std::cmp::Ordering;
use std::fmt;

use triomphe::ThinArc;

use crate::protocol::Nanos;
use crate::protocol::location::is_location;
use crate::protocol::name::{is_client, is_server_name};
use crate::protocol::reply::Fields;

/// What is known of one client. Immutable and shared: a clone counts a reference.
///
/// Layout: time and skew (8 bytes each, little-endian), the lengths of client, origin, location and
/// time text (a byte each), then these four. One allocation a record, and a pointer of one word to it (the
/// length lies with the bytes), because there are millions.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(ThinArc<(), u8>);

const LENGTHS: usize = 16;
const HEADER: usize = LENGTHS + 4;
/// Header and the longest of each field: client, origin, location, time.
const MAX_RECORD_BYTES: usize = HEADER + 255 + 32 + 64 + 40;

impl Record {
    /// Packs the fields. They are valid (part of a parsed command), so each length fits a byte.
    pub fn new(fields: &Fields<'_>) -> Self {
        let mut packed = [0; MAX_RECORD_BYTES];
        packed[..8].copy_from_slice(&fields.time.0.to_le_bytes());
        packed[8..LENGTHS].copy_from_slice(&fields.skew.0.to_le_bytes());
        let texts = [fields.client, fields.origin, fields.location, fields.time_text];
        let mut end = HEADER;
        for (at, text) in texts.into_iter().enumerate() {
            packed[LENGTHS + at] =
                u8::try_from(text.len()).expect("a valid field is at most 255 bytes");
            packed[end..end + text.len()].copy_from_slice(text);
            end += text.len();
        }
        Self::packed(&packed[..end])
    }

    /// Reads packed bytes that came from outside of this process. `None` unless every field is as an UPDATE
    /// may say it, and the time is that of its text.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let lengths = bytes.get(LENGTHS..HEADER)?;
        let all: usize = lengths.iter().map(|&length| usize::from(length)).sum();
        if bytes.len() != HEADER + all {
            return None;
        }
        let record = Self::packed(bytes);
        let fields = record.fields();
        let is_valid = is_client(fields.client)
            && is_server_name(fields.origin)
            && is_location(fields.location)
            && Nanos::parse_time(fields.time_text) == Some(fields.time);
        is_valid.then_some(record)
    }

    /// All that it says.
    pub fn fields(&self) -> Fields<'_> {
        let bytes = self.bytes();
        let length = |at: usize| usize::from(bytes[LENGTHS + at]);
        let (client, rest) = bytes[HEADER..].split_at(length(0));
        let (origin, rest) = rest.split_at(length(1));
        let (location, time_text) = rest.split_at(length(2));
        Fields { client, origin, location, time_text, time: self.time(), skew: self.skew() }
    }

    /// The client that it is of.
    pub fn client(&self) -> &[u8] {
        let bytes = self.bytes();
        &bytes[HEADER..HEADER + usize::from(bytes[LENGTHS])]
    }

    /// When the client was there.
    pub fn time(&self) -> Nanos {
        Nanos(self.number(0))
    }

    /// The origin's clock minus the time.
    pub fn skew(&self) -> Nanos {
        Nanos(self.number(8))
    }

    /// The same in memory of its own, for who keeps it while others replace it: memory is best freed by the
    /// thread that took it.
    pub(super) fn copy(&self) -> Self {
        Self::packed(self.bytes())
    }

    /// Reads from each of its cache lines, which are two or three as a rule.
    pub(super) fn look(&self) -> u8 {
        let bytes = self.bytes();
        // At fixed places: a processor that guesses that they are there needs not wait for the length.
        [0, 48, 96].iter().fold(0, |read, &at| read ^ bytes.get(at).unwrap_or(&0))
    }

    /// The packed bytes, the same on every machine.
    pub fn bytes(&self) -> &[u8] {
        &self.0.slice
    }

    fn packed(bytes: &[u8]) -> Self {
        Self(ThinArc::from_header_and_slice((), bytes))
    }

    fn number(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.bytes()[at..at + 8].try_into().expect("eight bytes"))
    }

    /// The merge order: the greater of two records of a client is the newer one. Later time, then
    /// lower skew (who got it first), then greater origin, location, time bytes. Equal only if all
    /// bytes are, so the order is total and merging does not depend on who comes first.
    pub fn merge_order(&self, other: &Self) -> Ordering {
        let by_time = self.time().cmp(&other.time());
        by_time.then_with(|| other.skew().cmp(&self.skew())).then_with(|| {
            let (this, that) = (self.fields(), other.fields());
            (this.origin, this.location, this.time_text).cmp(&(
                that.origin,
                that.location,
                that.time_text,
            ))
        })
    }

    /// True if this record replaces the other one.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.merge_order(other) == Ordering::Greater
    }

    /// True if both came from one and the same report: client, location and time bytes are equal.
    pub fn is_same_report(&self, other: &Self) -> bool {
        // Equal bytes say equal times, so hardly ever is there more to look at.
        if self.time() != other.time() {
            return false;
        }
        let (this, that) = (self.fields(), other.fields());
        (this.client, this.location, this.time_text) == (that.client, that.location, that.time_text)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Vec::new();
        crate::protocol::reply::write_at(&self.fields(), &mut line);
        f.write_str(line.trim_ascii_end().escape_ascii().to_string().as_str())
    }
}
