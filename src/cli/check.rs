//! `herd check` as it is typed.

use std::time::Duration;

use argh::FromArgs;
use herd::protocol::ServerName;

use super::seconds;

/// hold a server of any make, or those of a herd, to the protocol
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "check",
    help_triggers("-h", "--help", "help"),
    example = "\
herd check 127.0.0.1:12000
herd check 127.0.0.1:12000 --only merge.txt -v
herd check 127.0.0.1:12000 --max-line none --max-ahead 2h --no-updates
herd check 127.0.0.1:12000 127.0.0.1:12001 127.0.0.1:12002
herd check 127.0.0.1:12000 --neighbor Other=127.0.0.1:12009",
    note = "\
Runs the protocol's transcripts against each server, with clients of random names. Several servers must be
those of one herd: after that they are held to what they owe each other. With --neighbor the tool plays a
neighbor that the first server has in its conf as one that speaks UPDATE only, listens at its address, and
cuts that link too. Each rule that is broken is shown with where it stands (tests/transcripts), what was
sent, what must come, and what came. Rules that need other settings are skipped, and counted.",
    error_code(0, "every rule holds"),
    error_code(1, "the command line is wrong"),
    error_code(3, "the neighbor's address cannot be listened on"),
    error_code(4, "a server cannot be connected to"),
    error_code(5, "a server breaks a rule")
)]
pub(crate) struct Check {
    /// where clients of the server connect
    #[argh(positional, arg_name = "HOST:PORT")]
    pub(crate) servers: Vec<String>,

    /// the server's name, if it is not to be learned from its AT lines; once for each HOST:PORT
    #[argh(option, arg_name = "NAME", from_str_fn(server_name))]
    pub(crate) name: Vec<ServerName>,

    /// the server's longest line, LF not counted, or none [default: 8192]
    #[argh(option, arg_name = "BYTES", default = "Limit(Some(8192))", from_str_fn(max_line))]
    pub(crate) max_line: Limit<usize>,

    /// how far ahead of its clock a report may be, such as 24h or 90m, or none [default: 24h]
    #[argh(option, arg_name = "DURATION", default = "A_DAY", from_str_fn(max_ahead))]
    pub(crate) max_ahead: Limit<Duration>,

    /// the server closes a connection after so many replies [default: never]
    #[argh(option, arg_name = "N", from_str_fn(count))]
    pub(crate) commands_per_connection: Option<usize>,

    /// UPDATE is no command for who connects from here
    #[argh(switch)]
    pub(crate) no_updates: bool,

    /// longest wait for anything on a connection [default: 5]
    #[argh(option, arg_name = "SECONDS", default = "Duration::from_secs(5)", from_str_fn(seconds))]
    pub(crate) timeout: Duration,

    /// how far the server's clock may be from this machine's [default: 1]
    #[argh(option, arg_name = "SECONDS", default = "Duration::from_secs(1)", from_str_fn(seconds))]
    pub(crate) clock_tolerance: Duration,

    /// transcripts under way at a time [default: 8]
    #[argh(option, arg_name = "N", default = "8", from_str_fn(count))]
    pub(crate) at_a_time: usize,

    /// play a plain neighbor of the first server: the one of this name in its conf, which listens there
    #[argh(option, arg_name = "NAME=HOST:PORT", from_str_fn(neighbor))]
    pub(crate) neighbor: Option<PlayedNeighbor>,

    /// only rules that have this in their sentence or in the name of their file
    #[argh(option, arg_name = "TEXT", default = "String::new()")]
    pub(crate) only: String,

    /// show the rules, and check nothing
    #[argh(switch)]
    pub(crate) list: bool,

    /// show each rule, also those that hold
    #[argh(switch, short = 'v')]
    pub(crate) verbose: bool,
}

/// `NAME=HOST:PORT`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlayedNeighbor {
    pub(crate) name: ServerName,
    /// Where it listens.
    pub(crate) listen: String,
}

/// A limit that a server has, or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit<T>(pub(crate) Option<T>);

const A_DAY: Limit<Duration> = Limit(Some(Duration::from_secs(24 * 60 * 60)));

fn server_name(text: &str) -> Result<ServerName, String> {
    ServerName::parse(text.as_bytes())
        .ok_or_else(|| "a name is 1 to 32 letters, digits, `.`, `_` and `-`".to_string())
}

fn neighbor(text: &str) -> Result<PlayedNeighbor, String> {
    let (name, listen) = text.split_once('=').ok_or("write NAME=HOST:PORT")?;
    if !listen.contains(':') {
        return Err(format!("`{listen}` is not HOST:PORT"));
    }
    Ok(PlayedNeighbor { name: server_name(name)?, listen: listen.to_string() })
}

fn max_line(text: &str) -> Result<Limit<usize>, String> {
    /// What the transcripts hold for: from that on all that they send as one line fits.
    const LEAST: usize = 512;
    /// Longer lines are written out in memory.
    const MOST: usize = 16 << 20;
    match text.parse() {
        _ if text == "none" => Ok(Limit(None)),
        Ok(bytes) if (LEAST..=MOST).contains(&bytes) => Ok(Limit(Some(bytes))),
        _ => Err(format!("write bytes from {LEAST} to {MOST}, or none")),
    }
}

fn max_ahead(text: &str) -> Result<Limit<Duration>, String> {
    /// The transcripts report up to an hour and ten minutes ahead.
    const LEAST: Duration = Duration::from_secs(70 * 60 + 1);
    /// Ten years: the time still has ten digits.
    const MOST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    match humantime::parse_duration(text) {
        _ if text == "none" => Ok(Limit(None)),
        Ok(ahead) if (LEAST..=MOST).contains(&ahead) => Ok(Limit(Some(ahead))),
        _ => Err("write more than 70 min, at most 10 years, such as 24h, or none".to_string()),
    }
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1000) => Ok(number),
        _ => Err("write a number from 1 to 1000".to_string()),
    }
}
