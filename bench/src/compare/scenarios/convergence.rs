//! Five servers in the seed's ring: how soon all know what one was told, and what that costs.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Plan, Trial};
use crate::compare::CompareError;
use crate::compare::bench::Bench;
use crate::compare::herd::{Herd, SERVERS, Setup};
use crate::compare::measure::{P50, P99, Taken, warm};
use crate::compare::reporters::{
    Watchers, client, report, report_new, report_steadily, wait_until_all_know,
};
use crate::compare::rivals::{ALL, Rival};
use crate::compare::sample::{Samples, Verdict};
use crate::compare::scale::Scale;
use crate::load::histogram;

pub(super) const NAME: &str = "convergence";
pub(super) const FLOOD: &str = "flood";

pub(super) const IDLE: &str = "idle";
pub(super) const LOADED: &str = "under load";
pub(super) const SUSTAINED: &str = "all loaded with new clients";

pub(super) const MESSAGES: &str = "UPDATE lines received/update";
pub(super) const BYTES: &str = "bytes on the wire/update";
pub(super) const RECORDS: &str = "records at all five/s";
pub(super) const LOST: &str = "records missing somewhere";

/// Connections to each server, from the generator.
const CONNECTIONS: usize = 8;

/// Reports a second over all servers, of the load that convergence is measured beside.
pub(super) const PER_SECOND: f64 = 500.0;

/// Longest wait for one update to be everywhere.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn settings(_: &Scale) -> Vec<String> {
    [IDLE, LOADED].map(str::to_string).to_vec()
}

pub(super) fn flood_settings(_: &Scale) -> Vec<String> {
    vec![SUSTAINED.to_string()]
}

/// A pool of 200 is no other than one of as many threads as there are connections here.
pub(super) fn takers() -> impl Iterator<Item = Rival> {
    ALL.iter().copied().filter(|rival| !rival.is_starving())
}

pub(super) fn plan(bench: &Bench, _: &Samples) -> Plan {
    bench.each_long_round(NAME, |trials| {
        for rival in bench.rivals(takers()) {
            trials.push(Trial::new(IDLE, rival.name, move |bench| idle(bench, rival)));
            trials.push(Trial::new(LOADED, rival.name, move |bench| loaded(bench, rival)));
        }
    })
}

pub(super) fn plan_flood(bench: &Bench, _: &Samples) -> Plan {
    bench.each_long_round(FLOOD, |trials| {
        for rival in bench.rivals(takers()) {
            trials.push(Trial::new(SUSTAINED, rival.name, move |bench| sustained(bench, rival)));
        }
    })
}

fn idle(bench: &Bench, rival: Rival) -> Result<Taken, CompareError> {
    let herd = Herd::five(rival, &bench.programs, &Setup::of(CONNECTIONS))?;
    warm(&bench.scale, &herd)?;
    let mut taken = time_updates(bench, &herd, rival)?;
    let (messages, bytes) = cost(bench, &herd, rival)?;
    taken.extend([(MESSAGES, messages), (BYTES, bytes)]);
    Ok(taken)
}

fn loaded(bench: &Bench, rival: Rival) -> Result<Taken, CompareError> {
    let herd = Herd::five(rival, &bench.programs, &Setup::of(2 * CONNECTIONS))?;
    warm(&bench.scale, &herd)?;
    let (is_over, servers) = (AtomicBool::new(false), [0, 1, 2, 3, 4]);
    thread::scope(|scope| {
        let loading = scope.spawn(|| {
            let is_one_shot = rival.is_one_shot();
            report_steadily(herd.addresses(), &servers, PER_SECOND, is_one_shot, &is_over)
        });
        let taken = time_updates(bench, &herd, rival);
        is_over.store(true, Ordering::Relaxed);
        let loaded = loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        loaded.and(taken)
    })
}

/// One client a time, at one server after the other.
fn time_updates(bench: &Bench, herd: &Herd<'_>, rival: Rival) -> Result<Taken, CompareError> {
    let mut watchers = Watchers::new(herd.addresses(), rival.is_one_shot());
    // Only once all links are up.
    wait_for_links(&mut watchers)?;
    let mut times = histogram();
    let begun = Instant::now();
    let mut lost = 0;
    for number in 0..bench.scale.updates {
        match watchers.time_to_all(number % SERVERS, &format!("timed-{number}"), LIMIT) {
            Ok(time) => times.saturating_record(time.as_nanos() as u64),
            Err(CompareError::NotEqual(_)) => lost += 1,
            Err(error) => return Err(error),
        }
    }
    let us = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    let mut taken = Taken::clean([(P50, us(0.5)), (P99, us(0.99))]);
    if lost > 0 {
        taken.verdict = Verdict::Marked(format!("{lost} updates did not reach all in {LIMIT:?}"));
    }
    taken.histograms.push(("update", times, begun.elapsed()));
    Ok(taken)
}

