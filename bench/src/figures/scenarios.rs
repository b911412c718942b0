//! What is measured, and on whom.

use std::time::{Duration, Instant};

use herd::client::Client;
use herd::protocol::Kilometers;

use super::contender::{HerdConf, Programs, Shape};
use super::{Bench, Contender, FiguresError, Scenario, Values, frozen, growth};
use crate::launch::{self, Running};
use crate::load::{Abuse, Abusers, LAST_REPLIES, Load, Work, report_all, run};
use crate::spread::quantile;

const WARM_UP: Duration = Duration::from_secs(1);

/// Clients, unless a scenario says so.
const CLIENTS: u32 = 100_000;

/// Connections that stay silent.
const IDLE: usize = 10_000;

const LOTS: HerdConf = HerdConf { mode: "lots", workers: 1, has_log: true, durability: None };
const LOTS_WITHOUT_LOG: HerdConf = HerdConf { has_log: false, ..LOTS };

const ECHO: &str = "tokio echo";
const REDIS: &str = "Redis GEOADD";

/// All scenarios, with the contenders that are installed.
pub(super) fn all() -> Vec<Scenario> {
    vec![
        pipelined(),
        request_reply("request-reply-256", 256),
        request_reply("request-reply-2000", 2_000),
        idle("idle", 1),
        idle("idle-pipelined", 64),
        durability(),
        abuse(),
        memory(),
        growth::scenario(),
        line(),
        frozen::scenario(),
        flood(),
    ]
}

fn pipelined() -> Scenario {
    let pinned = HerdConf { mode: "pinned", workers: 64, ..LOTS };
    let mut contenders = vec![
        herd("herd, lots, traffic log", LOTS, 16, 64),
        herd("herd, lots, no traffic log", LOTS_WITHOUT_LOG, 16, 64),
        herd("herd, pinned, traffic log", pinned, 16, 64),
        herd("herd, pinned, no traffic log", HerdConf { has_log: false, ..pinned }, 16, 64),
        other(ECHO, |_| Ok(launch::echo()?), Work::Iamat, 16, 64),
    ];
    let mut reference = ECHO;
    if launch::in_path("redis-server").is_some() {
        contenders.push(other(REDIS, |_| Ok(launch::redis()?), Work::Geoadd, 16, 64));
        reference = REDIS;
    }
    if launch::in_path("memcached").is_some() {
        let name = "memcached set";
        contenders.push(other(name, |_| Ok(launch::memcached()?), Work::MemcachedSet, 16, 64));
    }
    Scenario {
        name: "pipelined",
        about: format!("16 connections x 64 outstanding IAMAT, {CLIENTS} clients"),
        reference: Some(reference),
        contenders,
    }
}

fn request_reply(name: &'static str, connections: usize) -> Scenario {
    let pinned = HerdConf { mode: "pinned", workers: connections, ..LOTS };
    Scenario {
        name,
        about: format!("{connections} connections x 1 outstanding IAMAT, {CLIENTS} clients"),
        reference: Some(ECHO),
        contenders: vec![
            herd("herd, lots, traffic log", LOTS, connections, 1),
            herd("herd, lots, no traffic log", LOTS_WITHOUT_LOG, connections, 1),
            herd("herd, pinned, traffic log", pinned, connections, 1),
            other(ECHO, |_| Ok(launch::echo()?), Work::Iamat, connections, 1),
        ],
    }
}

fn idle(name: &'static str, outstanding: usize) -> Scenario {
    const ALONE: &str = "without idle ones";
    let beside = |name, idle| Contender {
        name,
        run: Box::new(move |bench: &Bench| {
            let server = bench.programs.herd(LOTS)?;
            let load = Load { idle, ..load(bench, &server, Work::Iamat, 16, outstanding) };
            let outcome = clean(name, run(&load)?)?;
            let mut values = vec![("replies/s", outcome.rate), ("p99 us", outcome.p99_us)];
            if let (Some(before), Some(after)) =
                (outcome.memory_before_idle, outcome.memory_after_idle)
                && idle > 0
            {
                // What the kernel keeps for a socket is not resident in the process.
                let grown = after.resident.saturating_sub(before.resident) as f64;
                values.push(("resident B/idle connection", grown / idle as f64));
            }
            Ok(values)
        }),
    };
    Scenario {
        name,
        about: format!(
            "16 connections x {outstanding} outstanding IAMAT, alone and beside {IDLE} idle \
             connections; herd, lots, traffic log"
        ),
        reference: Some(ALONE),
        contenders: vec![beside(ALONE, 0), beside("beside 10,000 idle ones", IDLE)],
    }
}

