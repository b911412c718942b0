//! What a server has counted since its start: what it did, and what it refused.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows. Adding never waits.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds so many.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one server. Whoever does or refuses something adds to them; whoever watches reads
/// them.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections of clients that were taken in.
    pub connections: Count,
    /// Refused because of `max_connections`.
    pub refused_connections: Count,
    /// Refused because of `max_connections_per_address`.
    pub refused_per_address: Count,
    /// Closed because of `idle_timeout`.
    pub closed_idle: Count,
    /// Closed because of `line_timeout`.
    pub closed_slow_line: Count,
    /// Closed because of `write_timeout`.
    pub closed_untaken: Count,
    /// Closed because of `max_line`.
    pub closed_long_line: Count,
    /// Connections lost to a panic.
    pub panics: Count,
    /// IAMAT that were answered with AT.
    pub iamat: Count,
    /// WHATSAT that were answered with AT.
    pub whatsat: Count,
    /// UPDATE that came on connections of clients.
    pub update: Count,
    /// Lines that were answered with `? `.
    pub invalid: Count,
    /// IAMAT of new clients, refused because of `max_records`.
    pub refused_records: Count,
    /// WHATSAT over one of the rates of `[places]`.
    pub refused_whatsat: Count,
    /// WHATSAT that found `[places] queue` full, or waited in it for too long.
    pub refused_lookups: Count,
    /// Connections to `links` that were refused: who is no neighbor, has no key, or stalls.
    pub refused_links: Count,
    /// Records that `expire_after` took away.
    pub expired: Count,
    /// Records that were written to the store.
    pub stored: Count,
    /// Commits of the store.
    pub commits: Count,
    /// Writes or commits of the store that failed.
    pub failed_commits: Count,
    /// Replies that became `? ` because of `commit_timeout`.
    pub late_commits: Count,
    /// Connections to the admin address that were cut off to make room for others.
    pub cut_admin: Count,
}
