//! A herd of which one server is frozen: what the others notice, and how long it takes to catch up.

use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::contender::Shape;
use super::scenarios::load;
use super::whole_herd::{run_at_once, until_equal};
use super::{Bench, Contender, FiguresError, Scenario, Values};
use crate::launch::Running;
use crate::load::{Load, Outcome, Work};

const SERVERS: usize = 5;

/// How long the load lasts, and the fifth server is frozen.
const LASTS: Duration = Duration::from_secs(30);

/// Reports a second to each of the four others: together some half of what five servers on two cores can
/// take, since a frozen one leaves its share of the processor to the others.
const RATE: f64 = 5_000.0;

pub(super) fn scenario() -> Scenario {
    const ALL_RUN: &str = "all run";
    let contender =
        |name, is_frozen| Contender { name, run: Box::new(move |bench| sample(bench, is_frozen)) };
    Scenario {
        name: "frozen",
        about: format!(
            "five servers in a ring, {RATE} reports/s to each of four for {} s, 100,000 clients; the \
             fifth frozen (SIGSTOP) or not, then until all five digests are equal",
            LASTS.as_secs()
        ),
        reference: Some(ALL_RUN),
        contenders: vec![contender(ALL_RUN, false), contender("the fifth is frozen", true)],
    }
}

fn sample(bench: &Bench, is_frozen: bool) -> Result<Values, FiguresError> {
    let herd = bench.programs.herds(SERVERS, Shape::Ring)?;
    // Only once all links are up, and all are as warm as they get.
    loaded(bench, &herd, Duration::from_secs(2))?;
    until_equal(&herd)?;
    let fifth = Frozen::new(&herd[SERVERS - 1], is_frozen)?;
    let outcomes = loaded(bench, &herd, LASTS)?;
    drop(fifth);
    let returned = Instant::now();
    until_equal(&herd)?;
    let equal = returned.elapsed();
    let most = |value: fn(&Outcome) -> f64| outcomes.iter().map(value).fold(0.0, f64::max);
    let mut resident = 0;
    for server in &herd[..SERVERS - 1] {
        resident = resident.max(server.pid().resident_bytes()?);
    }
    Ok(vec![
        ("replies/s of four", outcomes.iter().map(|outcome| outcome.rate).sum()),
        ("worst p99 us", most(|outcome| outcome.p99_us)),
        ("server CPU us", most(|outcome| outcome.server_cpu_us.unwrap_or(f64::NAN))),
        ("largest MiB", resident as f64 / 1_048_576.0),
        ("equal after s", equal.as_secs_f64()),
    ])
}

/// Puts the load on the first four.
fn loaded(
    bench: &Bench,
    herd: &[Running],
    duration: Duration,
) -> Result<Vec<Outcome>, FiguresError> {
    let loads: Vec<Load> = herd[..SERVERS - 1]
        .iter()
        .enumerate()
        .map(|(at, server)| Load {
            rate: Some(RATE),
            duration,
            seed: bench.seed + at as u64,
            ..load(bench, server, Work::Iamat, 16, 16)
        })
        .collect();
    run_at_once("herd, lots", &loads)
}

/// A server that is frozen until this is dropped.
struct Frozen(Option<rustix::process::Pid>);

impl Frozen {
    fn new(server: &Running, is_frozen: bool) -> Result<Self, FiguresError> {
        let pid = rustix::process::Pid::from_raw(server.pid().0 as i32);
        let Some(pid) = pid.filter(|_| is_frozen) else { return Ok(Self(None)) };
        kill_process(pid, Signal::STOP).map_err(std::io::Error::from)?;
        Ok(Self(Some(pid)))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It is there: its process is waited for later.
            let _ = kill_process(pid, Signal::CONT);
        }
    }
}
