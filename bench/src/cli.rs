//! The command line as it is typed, and what `--help` says.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use argh::{EarlyExit, FromArgs};

use crate::echo::Model;
use crate::load::Work;

/// Measures herd servers and what they are compared with, and makes herds fail.
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    help_triggers("-h", "--help", "help"),
    example = "\
herd-bench load 127.0.0.1:12000 --connections 16 --outstanding 64
herd-bench compare --quick
herd-bench figures
herd-bench counts
herd-bench faults --rounds 20 --data
herd-bench load --help                   more about one command",
    error_code(0, "all went well"),
    error_code(1, "the command line is wrong"),
    error_code(3, "echo, places: the address cannot be listened on"),
    error_code(4, "something failed at run time: a server cannot be reached, for one"),
    error_code(
        5,
        "a reply was wrong or missing: do not use the figures; counts: some rose; faults: the herd broke a promise"
    )
)]
pub(crate) struct HerdBench {
    /// print the version and exit
    #[argh(switch)]
    pub(crate) version: bool,

    #[argh(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand)]
pub(crate) enum Command {
    Load(Load),
    Echo(Echo),
    Places(Places),
    Compare(Compare),
    Figures(Figures),
    Counts(Counts),
    Faults(Faults),
    Repair(Repair),
}

/// put load on one server and say how it did
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "load",
    help_triggers("-h", "--help", "help"),
    example = "\
herd-bench load 127.0.0.1:12000 --connections 256 --pid $(pgrep -f 'serve Alford')
herd-bench load 127.0.0.1:12000 --rate 20000 --work mix:10
herd-bench load 127.0.0.1:6379 --work geoadd --connections 16 --outstanding 64",
    note = "\
Without --rate each connection keeps its outstanding requests in flight (closed loop). With it
requests are due evenly spaced, whatever the server does (open loop): latency counts from when a
request was due, and \"late\" says how far the generator itself was behind. Its threads then have priority
over the server, if it is run as root.
Replies are counted in the time after the warm-up, latencies are of the requests that were due in
it; replies that are missing then are waited for 5 seconds. whatsat and mix report every client
once before. If a reply is wrong or missing, or the server ends a connection, the exit code is 5."
)]
pub(crate) struct Load {
    /// the server
    #[argh(positional, arg_name = "HOST:PORT")]
    pub(crate) address: String,

    /// connections that are active [default: 1]
    #[argh(option, arg_name = "N", default = "1", from_str_fn(positive))]
    pub(crate) connections: usize,

    /// requests in flight on each connection, at most [default: 1]
    #[argh(option, arg_name = "N", default = "1", from_str_fn(positive))]
    pub(crate) outstanding: usize,

    /// connections that are opened before and stay silent [default: 0]
    #[argh(option, arg_name = "N", default = "0")]
    pub(crate) idle: usize,

    /// how long it is measured [default: 5]
    #[argh(
        option,
        arg_name = "SECONDS",
        default = "Duration::from_secs(5)",
        from_str_fn(some_seconds)
    )]
    pub(crate) duration: Duration,

    /// how long it runs before [default: 1]
    #[argh(option, arg_name = "SECONDS", default = "Duration::from_secs(1)", from_str_fn(seconds))]
    pub(crate) warm_up: Duration,

    /// requests a second over all connections [default: as many as are answered]
    #[argh(option, arg_name = "N", from_str_fn(rate))]
    pub(crate) rate: Option<f64>,

    /// iamat, whatsat, mix:PERCENT (of WHATSAT), geoadd, set and geosearch (Redis; the last of a key
    /// "places" that holds some), memcached-set [default: iamat]
    #[argh(option, arg_name = "WORK", default = "Work::Iamat")]
    pub(crate) work: Work,

    /// a connection for each request, which the server ends after its reply
    #[argh(switch)]
    pub(crate) one_shot: bool,

    /// what comes back instead: only "echo", every line as it was sent
    #[argh(option, arg_name = "REPLY", from_str_fn(echo))]
    pub(crate) expect: Option<()>,

    /// clients, drawn uniformly [default: 100000]
    #[argh(option, arg_name = "N", default = "100_000", from_str_fn(positive))]
    pub(crate) clients: u32,

    /// the server's process, whose CPU time and memory are read
    #[argh(option, arg_name = "PID")]
    pub(crate) pid: Option<u32>,

    /// threads of the generator [default: 1]
    #[argh(option, arg_name = "N", default = "1", from_str_fn(positive))]
    pub(crate) threads: usize,

    /// of the draws [default: 1]
    #[argh(option, arg_name = "N", default = "1")]
    pub(crate) seed: u64,

    /// one line of JSON, with the histogram of latencies
    #[argh(switch)]
    pub(crate) json: bool,
}