fn durability() -> Scenario {
    const WITHOUT: &str = "nothing on disk";
    let with = |name, durability| herd(name, HerdConf { durability, ..LOTS }, 16, 64);
    Scenario {
        name: "durability",
        about: format!(
            "16 connections x 64 outstanding IAMAT, {CLIENTS} clients, with [data]; herd, lots, \
             traffic log"
        ),
        reference: Some(WITHOUT),
        contenders: vec![
            with(WITHOUT, None),
            with("none", Some("none")),
            with("interval", Some("interval")),
            with("always", Some("always")),
        ],
    }
}

/// Good clients, alone and beside others that hold connections and give nothing. What these send at
/// first, and after a deadline has closed them, is a load as any other, and not what is measured here.
fn abuse() -> Scenario {
    const ALONE: &str = "alone";
    const EACH: usize = 1000;
    let beside = |name, dripping, mute| Contender {
        name,
        run: Box::new(move |bench: &Bench| {
            let server = bench.programs.herd(LOTS)?;
            let abusers = Abusers::start(&server.address, Abuse { dripping, mute })?;
            let load = load(bench, &server, Work::Iamat, 16, 64);
            let outcome = clean(name, run(&load)?)?;
            let seconds = (load.warm_up + load.duration).as_secs_f64();
            Ok(vec![
                ("replies/s", outcome.rate),
                ("p99 us", outcome.p99_us),
                ("generator cores", outcome.generator_cores),
                ("came back/s", abusers.came_back() as f64 / seconds),
            ])
        }),
    };
    Scenario {
        name: "abuse",
        about: format!(
            "16 connections x 64 outstanding IAMAT, alone and beside {EACH} clients that send a byte a \
             second of a line without end, and {EACH} that have sent IAMAT until no more was taken, \
             and never read; herd, lots, traffic log"
        ),
        reference: Some(ALONE),
        contenders: vec![
            beside(ALONE, 0, 0),
            beside("beside those that drip", EACH, 0),
            beside("beside those that never read", 0, EACH),
            beside("beside both", EACH, EACH),
        ],
    }
}

/// Each client is reported once: a client of 20 bytes, a location of 22, a time of 20.
fn memory() -> Scenario {
    let contender = |name, records| Contender {
        name,
        run: Box::new(move |bench: &Bench| {
            let server = bench.programs.herd(LOTS_WITHOUT_LOG)?;
            let before = server.pid().resident_bytes()?;
            report_all(&Load { clients: records, ..load(bench, &server, Work::Iamat, 1, 1) })?;
            let grown = server.pid().resident_bytes()?.saturating_sub(before) as f64;
            Ok(vec![("resident B/record", grown / f64::from(records))])
        }),
    };
    Scenario {
        name: "memory",
        about: "herd, lots; records of a client of 20 bytes, a location of 22, a time of 20"
            .to_string(),
        reference: None,
        contenders: vec![
            contender("1,000,000 records", 1_000_000),
            contender("10,000,000 records", 10_000_000),
        ],
    }
}

/// From before the IAMAT is sent at one end until the other end knows, which is asked in a loop.
fn line() -> Scenario {
    const SERVERS: usize = 5;
    const SAMPLES: usize = 300;
    let run = |bench: &Bench| {
        let servers = bench.programs.herds(SERVERS, Shape::Line)?;
        let timeout = Duration::from_secs(10);
        let mut near = Client::connect(&servers[0].address, timeout)?;
        let mut far = Client::connect(&servers[SERVERS - 1].address, timeout)?;
        // Only once all links are up.
        time_to_cross(&mut near, &mut far, "warm-up")?;
        let mut times = Vec::new();
        for sample in 0..SAMPLES {
            let crossed = time_to_cross(&mut near, &mut far, &format!("client{sample}"))?;
            times.push(crossed.as_secs_f64() * 1e6);
        }
        Ok(vec![("p50 us", quantile(&mut times, 0.5)), ("p99 us", quantile(&mut times, 0.99))])
    };
    Scenario {
        name: "line",
        about: format!(
            "five servers in a line, idle: one IAMAT at one end until the other end answers \
             WHATSAT with it; {SAMPLES} samples a round"
        ),
        reference: None,
        contenders: vec![Contender { name: "herd, lots, traffic log", run: Box::new(run) }],
    }
}

