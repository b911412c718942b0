//! How many requests a second, and at what cost, over more and more connections.

use super::{Plan, Trial};
use crate::compare::CompareError;
use crate::compare::bench::Bench;
use crate::compare::herd::{Herd, Setup};
use crate::compare::measure::{Taken, load, load_on, warm};
use crate::compare::rivals::{ALL, LOTS_PLAIN, Rival};
use crate::compare::sample::Samples;
use crate::compare::scale::Scale;
use crate::echo::Model;
use crate::launch::{self, LaunchError, Running};
use crate::load::{Load, Work, run};

pub(super) const FEW: &str = "throughput";
pub(super) const PIPELINED: &str = "pipelined";
pub(super) const ONE_SHOT: &str = "one-shot";

/// Outstanding requests a connection, where they are pipelined, and how many connections.
pub(super) const DEPTH: usize = 64;
pub(super) const PIPELINES: usize = 16;

/// Connections at a time where each is for one request.
const AT_A_TIME: usize = 16;

pub(super) const ECHO: &str = "echo";
const REDIS_SET: &str = "Redis SET";
const REDIS_GEOADD: &str = "Redis GEOADD";
const MEMCACHED: &str = "memcached set";

/// Who is no herd, but gives the figures a frame.
pub(super) const REFERENCES: &[&str] = &[ECHO, REDIS_SET, REDIS_GEOADD, MEMCACHED];

pub(super) fn setting(connections: usize) -> String {
    format!("{connections} x 1")
}

pub(super) fn settings(scale: &Scale) -> Vec<String> {
    scale.connections.iter().map(|&connections| setting(connections)).collect()
}

pub(super) fn plan(bench: &Bench, _: &Samples) -> Plan {
    let connections = &bench.scale.connections;
    bench.each_round(FEW, |trials| {
        for &connections in *connections {
            add(bench, trials, &setting(connections), connections, 1);
        }
    })
}

pub(super) fn pipelined_settings(_: &Scale) -> Vec<String> {
    vec![format!("{PIPELINES} x {DEPTH}")]
}

pub(super) fn plan_pipelined(bench: &Bench, _: &Samples) -> Plan {
    bench.each_round(PIPELINED, |trials| {
        add(bench, trials, &format!("{PIPELINES} x {DEPTH}"), PIPELINES, DEPTH);
    })
}

fn add(
    bench: &Bench,
    trials: &mut Vec<Trial>,
    setting: &str,
    connections: usize,
    outstanding: usize,
) {
    for rival in bench.rivals(takers()) {
        trials.push(Trial::new(setting, rival.name, move |bench| {
            one(bench, rival, connections, outstanding)
        }));
    }
    for reference in bench.references(REFERENCES) {
        trials.push(Trial::new(setting, reference, move |bench| {
            self::reference(bench, reference, connections, outstanding)
        }));
    }
}

/// Those with connections that stay; flooding is no part of it.
pub(super) fn takers() -> impl Iterator<Item = Rival> {
    ALL.iter().copied().filter(|rival| !rival.is_one_shot() && *rival != LOTS_PLAIN)
}

/// Those of them that serve every connection; what the others do with many shows in the throughput.
pub(super) fn who_serve_all() -> impl Iterator<Item = Rival> {
    takers().filter(|rival| !rival.is_starving())
}

/// One rival with so many connections.
pub(super) fn one(
    bench: &Bench,
    rival: Rival,
    connections: usize,
    outstanding: usize,
) -> Result<Taken, CompareError> {
    let herd = Herd::lone(rival, &bench.programs, &Setup::of(connections))?;
    warm(&bench.scale, &herd)?;
    measured(&load(&bench.scale, &herd, connections, outstanding))
}

/// What has no conf of the herd's, given the same bytes or the same work.
pub(super) fn reference(
    bench: &Bench,
    reference: &str,
    connections: usize,
    outstanding: usize,
) -> Result<Taken, CompareError> {
    let (server, work) = start(reference)?;
    let (address, pid) = (&server.address, Some(server.pid()));
    let load = load_on(&bench.scale, address, pid, connections, outstanding);
    measured(&Load { work, expects_echo: reference == ECHO, ..load })
}

fn start(reference: &str) -> Result<(Running, Work), LaunchError> {
    match reference {
        ECHO => Ok((launch::echo(Model::Tokio)?, Work::Iamat)),
        REDIS_SET => Ok((launch::redis()?, Work::Set)),
        REDIS_GEOADD => Ok((launch::redis()?, Work::Geoadd)),
        _ => Ok((launch::memcached()?, Work::MemcachedSet)),
    }
}

pub(super) fn measured(load: &Load) -> Result<Taken, CompareError> {
    Ok(Taken::of(load, &run(load)?, "IAMAT"))
}

pub(super) fn one_shot_settings(_: &Scale) -> Vec<String> {
    vec![format!("{AT_A_TIME} at a time")]
}

/// Everybody as the report's own server is: a connection for each command.
pub(super) fn plan_one_shot(bench: &Bench, _: &Samples) -> Plan {
    bench.each_round(ONE_SHOT, |trials| {
        for rival in bench.rivals(ALL.iter().copied().filter(|rival| *rival != LOTS_PLAIN)) {
            trials.push(Trial::new(&format!("{AT_A_TIME} at a time"), rival.name, move |bench| {
                let setup = Setup { commands_per_connection: Some(1), ..Setup::of(4 * AT_A_TIME) };
                let herd = Herd::lone(rival, &bench.programs, &setup)?;
                let mut load = load(&bench.scale, &herd, AT_A_TIME, 1);
                // Of these there are few a second.
                load.warm_up += 2 * herd.compiling(&bench.scale);
                measured(&Load { one_shot: true, ..load })
            }));
        }
    })
}
