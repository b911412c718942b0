//! A herd whose servers are all loaded, on the cores that one server has to itself otherwise: how much of
//! that one's work is left when every record has to be at all five.

use std::time::{Duration, Instant};

use super::contender::Shape;
use super::scenarios::{WARM_UP, load};
use super::whole_herd::{run_at_once, statuses, until_equal, until_linked};
use super::{Bench, Contender, FiguresError, Scenario, Values};
use crate::launch::Running;
use crate::load::{Load, Work};
use crate::process::CpuTime;

const SERVERS: usize = 5;

/// To each server.
const CONNECTIONS: usize = 16;

/// On each connection.
const OUTSTANDING: usize = 64;

/// A fifth, since each record is work for all five: so many would reach them all if it cost as much to learn one
/// from a neighbor as from a client, and nothing to tell it.
const COMPARED: &str = "records/s (of one server: a fifth)";

pub(super) fn scenario() -> Scenario {
    const ONE: &str = "one server";
    let contender = |name, servers, shape| Contender {
        name,
        run: Box::new(move |bench: &Bench| {
            sample(bench, name, &bench.programs.herds(servers, shape)?)
        }),
    };
    Scenario {
        name: "loaded-herd",
        about: format!(
            "five servers in a ring, all loaded at once, and one server alone on the same cores: to each \
             server {CONNECTIONS} connections x {OUTSTANDING} outstanding IAMAT of ever new clients, from \
             a generator thread of its own; herd, lots, traffic log. Counted are distinct records that \
             every server holds, from before the first request until all digests are equal. What the five \
             take so is compared with a fifth of what the one takes"
        ),
        reference: Some(ONE),
        contenders: vec![
            contender(ONE, 1, Shape::Line),
            contender("five servers", SERVERS, Shape::Ring),
        ],
    }
}

fn sample(
    bench: &Bench,
    contender: &'static str,
    herd: &[Running],
) -> Result<Values, FiguresError> {
    until_linked(herd)?;
    run_at_once(contender, &loads(bench, herd, WARM_UP, 0))?;
    let before = until_equal(herd)?[0].records;
    let cpu_before = cpu_times(herd)?;
    let begun = Instant::now();
    let outcomes = run_at_once(contender, &loads(bench, herd, bench.seconds, 1))?;
    let loaded = statuses(herd)?;
    let records = until_equal(herd)?[0].records - before;
    let took = begun.elapsed();
    let cpu = cpu_times(herd)?.into_iter().zip(cpu_before).map(|(now, before)| now.since(before));
    let cpu: Duration = cpu.sum();
    let fewest = loaded.iter().map(|status| status.records - before).min().unwrap_or(0);
    let records = records as f64;
    let mut values = vec![
        (COMPARED, records / took.as_secs_f64() / (SERVERS / herd.len()) as f64),
        ("replies/s", outcomes.iter().map(|outcome| outcome.rate).sum()),
        ("server CPU us/record", cpu.as_secs_f64() * 1e6 / records),
        ("generator cores", outcomes.iter().map(|outcome| outcome.generator_cores).sum()),
        ("least part held at the load's end", fewest as f64 / records),
    ];
    let links = || loaded.iter().flat_map(|status| &status.links);
    if let Some(longest) = links().map(|link| link.outbox).max() {
        let lag = links().map(|link| link.lag.as_secs_f64()).fold(0.0, f64::max);
        values.extend([("longest outbox then", longest as f64), ("lag ms", lag * 1e3)]);
    }
    Ok(values)
}

/// Each draws its clients from a seed of its own, and so does each time, or the same clients would come
/// again. From so many hardly one is drawn twice.
fn loads(bench: &Bench, herd: &[Running], duration: Duration, time: u64) -> Vec<Load> {
    let seeds = bench.seed + time * SERVERS as u64..;
    herd.iter()
        .zip(seeds)
        .map(|(server, seed)| Load {
            clients: u32::MAX,
            duration,
            warm_up: Duration::ZERO,
            seed,
            ..load(bench, server, Work::Iamat, CONNECTIONS, OUTSTANDING)
        })
        .collect()
}

fn cpu_times(herd: &[Running]) -> std::io::Result<Vec<CpuTime>> {
    herd.iter().map(|server| server.pid().cpu_time()).collect()
}