/// The second server runs in this process, so that its records can be counted while they come.
fn flood() -> Scenario {
    const CLEAR: &str = "links in clear";
    let contender = |name, has_key| Contender {
        name,
        run: Box::new(move |bench: &Bench| {
            let (near, far) = bench.programs.two_herds(has_key)?;
            // Only once the link is up.
            let timeout = Duration::from_secs(10);
            let mut client = Client::connect(&near.address, timeout)?;
            time_to_cross(&mut client, &mut Client::connect(far.address(), timeout)?, "warm-up")?;
            drop(client);
            // So many that hardly a client is drawn twice: no update replaces another in the outbox.
            let load = Load { clients: u32::MAX, ..load(bench, &near, Work::Iamat, 16, 64) };
            let records = far.records();
            let (outcome, reached) = std::thread::scope(|scope| {
                let counting = scope.spawn(|| {
                    std::thread::sleep(WARM_UP);
                    let (begun, before) = (Instant::now(), records.len());
                    std::thread::sleep(bench.seconds);
                    (records.len() - before) as f64 / begun.elapsed().as_secs_f64()
                });
                let outcome = run(&load);
                let reached = counting.join().expect("counting does not panic");
                Ok::<_, FiguresError>((clean(name, outcome?)?, reached))
            })?;
            far.stop();
            Ok(vec![("records/s at the other", reached), ("replies/s", outcome.rate)])
        }),
    };
    Scenario {
        name: "flood",
        about: "two servers, 16 connections x 64 outstanding IAMAT of ever new clients to one: \
                records that reach the other; lots, no traffic log"
            .to_string(),
        reference: Some(CLEAR),
        contenders: vec![contender(CLEAR, false), contender("links with a key", true)],
    }
}

fn time_to_cross(
    near: &mut Client,
    far: &mut Client,
    client: &str,
) -> Result<Duration, FiguresError> {
    const LIMIT: Duration = Duration::from_secs(10);
    let not_seen = |why: String| FiguresError::NotSeen(format!("{client} did not cross: {why}"));
    let sent = Instant::now();
    near.report_now(client, "+34.068930-118.445127")?.map_err(|e| not_seen(e.to_string()))?;
    while far.places_near(client, Kilometers(0.0), 0)?.is_err() {
        if sent.elapsed() > LIMIT {
            return Err(not_seen(format!("not within {LIMIT:?}")));
        }
    }
    Ok(sent.elapsed())
}

fn herd(name: &'static str, conf: HerdConf, connections: usize, outstanding: usize) -> Contender {
    let start = move |programs: &Programs| programs.herd(conf);
    other(name, start, Work::Iamat, connections, outstanding)
}

fn other(
    name: &'static str,
    start: impl Fn(&Programs) -> Result<Running, FiguresError> + 'static,
    work: Work,
    connections: usize,
    outstanding: usize,
) -> Contender {
    Contender {
        name,
        run: Box::new(move |bench| {
            let server = start(&bench.programs)?;
            let load = load(bench, &server, work, connections, outstanding);
            let load = Load { expects_echo: name == ECHO, ..load };
            let outcome = clean(name, run(&load)?)?;
            let values: Values = vec![
                ("replies/s", outcome.rate),
                ("server CPU us", outcome.server_cpu_us.unwrap_or(f64::NAN)),
                ("generator cores", outcome.generator_cores),
                ("p99 us", outcome.p99_us),
                ("fewest/most", outcome.evenness()),
            ];
            Ok(values)
        }),
    }
}

pub(super) fn load(
    bench: &Bench,
    server: &Running,
    work: Work,
    connections: usize,
    outstanding: usize,
) -> Load {
    Load {
        address: server.address.clone(),
        connections,
        outstanding,
        idle: 0,
        duration: bench.seconds,
        warm_up: WARM_UP,
        last_replies: LAST_REPLIES,
        rate: None,
        work,
        one_shot: false,
        expects_echo: false,
        clients: CLIENTS,
        are_known: false,
        pid: Some(server.pid()),
        threads: 1,
        seed: bench.seed,
    }
}

pub(super) fn clean(
    contender: &'static str,
    outcome: crate::load::Outcome,
) -> Result<crate::load::Outcome, FiguresError> {
    if outcome.is_clean() {
        Ok(outcome)
    } else {
        Err(FiguresError::NotClean { contender, table: outcome.table() })
    }
}
