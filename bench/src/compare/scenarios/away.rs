//! A neighbor that is killed under load, and comes back with nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{Plan, Trial, convergence};
use crate::compare::CompareError;
use crate::compare::bench::Bench;
use crate::compare::herd::{Herd, SERVERS, Setup};
use crate::compare::measure::Taken;
use crate::compare::reporters::{report_steadily, wait_until_all_know, wait_until_known};
use crate::compare::rivals::Rival;
use crate::compare::sample::{Samples, Verdict};
use crate::compare::scale::Scale;

pub(super) const NAME: &str = "away";
pub(super) const SETTING: &str = "killed and back";

pub(super) const EQUAL_AFTER: &str = "s until it holds what it missed";
pub(super) const NEVER: &str = "records never repaired";

/// Reports a second, over the servers that stay.
pub(super) const PER_SECOND: f64 = 500.0;

pub(super) fn settings(_: &Scale) -> Vec<String> {
    vec![SETTING.to_string()]
}

pub(super) fn plan(bench: &Bench, _: &Samples) -> Plan {
    bench.each_long_round(NAME, |trials| {
        for rival in bench.rivals(convergence::takers()) {
            trials.push(Trial::new(SETTING, rival.name, move |bench| sample(bench, rival)));
        }
    })
}

fn sample(bench: &Bench, rival: Rival) -> Result<Taken, CompareError> {
    const GONE: usize = SERVERS - 1;
    let is_one_shot = rival.is_one_shot();
    let (away, limit) = (bench.scale.away_for, bench.scale.equal_within);
    let mut herd = Herd::five(rival, &bench.programs, &Setup::of(8))?;
    let addresses = herd.addresses().to_vec();
    let stay: Vec<usize> = (0..GONE).collect();
    let is_over = AtomicBool::new(false);
    let load =
        |is_over: &AtomicBool| report_steadily(&addresses, &stay, PER_SECOND, is_one_shot, is_over);
    // What is reported before it comes back: the first loads are over by then.
    let before = thread::scope(|scope| {
        let loading = scope.spawn(|| load(&is_over));
        thread::sleep(away / 5);
        herd.kill(GONE);
        thread::sleep(away);
        is_over.store(true, Ordering::Relaxed);
        loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    is_over.store(false, Ordering::Relaxed);
    let (lacking, equal_after) = thread::scope(|scope| {
        let loading = scope.spawn(|| load(&is_over));
        let back = herd.start(GONE).and_then(|()| {
            let back = Instant::now();
            let lacking = wait_until_known(&addresses[GONE], &before, is_one_shot, limit)?;
            Ok((lacking.len(), back.elapsed()))
        });
        thread::sleep(away / 5);
        is_over.store(true, Ordering::Relaxed);
        let loaded = loading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        loaded.and(back)
    })?;
    let everywhere = wait_until_all_know(&addresses, &before, is_one_shot, Duration::ZERO)?;
    let never = everywhere.iter().copied().max().unwrap_or(0).max(lacking);
    let mut taken = Taken::clean([(NEVER, never as f64), ("records", before.len() as f64)]);
    if lacking == 0 {
        taken.extend([(EQUAL_AFTER, equal_after.as_secs_f64())]);
    }
    if never > 0 {
        let count = before.len();
        taken.verdict =
            Verdict::Marked(format!("{never} of {count} records never came ({limit:?})"));
    }
    Ok(taken)
}
