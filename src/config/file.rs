//! The conf file as it is written: tables and keys, each value with its place in the file. What the
//! values mean is read by [`super::sections`] and [`super::servers`].

use serde::Deserialize;
use toml::Spanned;

use super::error::{ConfigError, Source, with_commas};

/// A value of any type, so that a wrong type is refused in our own words; `None`: not in the file.
pub(super) type Setting = Option<Spanned<toml::Value>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) server: Vec<Spanned<Server>>,
    #[serde(default)]
    pub(super) pool: Pool,
    #[serde(default)]
    pub(super) limits: Limits,
    #[serde(default)]
    pub(super) links: Links,
    #[serde(default)]
    pub(super) data: Data,
    #[serde(default)]
    pub(super) admin: Admin,
    #[serde(default)]
    pub(super) places: Places,
    #[serde(default)]
    pub(super) log: Log,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) name: Setting,
    pub(super) listen: Setting,
    pub(super) links: Setting,
    pub(super) admin: Setting,
    #[serde(default)]
    pub(super) neighbors: Vec<Spanned<toml::Value>>,
    pub(super) link: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    pub(super) mode: Setting,
    pub(super) workers: Setting,
    pub(super) max_connections: Setting,
    pub(super) max_connections_per_address: Setting,
    pub(super) idle_timeout: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) max_line: Setting,
    pub(super) max_ahead: Setting,
    pub(super) commands_per_connection: Setting,
    pub(super) line_timeout: Setting,
    pub(super) write_timeout: Setting,
    pub(super) max_untaken: Setting,
    pub(super) max_records: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Links {
    pub(super) timeout: Setting,
    pub(super) one_shot_dials_per_second: Setting,
    pub(super) key_file: Setting,
    pub(super) sync_interval: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    pub(super) dir: Setting,
    pub(super) durability: Setting,
    pub(super) interval: Setting,
    pub(super) commit_timeout: Setting,
    pub(super) expire_after: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) beyond_loopback: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Places {
    pub(super) provider: Setting,
    pub(super) base_url: Setting,
    pub(super) key_env: Setting,
    pub(super) key_file: Setting,
    pub(super) timeout: Setting,
    pub(super) workers: Setting,
    pub(super) queue: Setting,
    pub(super) whatsat_per_second: Setting,
    pub(super) whatsat_per_second_per_address: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    pub(super) dir: Setting,
    pub(super) level: Setting,
    pub(super) traffic: Setting,
    pub(super) max_size: Setting,
    pub(super) keep: Setting,
}

impl File {
    pub(super) fn parse(source: Source<'_>) -> Result<Self, ConfigError> {
        toml::from_str(source.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            source.refuse(span, in_our_words(source.text, error))
        })
    }
}

/// The toml crate's message as the other messages are: the table, the key, what is allowed, and what
/// to write.
fn in_our_words(text: &str, mut error: toml::de::Error) -> String {
    error.set_input(None);
    // Without its input an error shows where it lies as a last line: in `server.neighbors`.
    let shown = error.to_string();
    let path = shown.lines().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
    let message = error.message();
    if message.starts_with("unknown field ") {
        let mut words = message.split('`').skip(1).step_by(2);
        let key = words.next().unwrap_or_default();
        let allowed = with_commas(words);
        return match path.map(|path| path.split('.').next().unwrap_or(path)) {
            None => format!("{key}: unknown key or table; allowed are {allowed}"),
            Some("server") => format!("[[server]] {key}: unknown key; allowed are {allowed}"),
            Some(table) => format!("[{table}] {key}: unknown key; allowed are {allowed}"),
        };
    }
    // Values are taken as they come, so only tables and lists can be of a wrong type.
    let got = message.split_once(", expected").map_or(message, |(got, _)| got);
    let got = if got.starts_with("invalid length") {
        Some("a list")
    } else {
        got.strip_prefix("invalid type: ")
    };
    if let Some(got) = got {
        match path {
            Some("server") => {
                return format!("server: {got} is no list; write [[server]], with two brackets");
            }
            Some("server.neighbors") => {
                return format!(
                    "[[server]] neighbors: {got} is no list; write names, as in [\"Alford\", \"Ball\"]"
                );
            }
            Some(table) => {
                return format!("{table}: {got} is no table; write [{table}] above its keys");
            }
            None => {}
        }
    }
    match error.span().and_then(|span| text.get(span)) {
        Some(key) if message == "duplicate key" => {
            format!("{key}: written twice; leave one of them out")
        }
        // What `listen = 127.0.0.1:12000` and `timeout = 5s` give: a number that goes on.
        _ if message.starts_with("invalid") => {
            format!("not TOML: {message}; text, addresses and durations stand in quotes")
        }
        _ => format!("not TOML: {message}"),
    }
}
