//! What a places service that takes its time does to those who do not ask it.

use std::time::Duration;

use super::{Plan, Trial, throughput};
use crate::compare::CompareError;
use crate::compare::bench::Bench;
use crate::compare::herd::{Herd, Setup};
use crate::compare::measure::{Taken, compile, load, warm};
use crate::compare::rivals::Rival;
use crate::compare::sample::{Samples, Verdict};
use crate::compare::scale::Scale;
use crate::launch;
use crate::load::{Load, LoadError, Outcome, Work, run};
use crate::places::set_delay;

pub(super) const NAME: &str = "slow-places";

pub(super) const WHATSAT_P50: &str = "WHATSAT p50 us";
pub(super) const WITHOUT_PLACES: &str = "WHATSAT without places";

/// Requests a second, in all, of which a tenth is WHATSAT.
pub(super) const PER_SECOND: f64 = 4_000.0;
const WHATSAT_PART: f64 = 0.1;

/// Connections of those who report, and of those who ask: enough that answers of 2 s fit the rate.
const REPORTERS: usize = 64;
const ASKERS: usize = 1_024;

/// How the reports come.
const LOOPS: [(&str, bool); 2] = [("fixed rate", true), (CLOSED_LOOP, false)];
const CLOSED_LOOP: &str = "closed loop";

fn setting(delay: &str, how: &str) -> String {
    format!("{delay}; {how}")
}

/// Where there is no rate that everybody is given.
pub(super) fn is_closed_loop(setting: &str) -> bool {
    setting.ends_with(CLOSED_LOOP)
}

pub(super) fn settings(scale: &Scale) -> Vec<String> {
    let delays = |how| scale.delays.iter().map(move |(_, delay)| setting(delay, how));
    LOOPS.iter().flat_map(|&(how, _)| delays(how)).collect()
}

pub(super) fn plan(bench: &Bench, _: &Samples) -> Plan {
    bench.each_long_round(NAME, |trials| {
        for rival in bench.rivals(throughput::takers()) {
            for &(delay, words) in bench.scale.delays {
                for (how, is_fixed) in LOOPS {
                    trials.push(Trial::new(&setting(words, how), rival.name, move |bench| {
                        sample(bench, rival, delay, is_fixed)
                    }));
                }
            }
        }
    })
}

/// Two generators at once: those who ask, at a fixed rate, and those who report.
fn sample(
    bench: &Bench,
    rival: Rival,
    delay: Duration,
    is_fixed: bool,
) -> Result<Taken, CompareError> {
    let is_toy = bench.scale.clients < 10_000;
    let (askers, per_second) = if is_toy { (64, 200.0) } else { (ASKERS, PER_SECOND) };
    let places = launch::places(delay)?;
    let setup = Setup {
        places: Some(format!("http://{}", places.address)),
        ..Setup::of(REPORTERS + askers)
    };
    let herd = Herd::lone(rival, &bench.programs, &setup)?;
    warm(&bench.scale, &herd)?;
    let reports = Load {
        rate: is_fixed.then_some(per_second * (1.0 - WHATSAT_PART)),
        ..load(&bench.scale, &herd, REPORTERS, 1)
    };
    let questions = Load {
        rate: Some(per_second * WHATSAT_PART),
        work: Work::Whatsat,
        connections: askers,
        clients: 1_000,
        // The slowest answers to the last questions.
        last_replies: Duration::from_secs(15),
        pid: None,
        ..reports.clone()
    };
    // Look-ups are code too, and open the connections to the service. With slow answers there would be too few
    // of them.
    set_delay(&places.address, Duration::ZERO).map_err(CompareError::Files)?;
    compile(&bench.scale, &herd, questions.clone())?;
    set_delay(&places.address, delay).map_err(CompareError::Files)?;
    let (reports_outcome, questions_outcome) = both(&reports, &questions)?;
    let mut taken = Taken::of(&reports, &reports_outcome, "IAMAT");
    taken.extend([
        (WHATSAT_P50, questions_outcome.p50_us),
        ("WHATSAT p99 us", questions_outcome.p99_us),
        (WITHOUT_PLACES, questions_outcome.without_places as f64),
    ]);
    if let Some(fault) = questions_outcome.fault() {
        taken.and(Verdict::Marked(format!("WHATSAT: {fault}")));
    }
    Ok(taken)
}

fn both(reports: &Load, questions: &Load) -> Result<(Outcome, Outcome), LoadError> {
    // Who asks reports the clients first; the load is put on together after that.
    crate::load::report_all(questions)?;
    let questions = Load { are_known: true, ..questions.clone() };
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| run(&questions));
        let reported = run(reports);
        let asked = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((reported?, asked?))
    })
}