/// run a bare line echo: what a server of its model can hardly beat
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "echo",
    help_triggers("-h", "--help", "help"),
    example = "herd-bench echo --listen 127.0.0.1:7000",
    note = "Says \"ready echo ADDRESS\" when it listens, and echoes until it is ended (Ctrl-C)."
)]
pub(crate) struct Echo {
    /// where to listen [default: 127.0.0.1:0, any free port]
    #[argh(option, arg_name = "HOST:PORT", default = "\"127.0.0.1:0\".into()")]
    pub(crate) listen: String,

    /// how connections are served: lots (as herd does it) or tokio [default: tokio]
    #[argh(option, arg_name = "MODEL", default = "Model::Tokio")]
    pub(crate) model: Model,
}

/// run a stand-in for a places service: the same answer to every question, after a delay
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "places",
    help_triggers("-h", "--help", "help"),
    example = "herd-bench places --listen 127.0.0.1:7001 --delay 0.2",
    note = "\
It speaks what [places] provider = \"google-legacy\" asks for; set base_url to where it listens. GET
/delay/SECONDS gives answers to what is asked later another delay.
Says \"ready places ADDRESS\" when it listens, and answers until it is ended (Ctrl-C)."
)]
pub(crate) struct Places {
    /// where to listen [default: 127.0.0.1:0, any free port]
    #[argh(option, arg_name = "HOST:PORT", default = "\"127.0.0.1:0\".into()")]
    pub(crate) listen: String,

    /// how long each answer takes [default: 0]
    #[argh(option, arg_name = "SECONDS", default = "Duration::ZERO", from_str_fn(seconds))]
    pub(crate) delay: Duration,
}

/// compare herd with servers on event loops, goroutines and Java's threads, on the same work
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "compare",
    help_triggers("-h", "--help", "help"),
    example = "\
cargo build --release --workspace && target/release/herd-bench compare --quick
herd-bench compare --parts throughput,latency
herd-bench compare --parts memory --rivals \"herd lots,go\" --out bench/results/try",
    note = "\
Parts: throughput, pipelined, latency, slow-places, idle, herd, away, cores, memory; each takes under an
hour on two cores. What --out holds already is not measured again: run the same command to go on
where it ended. Rivals whose runtime is not installed are named and left out (bench/variants/install gets
the runtimes), and so is whoever fails `herd check`. Nothing else should run on the machine meanwhile."
)]
pub(crate) struct Compare {
    /// minutes instead of hours: one round, fewer sizes
    #[argh(switch)]
    pub(crate) quick: bool,

    /// as little as shows that all of it works
    #[argh(switch)]
    pub(crate) toy: bool,

    /// parts, with commas between [default: all]
    #[argh(option, arg_name = "NAMES")]
    pub(crate) parts: Option<String>,

    /// who takes part, with commas between [default: all that are there]
    #[argh(option, arg_name = "NAMES")]
    pub(crate) rivals: Option<String>,

    /// rounds [default: 5; 3 where a sample takes long]
    #[argh(option, arg_name = "N", from_str_fn(positive))]
    pub(crate) rounds: Option<usize>,

    /// how long each sample is measured [default: 1]
    #[argh(option, arg_name = "SECONDS", from_str_fn(some_seconds))]
    pub(crate) seconds: Option<Duration>,

    /// of the order, and of the clients that are drawn [default: the clock's]
    #[argh(option, arg_name = "N")]
    pub(crate) seed: Option<u64>,

    /// do not run `herd check` first
    #[argh(switch)]
    pub(crate) unchecked: bool,

    /// measure nothing: write the report of what is there
    #[argh(switch)]
    pub(crate) report_only: bool,

    /// where the report and the samples go [default: bench/results/DATE-HOST]
    #[argh(option, arg_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// the herd program [default: beside this one]
    #[argh(option, arg_name = "FILE")]
    pub(crate) herd: Option<PathBuf>,

    /// the variants [default: bench/variants of the source this was built from]
    #[argh(option, arg_name = "DIR")]
    pub(crate) variants: Option<PathBuf>,
}

