//! The conf file, read and validated.
//!
//! Durations in the file are strings with a unit (`"5s"`, `"250ms"`, `"24h"`), sizes are bytes or
//! strings with a unit (`"8KiB"`). All keys but a server's `name` and `listen` have a default;
//! `conf/herd.toml` shows every one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::protocol::ServerName;

mod address;
mod error;
mod file;
mod sections;
mod servers;
#[cfg(test)]
mod tests;
mod values;

pub use address::is_loopback;
pub use error::ConfigError;

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
    /// What is kept on disk.
    pub data: Data,
    /// The HTTP server for whoever watches.
    pub admin: Admin,
    /// Who is asked what is near.
    pub places: Places,
    /// Where and what is logged.
    pub log: Log,
}

/// One `[[server]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Unique in the file.
    pub name: ServerName,
    /// Where clients connect, `HOST:PORT`. With port 0 the system picks one.
    pub listen: String,
    /// Where neighbors dial, `HOST:PORT`; opened only if herd servers are among them. By default the host of
    /// `listen`, and its port + 1000 (0 if that is 0). Neighbors dial a plain or one-shot server
    /// at `listen`, which this then repeats.
    pub links: String,
    /// Where it can be watched over HTTP, `HOST:PORT`; `None`, the default: nowhere.
    pub admin: Option<String>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How connections meet threads. Default: lots.
    pub mode: PoolMode,
    /// `pinned`: connections served at a time, 1 to 100,000 and what the machine holds (a thread
    /// each). `lots`: unused. Default: 200.
    pub workers: usize,
    /// Connections of clients at a time, over all: 1 to 1,000,000. Default: 12,000.
    pub max_connections: usize,
    /// Connections of clients at a time from one address (of IPv6: one /64): 1 to 1,000,000; those of
    /// this machine do not count. Default: 1,000.
    pub max_connections_per_address: usize,
    /// A connection without a command for so long is closed: 10 ms to 30 days. Default: 10 minutes.
    pub idle_timeout: Duration,
}

/// `[pool] mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolMode {
    /// About as many workers as cores share lots of connections; idle connections hold no thread.
    #[default]
    Lots,
    /// A worker keeps one connection until it closes.
    Pinned,
}

/// `[limits]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest line of a client, in bytes without LF: 512 B to 1 MiB. Default: 8 KiB.
    pub max_line: usize,
    /// How far in the future a report's time may lie: 0 to 3650 days. Default: 24 hours.
    pub max_ahead: Duration,
    /// Replies after which a connection closes, 1 to 1,000,000,000; `None`, the default: no limit.
    pub commands_per_connection: Option<u64>,
    /// From the first byte of a line to its LF: 10 ms to a day. Default: 30 seconds.
    pub line_timeout: Duration,
    /// How long a client may take to take all replies that wait for it: 10 ms to a day. Default: 30
    /// seconds.
    pub write_timeout: Duration,
    /// Bytes of replies that wait for a client; beyond, nothing more is handled for it until it takes
    /// some. The last reply may go over it. 4 KiB to 16 MiB. Default: 256 KiB.
    pub max_untaken: usize,
    /// Records beyond which reports of new clients are refused: 1 to 1,000,000,000. Default: 10,000,000.
    pub max_records: usize,
}

/// `[links]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// A link on which nothing moves for so long is down: 100 ms to 10 minutes. Default: 5 seconds.
    pub timeout: Duration,
    /// Dials a second to a one-shot neighbor, at most: 1 to 10,000. Default: 50.
    pub one_shot_dials_per_second: u32,
    /// The keys of the links' encryption; `None`, the default: links are in clear, and on loopback only.
    pub key_file: Option<PathBuf>,
    /// How often neighbors compare their records, besides when a link comes up: 1 second to a day.
    /// Default: 30 seconds.
    pub sync_interval: Duration,
}

/// `[data]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// The store of each server is the directory of its name in here; from the working directory if
    /// relative. `None`, the default: nothing is kept on disk.
    pub dir: Option<PathBuf>,
    /// When what is stored is safe on the disk. Default: interval.
    pub durability: Durability,
    /// How often, with `interval`: 10 ms to 1 hour. Default: 1 second.
    pub interval: Duration,
    /// How long a reply waits for its commit, with `always`: 10 ms to 5 minutes. Default: 5 seconds.
    pub commit_timeout: Duration,
    /// Records whose time is older are dropped: 1 second to 36,500 days; `None`, the default: never.
    pub expire_after: Option<Duration>,
}

/// `[data] durability`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the operating system gets to it, and at a stop.
    None,
    /// Every [`Data::interval`].
    #[default]
    Interval,
    /// Before the reply.
    Always,
}

/// `[admin]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// True if a server's `admin` may be an address that other machines can reach. Default: false.
    pub beyond_loopback: bool,
}

/// `[places]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Who is asked. Default: the embedded gazetteer.
    pub provider: ProviderKind,
    /// Where the provider is: scheme, host, port and path. `None`, the default: its public address.
    /// The gazetteer is nowhere.
    pub base_url: Option<String>,
    /// The environment variable that holds the API key. Google's providers need this or `key_file`;
    /// never both are given.
    pub key_env: Option<String>,
    /// The file that holds the API key.
    pub key_file: Option<PathBuf>,
    /// Longest call, all told; connecting takes at most half of it. 10 ms to 5 minutes. Default: 5
    /// seconds.
    pub timeout: Duration,
    /// Calls at a time, a thread each: 1 to 1,000. Default: 16.
    pub workers: usize,
    /// Look-ups that wait for a call: 1 to 1,000,000. Default: 1024.
    pub queue: usize,
    /// WHATSAT commands a second, over all clients, that may ask a provider that costs (all but the
    /// gazetteer): 1 to 1,000,000; after a second without, as many at once. Default: 50.
    pub whatsat_per_second: u32,
    /// The same for one address; those of this machine do not count: 1 to 1,000,000. Default: 5.
    pub whatsat_per_second_per_address: u32,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Directory of `NAME.log`, from the working directory if relative. Default: `logs`.
    pub dir: PathBuf,
    /// Least level that is written. Default: info.
    pub level: log::LevelFilter,
    /// One line for each exchange and update. Default: true.
    pub traffic: bool,
    /// A file over so many bytes is rotated: 4 KiB to 1 TiB. Default: 64 MiB.
    pub max_size: u64,
    /// Rotated files kept: 1 to 1,000. Default: 5.
    pub keep: usize,
}

