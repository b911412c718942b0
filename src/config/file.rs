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
    pub(super) places: Places,
    #[serde(default)]
    pub(super) log: Log,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table [[server]]")]
pub(super) struct Server {
    pub(super) name: Setting,
    pub(super) listen: Setting,
    pub(super) links: Setting,
    #[serde(default)]
    pub(super) neighbors: Vec<Spanned<toml::Value>>,
    pub(super) link: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table [pool]")]
pub(super) struct Pool {
    pub(super) mode: Setting,
    pub(super) workers: Setting,
    pub(super) max_connections: Setting,
    pub(super) idle_timeout: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table [limits]")]
pub(super) struct Limits {
    pub(super) max_line: Setting,
    pub(super) max_ahead: Setting,
    pub(super) commands_per_connection: Setting,
    pub(super) line_timeout: Setting,
    pub(super) write_timeout: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table [links]")]
pub(super) struct Links {
    pub(super) timeout: Setting,
    pub(super) one_shot_dials_per_second: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table [places]")]
pub(super) struct Places {
    pub(super) provider: Setting,
    pub(super) base_url: Setting,
    pub(super) key_env: Setting,
    pub(super) key_file: Setting,
    pub(super) timeout: Setting,
    pub(super) workers: Setting,
    pub(super) queue: Setting,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table [log]")]
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
            source.refuse(span, in_our_words(error))
        })
    }
}

/// The toml crate's message with the table it is about, what is allowed, and what to write.
fn in_our_words(mut error: toml::de::Error) -> String {
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
            Some(table) => format!("{}{key}: unknown key; allowed are {allowed}", label(table)),
        };
    }
    if message.starts_with("invalid type") || message.starts_with("invalid length") {
        let remedy = match path {
            Some("server") => "; write [[server]], with two brackets",
            Some("server.neighbors") => "; write a list of names, such as [\"Alford\", \"Ball\"]",
            _ => "",
        };
        let path = path.map(|path| format!("{path}: ")).unwrap_or_default();
        return format!("{path}{message}{remedy}");
    }
    format!("not TOML: {message}")
}

fn label(table: &str) -> String {
    if table == "server" { "[[server]] ".to_string() } else { format!("[{table}] ") }
}
