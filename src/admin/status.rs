//! What `/status` says. The keys are a contract: programs read them.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a server stands, as plain values. As JSON it has these keys, and durations are seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The server's.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// Since its start.
    #[serde(rename = "uptime_seconds", with = "seconds")]
    pub uptime: Duration,
    /// How many clients are known.
    pub records: usize,
    /// The whole of the records in 32 hexadecimal digits: equal exactly when they are.
    pub digest: String,
    /// One for each neighbor, in the order of their names.
    pub links: Vec<LinkStatus>,
    /// Connections of clients.
    pub connections: Connections,
    /// Who serves them.
    pub pool: Pool,
    /// Look-ups of places.
    pub places: Places,
}

/// How the link to one neighbor stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Its name.
    pub neighbor: String,
    /// `up`, `down`.
    pub state: String,
    /// When it came into this state.
    pub since: Moment,
    /// Why it went down, or could not be dialed, the last time.
    pub last_error: Option<String>,
    /// Records that wait to be sent.
    pub outbox: usize,
    /// Age of the oldest of them; 0 if none waits.
    #[serde(rename = "lag_seconds", with = "seconds")]
    pub lag: Duration,
    /// Updates sent since the start.
    pub sent: u64,
    /// Updates received since the start.
    pub received: u64,
    /// When it last turned out that all that the neighbor has is here too. Never for neighbors that are no
    /// herd servers.
    pub last_sync: Option<Moment>,
}

/// Connections of clients, in all and by what they wait for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Connections {
    /// All of them: the sum of the others.
    pub open: usize,
    /// Those that are read, written, or idle.
    pub served: usize,
    /// Their WHATSAT waits for a places provider.
    pub waiting_for_places: usize,
    /// Mode `pinned`: no worker is free for them.
    pub waiting_for_worker: usize,
}

/// The threads that serve clients.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pool {
    /// `lots` or `pinned`.
    pub mode: String,
    /// Lots of connections; 0 in mode `pinned`.
    pub lots: usize,
    /// Threads.
    pub workers: usize,
    /// Mode `lots`: workers that have a lot or call a provider. `pinned`: that have a connection.
    pub busy: usize,
    /// Mode `lots`: workers that lots wait for. `pinned`: connections that do.
    pub queued: usize,
}

/// Look-ups of places.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Places {
    /// Calls of the provider that are under way.
    pub calls: usize,
    /// Look-ups that wait for a call.
    pub queued: usize,
}

/// A time of day; as text RFC 3339 in UTC, such as `2026-11-25T17:02:03.456Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub SystemTime);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(self.0))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Durations as seconds, to the millisecond.
mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64((time.as_secs_f64() * 1e3).round() / 1e3)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}
