//! What clients may not go beyond: how often they did, and what the log says of it.

use std::fmt;
use std::time::{Duration, Instant};

use ::log::Level;

use super::shared::Shared;
use crate::counters::{Count, Counters};
use crate::log::Seldom;

/// A limit of the conf that a client went beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `[pool] max_connections`
    Connections,
    /// `[pool] max_connections_per_address`
    ConnectionsPerAddress,
    /// `[pool] idle_timeout`
    Idle,
    /// `[limits] line_timeout`
    LineTime,
    /// `[limits] max_line`
    LineLength,
    /// `[limits] write_timeout`
    Untaken,
    /// `[limits] max_records`
    Records,
    /// `[places] whatsat_per_second`
    Whatsat,
    /// `[places] whatsat_per_second_per_address`
    WhatsatPerAddress,
    /// `[places] queue`
    PlacesQueue,
    /// `[data] commit_timeout`
    CommitTime,
}

/// How many limits there are.
const LIMITS: usize = Limit::CommitTime as usize + 1;

/// How often the log speaks of one limit.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// What the log said of each limit, and when.
#[derive(Debug)]
pub struct Exceeded([Seldom; LIMITS]);

impl Default for Exceeded {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Seldom::every(SAID_EVERY)))
    }
}

impl Shared {
    /// Counts that a client went beyond a limit, and says so in the log once in ten seconds, with the
    /// key to raise.
    pub fn exceeded(&self, limit: Limit, peer: impl fmt::Display) {
        let count = limit.count(&self.counters);
        count.add(1);
        if self.exceeded.0[limit as usize].says(Instant::now()).is_some() {
            let (key, value) = limit.key(self);
            self.log.event(
                limit.level(),
                format_args!(
                    "limit reached: {key} = {value}: {}, last of {peer}; {} since the start; {}",
                    limit.what_happens(),
                    count.get(),
                    limit.remedy(),
                ),
            );
        }
    }

    /// The same for look-ups that waited too long in the queue of places.
    pub fn waited_too_long(&self, lookups: usize) {
        for _ in 0..lookups {
            self.exceeded(Limit::PlacesQueue, "a client that waited in it");
        }
    }

    /// As [`Shared::exceeded`], for so many replies whose commit took too long.
    pub fn commit_was_late(&self, peer: &str, replies: u64) {
        self.counters.late_commits.add(replies.saturating_sub(1));
        self.exceeded(Limit::CommitTime, peer);
    }
}

impl Limit {
    fn count(self, counters: &Counters) -> &Count {
        match self {
            Self::Connections => &counters.refused_connections,
            Self::ConnectionsPerAddress => &counters.refused_per_address,
            Self::Idle => &counters.closed_idle,
            Self::LineTime => &counters.closed_slow_line,
            Self::LineLength => &counters.closed_long_line,
            Self::Untaken => &counters.closed_untaken,
            Self::Records => &counters.refused_records,
            Self::Whatsat | Self::WhatsatPerAddress => &counters.refused_whatsat,
            Self::PlacesQueue => &counters.refused_lookups,
            Self::CommitTime => &counters.late_commits,
        }
    }

    /// The key of the conf, and what it is set to.
    fn key(self, shared: &Shared) -> (&'static str, String) {
        let (pool, limits, places) = (&shared.pool, &shared.limits, &shared.places);
        let time = |time| humantime::format_duration(time).to_string();
        match self {
            Self::Connections => ("[pool] max_connections", pool.max_connections.to_string()),
            Self::ConnectionsPerAddress => {
                ("[pool] max_connections_per_address", pool.max_connections_per_address.to_string())
            }
            Self::Idle => ("[pool] idle_timeout", time(pool.idle_timeout)),
            Self::LineTime => ("[limits] line_timeout", time(limits.line_timeout)),
            Self::LineLength => ("[limits] max_line", format!("{} B", limits.max_line)),
            Self::Untaken => ("[limits] write_timeout", time(limits.write_timeout)),
            Self::Records => ("[limits] max_records", limits.max_records.to_string()),
            Self::Whatsat => ("[places] whatsat_per_second", places.whatsat_per_second.to_string()),
            Self::WhatsatPerAddress => (
                "[places] whatsat_per_second_per_address",
                places.whatsat_per_second_per_address.to_string(),
            ),
            Self::PlacesQueue => ("[places] queue", places.queue.to_string()),
            Self::CommitTime => {
                let timeout = shared.store.as_ref().map(|store| store.commit_timeout());
                ("[data] commit_timeout", time(timeout.unwrap_or_default()))
            }
        }
    }

    fn what_happens(self) -> &'static str {
        match self {
            Self::Connections | Self::ConnectionsPerAddress => "connections are refused",
            Self::Idle => "idle connections are closed",
            Self::LineTime => "connections whose line does not end are closed",
            Self::LineLength => "connections with longer lines are closed",
            Self::Untaken => "connections that do not take their replies are closed",
            Self::Records => "IAMAT of new clients are refused",
            Self::Whatsat | Self::WhatsatPerAddress | Self::PlacesQueue => {
                "WHATSAT are answered OVER_QUERY_LIMIT"
            }
            Self::CommitTime => "replies whose record is not on disk in time become ?",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Records => "raise it if there is memory for more",
            Self::Whatsat | Self::WhatsatPerAddress => "raise it if the provider may be asked more",
            Self::PlacesQueue => "raise it, or [places] workers, if the provider may be asked more",
            Self::CommitTime => "see why the disk of [data] dir is slow or full",
            _ => "raise it if these clients mean well",
        }
    }

    /// Clients that fall silent are nothing to warn of.
    fn level(self) -> Level {
        if self == Self::Idle { Level::Info } else { Level::Warn }
    }
}
