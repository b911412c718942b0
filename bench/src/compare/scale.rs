//! How much is measured.

use std::time::Duration;

use crate::cli::Compare;

/// Sizes of the scenarios, and how long and how often each is measured.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    pub(super) name: &'static str,
    pub(super) rounds: usize,
    /// Of scenarios in which a sample takes long.
    pub(super) long_rounds: usize,
    pub(super) seconds: Duration,
    /// Discarded.
    pub(super) warm_up: Duration,
    /// How long a just-in-time compiler is given before, of pipelined requests.
    pub(super) compiling: Duration,
    /// Connections with one request outstanding.
    pub(super) connections: &'static [usize],
    pub(super) idle: &'static [usize],
    /// How long an answer of a slow places service takes, and its name in the report.
    pub(super) delays: &'static [(Duration, &'static str)],
    /// Clients, drawn uniformly.
    pub(super) clients: u32,
    /// Updates whose convergence is timed, in one sample.
    pub(super) updates: usize,
    /// How long all servers of a herd are loaded with new clients, and how long until they hold the same.
    pub(super) flood_for: Duration,
    /// How long a neighbor is away, and the load goes on after.
    pub(super) away_for: Duration,
    /// How long it is waited for copies to be equal.
    pub(super) equal_within: Duration,
    pub(super) records: u32,
    /// Wait until a log is written.
    pub(super) log_written: Duration,
}

const DELAYS: &[(Duration, &str)] = &[
    (Duration::ZERO, "at once"),
    (Duration::from_millis(200), "200 ms"),
    (Duration::from_secs(2), "2 s"),
];

const SHORT_DELAYS: &[(Duration, &str)] =
    &[(Duration::ZERO, "at once"), (Duration::from_millis(20), "20 ms")];

impl Scale {
    pub(super) fn of(args: &Compare) -> Self {
        let mut scale = match (args.quick, args.toy) {
            (_, true) => toy(),
            (true, false) => quick(),
            (false, false) => full(),
        };
        if let Some(rounds) = args.rounds {
            scale.rounds = rounds;
            scale.long_rounds = rounds;
        }
        scale.seconds = args.seconds.unwrap_or(scale.seconds);
        scale
    }
}

impl Scale {
    /// As many connections as a busy server has, of those that are measured anyway.
    pub(super) fn some_connections(&self) -> usize {
        let few = self.connections.iter().copied().filter(|&connections| connections <= 256);
        few.max().unwrap_or(1)
    }
}

fn full() -> Scale {
    Scale {
        name: "full",
        rounds: 5,
        long_rounds: 3,
        seconds: Duration::from_secs(1),
        warm_up: Duration::from_millis(500),
        compiling: Duration::from_secs(4),
        connections: &[1, 16, 256, 2_000, 10_000],
        idle: &[1_000, 10_000],
        delays: DELAYS,
        clients: 100_000,
        updates: 200,
        flood_for: Duration::from_secs(5),
        away_for: Duration::from_secs(10),
        equal_within: Duration::from_secs(30),
        records: 1_000_000,
        // Every rival writes it once a second at least.
        log_written: Duration::from_millis(1_500),
    }
}

fn quick() -> Scale {
    Scale {
        name: "quick",
        rounds: 1,
        long_rounds: 1,
        compiling: Duration::from_secs(2),
        connections: &[1, 256, 2_000],
        idle: &[1_000],
        updates: 50,
        flood_for: Duration::from_secs(1),
        away_for: Duration::from_secs(2),
        equal_within: Duration::from_secs(10),
        records: 100_000,
        ..full()
    }
}

/// To see that all of it works.
fn toy() -> Scale {
    Scale {
        name: "toy",
        seconds: Duration::from_millis(100),
        warm_up: Duration::from_millis(50),
        compiling: Duration::from_millis(50),
        connections: &[8],
        idle: &[20],
        delays: SHORT_DELAYS,
        clients: 500,
        updates: 3,
        flood_for: Duration::from_millis(100),
        away_for: Duration::from_millis(300),
        equal_within: Duration::from_secs(3),
        records: 2_000,
        log_written: Duration::from_millis(100),
        ..quick()
    }
}
