//! Everything, the generator too, on one core, and on two.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::{Plan, Trial, throughput};
use crate::compare::CompareError;
use crate::compare::bench::Bench;
use crate::compare::sample::Samples;
use crate::compare::scale::Scale;

pub(super) const NAME: &str = "cores";

const CORES: [(usize, &str); 2] = [(1, "one core"), (2, "two cores")];

/// Connections, and outstanding requests on each.
fn loads(scale: &Scale) -> [(usize, usize); 2] {
    [(scale.some_connections(), 1), (throughput::PIPELINES, throughput::DEPTH)]
}

fn setting((connections, outstanding): (usize, usize), cores: &str) -> String {
    format!("{connections} x {outstanding} on {cores}")
}

/// The same load on one core. `None` of what is on one itself.
pub(super) fn with_one(of: &str) -> Option<String> {
    let [(_, one), (_, two)] = CORES;
    Some(format!("{}{one}", of.strip_suffix(two)?))
}

pub(super) fn settings(scale: &Scale) -> Vec<String> {
    loads(scale).iter().flat_map(|&load| CORES.map(|(_, words)| setting(load, words))).collect()
}

pub(super) fn plan(bench: &Bench, _: &Samples) -> Plan {
    bench.each_round(NAME, |trials| {
        for load in loads(&bench.scale) {
            for (cores, words) in CORES {
                add(bench, trials, &setting(load, words), load, cores);
            }
        }
    })
}

fn add(
    bench: &Bench,
    trials: &mut Vec<Trial>,
    setting: &str,
    (connections, outstanding): (usize, usize),
    cores: usize,
) {
    for rival in bench.rivals(throughput::who_serve_all()) {
        trials.push(Trial::new(setting, rival.name, move |bench| {
            on(cores, || throughput::one(bench, rival, connections, outstanding))
        }));
    }
    for reference in bench.references(&[throughput::ECHO]) {
        trials.push(Trial::new(setting, reference, move |bench| {
            on(cores, || throughput::reference(bench, reference, connections, outstanding))
        }));
    }
}

/// Runs on so many of the cores that this thread may use, with all that is started meanwhile.
fn on<T>(cores: usize, act: impl FnOnce() -> Result<T, CompareError>) -> Result<T, CompareError> {
    let failed = |error: rustix::io::Errno| CompareError::Files(error.into());
    let all = sched_getaffinity(None).map_err(failed)?;
    let mut few = CpuSet::new();
    (0..CpuSet::MAX_CPU)
        .filter(|&core| all.is_set(core))
        .take(cores)
        .for_each(|core| few.set(core));
    if few.count() < cores as u32 {
        return Err(CompareError::TooFewCores { wanted: cores, there: few.count() as usize });
    }
    sched_setaffinity(None, &few).map_err(failed)?;
    let done = act();
    sched_setaffinity(None, &all).map_err(failed)?;
    done
}
