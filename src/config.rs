//! The conf file, read and validated.

use std::path::PathBuf;
use std::time::Duration;

use crate::protocol::ServerName;

/// A whole conf file. Every value is in range and every name in it resolves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub path: PathBuf,
    /// In the order of the file; at least one.
    pub servers: Vec<Server>,
    /// Threads and connections of each server.
    pub pool: Pool,
    /// What a client may do.
    pub limits: Limits,
    /// How neighbors are spoken to.
    pub links: Links,
    /// Who is asked what is near.
    pub places: Places,
    /// Where and what is logged.
    pub log: Log,
}

/// One `[[server]]`.
#[derive(Clone, Debug)]
pub struct Server {
    /// Unique in the file.
    pub name: ServerName,
    /// Where clients connect, `HOST:PORT`.
    pub listen: String,
    /// Where neighbors dial, `HOST:PORT`; not opened without neighbors.
    pub links: String,
    /// Both ways: whoever lists this server is here too. Sorted, without repeats.
    pub neighbors: Vec<ServerName>,
    /// How it takes updates.
    pub link: LinkKind,
}

/// How a server takes updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkKind {
    /// A herd server: dialed at `links`, with a handshake.
    #[default]
    Herd,
    /// UPDATE lines on a kept connection to `listen`.
    Plain,
    /// One UPDATE a connection to `listen`.
    OneShot,
}

/// `[pool]`
#[derive(Clone, Debug)]
pub struct Pool {
    /// How connections meet threads.
    pub mode: PoolMode,
    /// `pinned`: connections served at a time. `lots`: unused.
    pub workers: usize,
    /// Connections of clients at a time, over all.
    pub max_connections: usize,
    /// A connection without a command for so long is closed.
    pub idle_timeout: Duration,
}

/// `[pool] mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolMode {
    /// As many lots as cores; idle connections hold no thread.
    #[default]
    Lots,
    /// A worker keeps one connection until it closes.
    Pinned,
}

/// `[limits]`
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest line of a client, in bytes without LF.
    pub max_line: usize,
    /// How far in the future a report's time may lie.
    pub max_ahead: Duration,
    /// Replies after which a connection closes; `None`: no limit.
    pub commands_per_connection: Option<u64>,
    /// From the first byte of a line to its LF.
    pub line_timeout: Duration,
    /// How long a client may leave replies untaken.
    pub write_timeout: Duration,
}

/// `[links]`
#[derive(Clone, Debug)]
pub struct Links {
    /// A link on which nothing moves for so long is down.
    pub timeout: Duration,
    /// Dials a second to a one-shot neighbor, at most.
    pub one_shot_dials_per_second: u32,
}

/// `[places]`
#[derive(Clone, Debug)]
pub struct Places {
    /// Who is asked.
    pub provider: ProviderKind,
    /// Where the provider is; `None`: its public address.
    pub base_url: Option<String>,
    /// The environment variable that holds the API key.
    pub key_env: Option<String>,
    /// The file that holds the API key.
    pub key_file: Option<PathBuf>,
    /// Longest call, all told; connecting takes at most half of it.
    pub timeout: Duration,
    /// Calls at a time.
    pub workers: usize,
    /// Look-ups that wait for a call.
    pub queue: usize,
}

/// `[places] provider`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderKind {
    /// Embedded populated places.
    #[default]
    Gazetteer,
    /// Google Places API (New).
    Google,
    /// Google's legacy Nearby Search.
    GoogleLegacy,
    /// OpenStreetMap through Overpass.
    Overpass,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Directory of `NAME.log`.
    pub dir: PathBuf,
    /// Least level that is written.
    pub level: log::LevelFilter,
    /// One line for each exchange and update.
    pub traffic: bool,
    /// A file over so many bytes is rotated.
    pub max_size: u64,
    /// Rotated files kept.
    pub keep: usize,
}
