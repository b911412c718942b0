//! What a set of records comes to in one number, so that two servers can tell whether and where
//! their copies differ without sending them.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::Record;

/// Shards of the map, and buckets of each shard.
pub const SHARDS: usize = 256;

/// Buckets of a shard: the finer level of the digests.
pub const BUCKETS: usize = 256;

/// Version of the digests, and seed of their hashes. Servers whose versions differ would find every
/// bucket different, so a change of the hash, of a record's packed bytes or of the number of
/// buckets needs a new version of links too.
pub const DIGEST_VERSION: u64 = 1;

/// The sum, modulo 2^128, of the hashes of some records. Equal for equal sets, whatever the order; for
/// sets that differ by chance it differs but once in 2^128.
///
/// The hash (XXH3, 128 bits) is fast and not cryptographic: who may write records can make two sets of
/// one digest, and gains that servers do not repair between these two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub u128);

/// Where a client's record lies: the same on every server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 0 to [`SHARDS`] - 1.
    pub shard: usize,
    /// 0 to [`BUCKETS`] - 1.
    pub bucket: usize,
}

impl Digest {
    /// Of one record.
    pub fn of(record: &Record) -> Self {
        Self(xxh3_128_with_seed(record.bytes(), DIGEST_VERSION))
    }

    /// With these records added.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// With these records taken away.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

impl std::iter::Sum for Digest {
    fn sum<I: Iterator<Item = Self>>(digests: I) -> Self {
        digests.fold(Self::default(), Self::plus)
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Place {
    /// Of a client. The hash is fixed, so clients could choose names that fall together: that makes
    /// one lock busier and one bucket larger, and nothing else, since the tables of the shards hash
    /// with a key of their own.
    pub fn of(client: &[u8]) -> Self {
        let hash = xxh3_64_with_seed(client, DIGEST_VERSION);
        Self { shard: (hash >> 56) as usize, bucket: (hash >> 48) as usize % BUCKETS }
    }
}