/// What is sent before a link is up may be lost where nothing is sent again, so it is tried again.
fn wait_for_links(watchers: &mut Watchers<'_>) -> Result<(), CompareError> {
    const TRY: Duration = Duration::from_millis(500);
    const TRIES: usize = 40;
    for origin in 0..SERVERS {
        let mut tries = 0;
        while let Err(error) = watchers.time_to_all(origin, &format!("first-{origin}-{tries}"), TRY)
        {
            tries += 1;
            if tries == TRIES {
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Lines and bytes that an update costs between the servers: what goes over the loopback while clients
/// report, less what goes over it while nobody does, and less what the same reports cost at a server
/// without neighbors.
fn cost(bench: &Bench, herd: &Herd<'_>, rival: Rival) -> Result<(f64, f64), CompareError> {
    let updates = bench.scale.updates;
    let lines_before = update_lines(bench, herd)?;
    let quiet = bytes_while(|| {
        thread::sleep(pace(updates));
        Ok(())
    })?;
    let with_neighbors = bytes_while(|| report_paced(herd, rival, updates))?;
    let lines = update_lines(bench, herd)? - lines_before;
    let lone = Herd::lone(rival, &bench.programs, &Setup::of(CONNECTIONS))?;
    let alone = bytes_while(|| report_paced(&lone, rival, updates))?;
    let per_update = |count: f64| count / updates as f64;
    Ok((per_update(lines as f64), per_update(with_neighbors - quiet - alone)))
}

const EVERY: Duration = Duration::from_millis(5);

fn pace(updates: usize) -> Duration {
    EVERY * updates as u32
}

fn report_paced(herd: &Herd<'_>, rival: Rival, updates: usize) -> Result<(), CompareError> {
    let mut watchers = Watchers::new(herd.addresses(), rival.is_one_shot());
    let begun = Instant::now();
    for number in 0..updates {
        thread::sleep((begun + pace(number)).saturating_duration_since(Instant::now()));
        let server = number % herd.addresses().len();
        watchers.ask(server, &report(&format!("costs-{number}")))?;
    }
    thread::sleep((begun + pace(updates)).saturating_duration_since(Instant::now()));
    Ok(())
}

/// UPDATE lines in the logs: each server has one for each that it got. The herd's have one for each that
/// it sent too, `to NAME UPDATE ...`.
fn update_lines(bench: &Bench, herd: &Herd<'_>) -> Result<usize, CompareError> {
    thread::sleep(bench.scale.log_written);
    let is_received = |line: &&str| line.contains(" UPDATE ") && !line.contains(" INFO  to ");
    let count = |path| Ok(fs::read_to_string(path)?.lines().filter(is_received).count());
    herd.logs().iter().map(count).sum::<io::Result<usize>>().map_err(CompareError::Files)
}

/// Bytes over the loopback meanwhile, headers and acknowledgements too.
fn bytes_while(act: impl FnOnce() -> Result<(), CompareError>) -> Result<f64, CompareError> {
    let before = loopback_bytes().map_err(CompareError::Files)?;
    act()?;
    Ok((loopback_bytes().map_err(CompareError::Files)? - before) as f64)
}

fn loopback_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/net/dev")?;
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("lo:"));
    let bytes = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
    bytes.ok_or_else(|| io::Error::other("/proc/net/dev has no counter of lo"))
}

/// New clients at all servers as fast as they answer; counted are those that all five hold, over the time
/// until they do.
fn sustained(bench: &Bench, rival: Rival) -> Result<Taken, CompareError> {
    let is_one_shot = rival.is_one_shot();
    let herd = Herd::five(rival, &bench.programs, &Setup::of(CONNECTIONS))?;
    warm(&bench.scale, &herd)?;
    wait_for_links(&mut Watchers::new(herd.addresses(), is_one_shot))?;
    let begun = Instant::now();
    let counts = report_new(herd.addresses(), bench.scale.flood_for, is_one_shot)?;
    let accepted_in = begun.elapsed();
    let all: usize = counts.iter().sum();
    // The last of each server, which are the last to arrive as a rule; the count then is of all.
    let last: Vec<String> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(server, count)| client(server, count - 1))
        .collect();
    let limit = bench.scale.equal_within;
    wait_until_all_know(herd.addresses(), &last, is_one_shot, limit)?;
    let equal_in = begun.elapsed();
    let names: Vec<String> = counts
        .iter()
        .enumerate()
        .flat_map(|(server, &count)| (0..count).map(move |number| client(server, number)))
        .collect();
    let lacking = wait_until_all_know(herd.addresses(), &names, is_one_shot, Duration::ZERO)?;
    let lost = lacking.iter().copied().max().unwrap_or(0);
    let mut taken = Taken::clean([
        (RECORDS, (all - lost) as f64 / equal_in.as_secs_f64()),
        ("accepted/s", all as f64 / accepted_in.as_secs_f64()),
        (LOST, lost as f64),
    ]);
    if lost > 0 {
        taken.verdict = Verdict::Marked(format!("{lost} of {all} records are missing somewhere"));
    }
    Ok(taken)
}
