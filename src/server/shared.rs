//! What all threads of one server share.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::addresses::Addresses;
use super::exceeded::Exceeded;
use super::rates::WhatsatRates;
use super::ticket::Ticket;
use crate::config;
use crate::counters::Counters;
use crate::flood::{Flood, FloodSender};
use crate::log::Log;
use crate::places::lookups::Lookups;
use crate::protocol::{Nanos, ServerName};
use crate::records::Records;
use crate::store::Store;
use crate::waits::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What all threads of one server share.
pub struct Shared {
    /// Who we are.
    pub name: ServerName,
    /// What is known.
    pub records: Arc<Records>,
    /// The links.
    pub flood: Arc<Flood>,
    /// Where accepted updates go.
    pub flooder: FloodSender,
    /// What is kept on disk, with `[data] dir`.
    pub store: Option<Arc<Store>>,
    /// Look-ups of places under way.
    pub lookups: Arc<Lookups<Ticket>>,
    /// How often those may be asked for that cost.
    pub rates: WhatsatRates,
    /// What a client may do.
    pub limits: config::Limits,
    /// Threads and connections.
    pub pool: config::Pool,
    /// Whom places are asked of, and how often.
    pub places: config::Places,
    /// The log.
    pub log: Log,
    /// What was done and refused.
    pub counters: Arc<Counters>,
    /// What the log said of limits.
    pub exceeded: Exceeded,
    /// Connections of clients that are open; those refused are not among them.
    pub connections: Arc<AtomicUsize>,
    /// The same by address.
    pub addresses: Arc<Addresses>,
    /// Set once, at a stop.
    pub is_stopping: Arc<AtomicBool>,
}

/// What the system's clock showed at the start of a turn.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The same as [`Clock::nanos`], for the log.
    pub wall: SystemTime,
    /// Since the POSIX epoch.
    pub nanos: Nanos,
}

impl Clock {
    /// Reads the system's clock. Before the epoch it shows 0.
    pub fn now() -> Self {
        let wall = SystemTime::now();
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall, nanos: Nanos(since.as_nanos().try_into().unwrap_or(i64::MAX)) }
    }

    /// The clock minus a time: the skew of a report.
    pub fn since(self, time: Nanos) -> Nanos {
        Nanos(self.nanos.0.saturating_sub(time.0))
    }
}

impl Shared {
    /// True if a report's time lies more than `max_ahead` in the clock's future.
    pub fn is_too_far_ahead(&self, time: Nanos, now: Clock) -> bool {
        let ahead = i128::from(time.0) - i128::from(now.nanos.0);
        ahead > 0 && ahead.unsigned_abs() > self.limits.max_ahead.as_nanos()
    }

    /// The store, if replies wait for their commit.
    pub fn awaited_store(&self) -> Option<&Store> {
        self.store.as_deref().filter(|store| store.is_awaited())
    }

    /// True once the server stops.
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }
}

/// How long a connection that the server ends may take to go: its client's input is discarded
/// until the client closes too, since a close with unread input would reset it and lose replies.
pub const LINGER: Duration = Duration::from_secs(2);

/// Bytes that are discarded so, at most.
pub const LINGER_BYTES: usize = 1024 * 1024;

/// Why a connection was closed, in the words of the log: the client shut its sending side down.
pub const CLIENT_ENDED: &str = "the client ended it";

/// A panic was about it.
pub const LOST: &str = "lost to a defect of this server, which the standard error tells more of";

/// No command for `idle_timeout`.
pub const IDLE: &str = "idle for idle_timeout";

/// A line was begun and not ended within `line_timeout`.
pub const LINE_TOO_SLOW: &str = "a line that was not whole within line_timeout";

/// A stop of the server.
pub const SERVER_STOPS: &str = "the server stops";