/// take the figures that the README shows
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "figures",
    help_triggers("-h", "--help", "help"),
    example = "\
cargo build --release --workspace && target/release/herd-bench figures
herd-bench figures --only pipelined,memory --rounds 3",
    note = "\
Each sample runs in a new server process; in each round every contender runs once, in an order
that is drawn. Redis and memcached are measured where they are installed, and herd-tokio where it
stands beside this program. Nothing else should run on
the machine meanwhile: --rounds 1 --seconds 1 shows whether it works."
)]
pub(crate) struct Figures {
    /// the herd program [default: beside this one]
    #[argh(option, arg_name = "FILE")]
    pub(crate) herd: Option<PathBuf>,

    /// rounds [default: 5]
    #[argh(option, arg_name = "N", default = "5", from_str_fn(positive))]
    pub(crate) rounds: usize,

    /// scenarios, with commas between [default: all: pipelined, request-reply-1, request-reply-16,
    /// request-reply-256, request-reply-2000, request-reply-10000, fixed-rate-2000,
    /// fixed-rate-10000, whatsat-geosearch, idle, idle-pipelined, durability, start, abuse, memory,
    /// growth, line, convergence, frozen, loaded-herd, flood]
    #[argh(option, arg_name = "NAMES")]
    pub(crate) only: Option<String>,

    /// how long each sample is measured [default: 5]
    #[argh(
        option,
        arg_name = "SECONDS",
        default = "Duration::from_secs(5)",
        from_str_fn(some_seconds)
    )]
    pub(crate) seconds: Duration,

    /// of the order and the draws [default: the clock's]
    #[argh(option, arg_name = "N")]
    pub(crate) seed: Option<u64>,

    /// where the report and the samples go [default: bench/results/DATE-local]
    #[argh(option, arg_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// count the instructions of micro-benchmarks, and compare them with those that are recorded
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "counts",
    help_triggers("-h", "--help", "help"),
    example = "\
cargo run --release -p herd-bench -- counts
cargo run --release -p herd-bench -- counts --record",
    note = "\
valgrind's callgrind counts what a processor would execute for parse, merge, format, outbox and a session's
turn. An operation that takes over 5 % more than recorded fails (exit code 5): --record says that it is meant.
Counts depend on compiler, C library, valgrind and processor. Where one of them is not that of the record,
nothing is compared, and it says which."
)]
pub(crate) struct Counts {
    /// record the counts of now
    #[argh(switch)]
    pub(crate) record: bool,

    /// the record [default: bench/results/instructions.csv of the source this was built from]
    #[argh(option, arg_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,

    /// run one benchmark and count nothing: what valgrind is given
    #[argh(option, arg_name = "NAME")]
    pub(crate) run: Option<String>,
}

/// kill, freeze and cut off the servers of a herd under load, and see whether it keeps its promises
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "faults",
    help_triggers("-h", "--help", "help"),
    example = "\
cargo build --release --workspace && target/release/herd-bench faults
herd-bench faults --rounds 200 --durability always --key
sudo herd-bench faults --netns --data",
    note = "\
A herd of five, the seed's ring or another shape, lives for ten rounds. In each up to three faults are
drawn: servers killed, frozen, stopped, started again with or without their data; links cut, silent
one way or both, slow, garbled; partitions. Clients report all the time. Then all is mended, and within
--within all servers have to hold the same, and every report that was answered with AT, or a newer one
of its client, but for what the contract allows to be lost: that is counted and shown.
What is drawn follows from the seed; when it falls does not quite. A round that fails says how to repeat it,
and where its confs and logs are."
)]
pub(crate) struct Faults {
    /// the herd program [default: beside this one]
    #[argh(option, arg_name = "FILE")]
    pub(crate) herd: Option<PathBuf>,

    /// rounds [default: 20]
    #[argh(option, arg_name = "N", default = "20", from_str_fn(positive))]
    pub(crate) rounds: usize,

    /// of the draws [default: the clock's]
    #[argh(option, arg_name = "N")]
    pub(crate) seed: Option<u64>,

    /// servers keep their records on disk
    #[argh(switch)]
    pub(crate) data: bool,

    /// none, interval or always, with --data [default: interval]
    #[argh(option, arg_name = "WORD")]
    pub(crate) durability: Option<Durability>,

    /// links are encrypted, and any bit of them is flipped
    #[argh(switch)]
    pub(crate) key: bool,

