//! What a record takes.

use super::{Plan, Trial, throughput};
use crate::compare::CompareError;
use crate::compare::bench::Bench;
use crate::compare::herd::{Herd, Setup};
use crate::compare::measure::{Taken, load};
use crate::compare::rivals::Rival;
use crate::compare::sample::Samples;
use crate::compare::scale::Scale;
use crate::load::{Load, report_all};
use crate::process::Pid;

pub(super) const NAME: &str = "memory";
pub(super) const RESIDENT: &str = "resident B/record";

fn setting(scale: &Scale) -> String {
    format!("{} records", scale.records)
}

pub(super) fn settings(scale: &Scale) -> Vec<String> {
    vec![setting(scale)]
}

pub(super) fn plan(bench: &Bench, _: &Samples) -> Plan {
    let setting = setting(&bench.scale);
    bench.each_long_round(NAME, |trials| {
        for rival in bench.rivals(throughput::takers()) {
            trials.push(Trial::new(&setting, rival.name, move |bench| sample(bench, rival)));
        }
    })
}

/// A client of 20 bytes, a location of 22, a time of 20; each is reported once, without a traffic log.
fn sample(bench: &Bench, rival: Rival) -> Result<Taken, CompareError> {
    let setup = Setup { has_log: false, ..Setup::of(1) };
    let herd = Herd::lone(rival, &bench.programs, &setup)?;
    let before = resident(herd.pid())?;
    report_all(&Load { clients: bench.scale.records, ..load(&bench.scale, &herd, 1, 1) })?;
    let grown = resident(herd.pid())?.saturating_sub(before) as f64;
    Ok(Taken::clean([(RESIDENT, grown / f64::from(bench.scale.records))]))
}

fn resident(pid: Option<Pid>) -> Result<u64, CompareError> {
    pid.ok_or(CompareError::NoMemory)?.resident_bytes().map_err(CompareError::Files)
}
