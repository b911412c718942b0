//! What is measured, and on whom.

use std::time::{Duration, Instant};

use herd::client::Client;

use super::contender::{HerdConf, Kind, Programs};
use super::crossing::{self, time_to_cross};
use super::{Bench, Contender, FiguresError, Scenario, fixed_rate, frozen, geosearch, growth};
use super::{loaded_herd, request_reply, start};
use crate::echo::Model;
use crate::launch::Running;
use crate::load::{Abuse, Abusers, LAST_REPLIES, Load, Work, report_all, run};

pub(super) const WARM_UP: Duration = Duration::from_secs(1);

/// Clients, unless a scenario says so.
pub(super) const CLIENTS: u32 = 100_000;

/// Connections that stay silent.
const IDLE: usize = 10_000;

pub(super) const LOTS: HerdConf =
    HerdConf { mode: "lots", workers: 1, has_log: true, durability: None };
pub(super) const LOTS_WITHOUT_LOG: HerdConf = HerdConf { has_log: false, ..LOTS };

pub(super) const HERD: &str = "herd, lots, traffic log";
pub(super) const HERD_WITHOUT_LOG: &str = "herd, lots, no traffic log";
pub(super) const TOKIO: &str = "tokio variant, traffic log";
pub(super) const LOTS_ECHO: &str = "lots echo";
pub(super) const TOKIO_ECHO: &str = "tokio echo";

/// All scenarios, with the contenders that are installed.
pub(super) fn all(programs: &Programs) -> Vec<Scenario> {
    let mut all = vec![pipelined(programs)];
    all.extend(request_reply::scenarios(programs));
    all.extend(fixed_rate::scenarios(programs));
    all.extend([
        geosearch::scenario(programs),
        idle("idle", 1),
        idle("idle-pipelined", 64),
        durability(),
        start::scenario(),
        abuse(),
        memory(),
        growth::scenario(),
        crossing::line(),
        crossing::convergence(),
        frozen::scenario(),
        loaded_herd::scenario(),
        flood(),
    ]);
    all
}

fn pipelined(programs: &Programs) -> Scenario {
    let pinned = HerdConf { mode: "pinned", workers: 64, ..LOTS };
    let kinds = [
        (HERD, Kind::Herd(LOTS)),
        (HERD_WITHOUT_LOG, Kind::Herd(LOTS_WITHOUT_LOG)),
        ("herd, pinned, traffic log", Kind::Herd(pinned)),
        ("herd, pinned, no traffic log", Kind::Herd(HerdConf { has_log: false, ..pinned })),
        (TOKIO, Kind::Tokio(LOTS)),
        (LOTS_ECHO, Kind::Echo(Model::Lots)),
        (TOKIO_ECHO, Kind::Echo(Model::Tokio)),
        ("Redis GEOADD", Kind::Redis),
        ("memcached set", Kind::Memcached),
    ];
    Scenario {
        name: "pipelined",
        about: format!("16 connections x 64 outstanding IAMAT, {CLIENTS} clients"),
        reference: Some(LOTS_ECHO),
        contenders: closed_loops(programs, &kinds, 16, 64),
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
    let with =
        |name, durability| closed_loop(name, Kind::Herd(HerdConf { durability, ..LOTS }), 16, 64);
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

/// Reports in a closed loop, to those that are there.
pub(super) fn closed_loops(
    programs: &Programs,
    kinds: &[(&'static str, Kind)],
    connections: usize,
    outstanding: usize,
) -> Vec<Contender> {
    let there = kinds.iter().filter(|(_, kind)| programs.have(*kind));
    there.map(|&(name, kind)| closed_loop(name, kind, connections, outstanding)).collect()
}

fn closed_loop(
    name: &'static str,
    kind: Kind,
    connections: usize,
    outstanding: usize,
) -> Contender {
    let run = move |bench: &Bench| {
        let server = kind.start(&bench.programs)?;
        let load = load(bench, &server, kind.work(), connections, outstanding);
        let load = Load { expects_echo: kind.is_echo(), ..load };
        let outcome = clean(name, run(&load)?)?;
        Ok(vec![
            ("replies/s", outcome.rate),
            ("server CPU us", outcome.server_cpu_us.unwrap_or(f64::NAN)),
            ("generator cores", outcome.generator_cores),
            ("p99 us", outcome.p99_us),
            ("fewest/most", outcome.evenness()),
        ])
    };
    Contender { name, run: Box::new(run) }
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
