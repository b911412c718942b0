//! What connections cost that say nothing.

use super::{Plan, Trial, throughput};
use crate::compare::CompareError;
use crate::compare::bench::Bench;
use crate::compare::herd::{Herd, Setup};
use crate::compare::measure::{P99, RATE, Taken, judge, load, warm};
use crate::compare::rivals::Rival;
use crate::compare::sample::Samples;
use crate::compare::scale::Scale;
use crate::load::{Load, Memory, run};

pub(super) const NAME: &str = "idle";

pub(super) const RESIDENT: &str = "resident B/idle connection";
pub(super) const KERNEL: &str = "kernel B/idle connection";
pub(super) const RATE_KEPT: &str = "throughput beside them / alone";
pub(super) const P99_GROWN: &str = "p99 beside them / alone";

/// Connections that are active.
const ACTIVE: usize = 16;

fn setting(idle: usize) -> String {
    format!("{idle} idle")
}

pub(super) fn settings(scale: &Scale) -> Vec<String> {
    scale.idle.iter().map(|&idle| setting(idle)).collect()
}

pub(super) fn plan(bench: &Bench, _: &Samples) -> Plan {
    bench.each_round(NAME, |trials| {
        for rival in bench.rivals(throughput::takers()) {
            for &idle in bench.scale.idle {
                trials.push(Trial::new(&setting(idle), rival.name, move |bench| {
                    sample(bench, rival, idle)
                }));
            }
        }
    })
}

/// Two servers, one after the other: one without, and one with the idle connections and what the
/// rival holds ready for them, threads for instance.
fn sample(bench: &Bench, rival: Rival, idle: usize) -> Result<Taken, CompareError> {
    let alone = with(bench, rival, 0)?;
    let mut taken = with(bench, rival, idle)?;
    let grown = |before: u64, after: u64| after.saturating_sub(before) as f64 / idle as f64;
    let (before, after) = (alone.memory, taken.memory);
    let of =
        |taken: &Measured, name: &str| taken.taken.values.get(name).copied().unwrap_or(f64::NAN);
    let values = [
        (RESIDENT, grown(before.resident, after.resident)),
        (KERNEL, grown(before.kernel, after.kernel)),
        (RATE_KEPT, of(&taken, RATE) / of(&alone, RATE)),
        (P99_GROWN, of(&taken, P99) / of(&alone, P99)),
    ];
    taken.taken.extend(values);
    taken.taken.and(alone.taken.verdict);
    Ok(taken.taken)
}

struct Measured {
    taken: Taken,
    /// When all are connected.
    memory: Memory,
}

fn with(bench: &Bench, rival: Rival, idle: usize) -> Result<Measured, CompareError> {
    let herd = Herd::lone(rival, &bench.programs, &Setup::of(ACTIVE + idle))?;
    warm(&bench.scale, &herd)?;
    let load = Load { idle, ..load(&bench.scale, &herd, ACTIVE, 1) };
    let outcome = run(&load)?;
    let memory = outcome.memory_after_idle.ok_or(CompareError::NoMemory)?;
    let mut taken = Taken::of(&load, &outcome, "IAMAT");
    taken.and(judge(&load, &outcome));
    Ok(Measured { taken, memory })
}
