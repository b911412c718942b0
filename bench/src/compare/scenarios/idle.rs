//! What connections cost that say nothing.

use super::{Plan, Trial, throughput};
use crate::compare::CompareError;
use crate::compare::bench::Bench;
use crate::compare::herd::{Herd, Setup};
use crate::compare::measure::{P99, RATE, Taken, load, warm};
use crate::compare::rivals::Rival;
use crate::compare::sample::Samples;
use crate::compare::scale::Scale;
use crate::load::{Load, Memory, hold_idle};

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
    bench.each_long_round(NAME, |trials| {
        for rival in bench.rivals(throughput::takers()) {
            for &idle in bench.scale.idle {
                trials.push(Trial::new(&setting(idle), rival.name, move |bench| {
                    sample(bench, rival, idle)
                }));
            }
        }
    })
}

/// Servers with the idle connections, and with what the rival holds ready for them (threads, for instance),
/// and servers without. Memory is read before there is any load: garbage that a collector has not looked
/// for yet would hide a thousand connections.
fn sample(bench: &Bench, rival: Rival, idle: usize) -> Result<Taken, CompareError> {
    let (before, after) = (memory(bench, rival, 1)?, memory(bench, rival, idle + 1)?);
    let alone = with(bench, rival, 0)?;
    let mut taken = with(bench, rival, idle)?;
    let grown = |before: u64, after: u64| after.saturating_sub(before) as f64 / idle as f64;
    let of = |taken: &Taken, name: &str| taken.values.get(name).copied().unwrap_or(f64::NAN);
    taken.extend([
        (RESIDENT, grown(before.resident, after.resident)),
        (KERNEL, grown(before.kernel, after.kernel)),
        (RATE_KEPT, of(&taken, RATE) / of(&alone, RATE)),
        (P99_GROWN, of(&taken, P99) / of(&alone, P99)),
    ]);
    taken.and(alone.verdict);
    Ok(taken)
}

/// Of a server that was started for so many idle connections, with them.
fn memory(bench: &Bench, rival: Rival, idle: usize) -> Result<Memory, CompareError> {
    let herd = Herd::lone(rival, &bench.programs, &Setup::of(ACTIVE + idle))?;
    let (_connections, [_, memory]) =
        hold_idle(&Load { idle, ..load(&bench.scale, &herd, ACTIVE, 1) })?;
    memory.ok_or(CompareError::NoMemory)
}

fn with(bench: &Bench, rival: Rival, idle: usize) -> Result<Taken, CompareError> {
    let herd = Herd::lone(rival, &bench.programs, &Setup::of(ACTIVE + idle))?;
    warm(&bench.scale, &herd)?;
    throughput::measured(&Load { idle, ..load(&bench.scale, &herd, ACTIVE, 1) })
}