    /// each server in a network namespace of its own, with a key: packets are dropped between them
    /// instead of what a proxy can do. Needs root
    #[argh(switch)]
    pub(crate) netns: bool,

    /// clients, each reported every few seconds [default: 6000]
    #[argh(option, arg_name = "N", default = "6000", from_str_fn(positive))]
    pub(crate) clients: usize,

    /// how long after the last fault all has to be well [default: 20]
    #[argh(
        option,
        arg_name = "SECONDS",
        default = "Duration::from_secs(20)",
        from_str_fn(some_seconds)
    )]
    pub(crate) within: Duration,
}

/// `[data] durability`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    None,
    Interval,
    Always,
}

impl std::str::FromStr for Durability {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "interval" => Ok(Self::Interval),
            "always" => Ok(Self::Always),
            _ => Err("write none, interval or always"),
        }
    }
}

/// As the conf file has it.
impl std::fmt::Display for Durability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Interval => "interval",
            Self::Always => "always",
        })
    }
}

/// measure what digest sync costs between two servers
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "repair",
    help_triggers("-h", "--help", "help"),
    example = "\
herd-bench repair
herd-bench repair --records 100000 --differences 10",
    note = "\
Both servers run in this process. An empty one is filled; then the link is cut and healed while both
hold the same; then after some of the records have changed, half of them on either side. A relay on
the link counts the bytes; the fill is timed without it."
)]
pub(crate) struct Repair {
    /// records of each server [default: 1000000]
    #[argh(option, arg_name = "N", default = "1_000_000", from_str_fn(positive))]
    pub(crate) records: u32,

    /// records that differ [default: 100]
    #[argh(option, arg_name = "N", default = "100", from_str_fn(positive))]
    pub(crate) differences: u32,

    /// of the draw of those that differ [default: 1]
    #[argh(option, arg_name = "N", default = "1")]
    pub(crate) seed: u64,
}

/// Reads the words after the program's name.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<HerdBench, EarlyExit> {
    let words = words
        .map(|word| {
            word.into_string()
                .map_err(|word| format!("not UTF-8: {}", word.to_string_lossy()).into())
        })
        .collect::<Result<Vec<String>, EarlyExit>>()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    HerdBench::from_args(&["herd-bench"], &words)
}

/// What `herd-bench --help` prints.
pub(crate) fn help() -> String {
    match HerdBench::from_args(&["herd-bench"], &["--help"]) {
        Err(EarlyExit { output, .. }) => output,
        Ok(_) => String::new(),
    }
}

fn positive<T: std::str::FromStr + PartialOrd + Default>(text: &str) -> Result<T, String> {
    text.parse()
        .ok()
        .filter(|number| *number > T::default())
        .ok_or_else(|| "write a number from 1 on".to_string())
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    seconds_from(0.0, text)
}

/// Nothing can be said of no time.
fn some_seconds(text: &str) -> Result<Duration, String> {
    seconds_from(0.01, text)
}

fn seconds_from(least: f64, text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (least..=3600.0).contains(&seconds) => {
            // `abs`: -0.0 is in range, and no duration.
            Ok(Duration::from_secs_f64(seconds.abs()))
        }
        _ => Err(format!("write seconds from {least} to 3600, as in 2.5")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.1..=1e8).contains(&rate) => Ok(rate),
        _ => Err("write requests a second, from 0.1 on".to_string()),
    }
}

fn echo(text: &str) -> Result<(), String> {
    if text == "echo" { Ok(()) } else { Err("only \"echo\" can be expected".to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<HerdBench, EarlyExit> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        for line in [
            "--help",
            "load -h",
            "echo --help",
            "places -h",
            "figures -h",
            "counts -h",
            "faults -h",
            "repair -h",
        ] {
            let exit = parsed(line).unwrap_err();
            assert_eq!(exit.status, Ok(()), "{line}");
            assert!(exit.output.contains("Examples:\n"), "{line}: {}", exit.output);
        }
    }

    #[test]
    fn a_load_of_nothing_is_a_usage_error() {
        for option in ["--connections", "--outstanding", "--clients", "--threads", "--rate"] {
            let exit = parsed(&format!("load 127.0.0.1:1 {option} 0")).unwrap_err();
            assert!(exit.output.contains("from "), "{option}: {}", exit.output);
        }
        let exit = parsed("load 127.0.0.1:1 --duration 0").unwrap_err();
        assert!(exit.output.contains("0.01"), "{}", exit.output);
    }
}