impl Config {
    /// Reads and checks a conf file.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unreadable`] if there is no such file, else [`ConfigError::Refused`] about
    /// the first thing in it that is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_path_buf(), source };
        let bytes = std::fs::read(path).map_err(unreadable)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::parse(path, text),
            Err(error) => {
                let valid = &bytes[..error.valid_up_to()];
                let text = std::str::from_utf8(valid).unwrap_or_default();
                let at = valid.len();
                Err(error::Source { path, text }.refuse(at..at, "not UTF-8; save it as UTF-8"))
            }
        }
    }

    /// Checks the text of a conf file. `path` is only for messages, and nothing is opened or looked
    /// up but how many memory maps this machine gives a process.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`] about the first thing that is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::parse_for(sections::Machine::this(), path, text)
    }

    fn parse_for(machine: sections::Machine, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = error::Source { path, text };
        let file = file::File::parse(source)?;
        let config = Self {
            path: path.to_path_buf(),
            servers: servers::servers(source, &file.server)?,
            pool: sections::pool(source, &file.pool)?,
            limits: sections::limits(source, &file.limits)?,
            links: sections::links(source, &file.links)?,
            data: sections::data(source, &file.data)?,
            admin: sections::admin(source, &file.admin)?,
            places: sections::places(source, &file.places)?,
            log: sections::log(source, &file.log)?,
        };
        servers::check_links(source, &file, &config)?;
        servers::check_admin(source, &file, &config)?;
        sections::check_pool(source, &file, &config.pool, &config.places, machine)?;
        Ok(config)
    }

    /// The server of that name.
    pub fn server(&self, name: &ServerName) -> Option<&Server> {
        self.servers.iter().find(|server| server.name == *name)
    }

    /// The server of a name that someone typed.
    ///
    /// # Errors
    ///
    /// [`ConfigError::NoSuchServer`], which says who there is.
    pub fn server_named(&self, name: &str) -> Result<&Server, ConfigError> {
        self.servers.iter().find(|server| server.name.as_str() == name).ok_or_else(|| {
            ConfigError::NoSuchServer {
                path: self.path.clone(),
                name: name.to_string(),
                servers: error::with_commas(self.servers.iter().map(|server| &server.name)),
            }
        })
    }

    /// True if this server listens at its `links`: a herd server that other herd servers dial.
    /// (Neighbors of another kind send their updates to `listen`.)
    pub fn opens_links(&self, server: &Server) -> bool {
        let is_herd = |server: &Server| server.link == LinkKind::Herd;
        is_herd(server) && self.neighbors_of(&server.name).any(is_herd)
    }

    /// The neighbors of a server, in the order of their names; none if there is no such server.
    pub fn neighbors_of(&self, name: &ServerName) -> impl Iterator<Item = &Server> {
        let names = self.server(name).map_or(&[][..], |server| &server.neighbors[..]);
        names.iter().filter_map(|name| self.server(name))
    }

    /// Says where a server really is, once sockets with port 0 are bound. False if there is no such
    /// server. Nothing is checked.
    pub fn set_addresses(&mut self, name: &ServerName, listen: String, links: String) -> bool {
        match self.servers.iter_mut().find(|server| server.name == *name) {
            Some(server) => {
                server.listen = listen;
                server.links = links;
                true
            }
            None => false,
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            mode: PoolMode::Lots,
            workers: 200,
            max_connections: 12_000,
            max_connections_per_address: 1_000,
            idle_timeout: Duration::from_mins(10),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_line: 8 * 1024,
            max_ahead: Duration::from_hours(24),
            commands_per_connection: None,
            line_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            max_untaken: 256 * 1024,
            max_records: 10_000_000,
        }
    }
}

impl Default for Links {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            one_shot_dials_per_second: 50,
            key_file: None,
            sync_interval: Duration::from_secs(30),
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            dir: None,
            durability: Durability::Interval,
            interval: Duration::from_secs(1),
            commit_timeout: Duration::from_secs(5),
            expire_after: None,
        }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self {
            provider: ProviderKind::Gazetteer,
            base_url: None,
            key_env: None,
            key_file: None,
            timeout: Duration::from_secs(5),
            workers: 16,
            queue: 1024,
            whatsat_per_second: 50,
            whatsat_per_second_per_address: 5,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("logs"),
            level: log::LevelFilter::Info,
            traffic: true,
            max_size: 64 * 1024 * 1024,
            keep: 5,
        }
    }
}

/// As the conf file has it.
impl std::fmt::Display for LinkKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Herd => "herd",
            Self::Plain => "plain",
            Self::OneShot => "one-shot",
        })
    }
}

/// As the conf file has it.
impl std::fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Gazetteer => "gazetteer",
            Self::Google => "google",
            Self::GoogleLegacy => "google-legacy",
            Self::Overpass => "overpass",
        })
    }
}

/// As the conf file has it.
impl std::fmt::Display for PoolMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Lots => "lots",
            Self::Pinned => "pinned",
        })
    }
}
