//! What one sample says: values by name, histograms, and whether they can be used.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::CompareError;
use super::herd::Herd;
use super::sample::Verdict;
use super::scale::Scale;
use crate::load::{LAST_REPLIES, LATENESS_IS_LIMIT, Load, LoadError, Outcome, Work, run};
use crate::process::Pid;

pub(super) const RATE: &str = "requests/s";
pub(super) const CPU: &str = "server CPU us/request";
pub(super) const P50: &str = "p50 us";
pub(super) const P99: &str = "p99 us";
pub(super) const P999: &str = "p99.9 us";

/// Part of its threads' time from which on the generator was the limit of a closed loop. At a fixed rate a
/// busy generator is none as long as it keeps its schedule.
const GENERATOR_IS_LIMIT: f64 = 0.95;

/// What was measured in one run.
pub(super) struct Taken {
    pub(super) values: BTreeMap<String, f64>,
    pub(super) verdict: Verdict,
    /// Whose latencies they are, and in which time they were taken.
    pub(super) histograms: Vec<(&'static str, Histogram<u64>, Duration)>,
}

impl Taken {
    pub(super) fn clean(values: impl IntoIterator<Item = (&'static str, f64)>) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        Self { values, verdict: Verdict::Clean, histograms: Vec::new() }
    }

    /// What the generator saw, with its own CPU time and lateness.
    pub(super) fn of(load: &Load, outcome: &Outcome, of: &'static str) -> Self {
        let mut taken = Self::clean([
            (RATE, outcome.rate),
            ("generator cores", outcome.generator_cores),
            ("fewest/most replies a connection", outcome.evenness()),
        ]);
        // Without any reply there is no latency.
        if !outcome.latency.is_empty() {
            taken.extend([
                (P50, outcome.p50_us),
                ("p90 us", outcome.p90_us),
                (P99, outcome.p99_us),
                (P999, outcome.p999_us),
            ]);
        }
        taken.extend(outcome.server_cpu_us.map(|cpu| (CPU, cpu)));
        if load.rate.is_some() {
            taken.extend([("generator late p99 us", outcome.late_p99_us)]);
        }
        taken.verdict = judge(load, outcome);
        taken.histograms.push((of, outcome.latency.clone(), load.duration));
        taken
    }

    /// The rival could not do it at all.
    pub(super) fn failed(error: &CompareError) -> Self {
        let verdict = Verdict::Failed(error.to_string());
        Self { values: BTreeMap::new(), verdict, histograms: Vec::new() }
    }

    pub(super) fn extend(&mut self, values: impl IntoIterator<Item = (&'static str, f64)>) {
        self.values.extend(values.into_iter().map(|(name, value)| (name.to_string(), value)));
    }

    /// What else was found counts if nothing was before.
    pub(super) fn and(&mut self, verdict: Verdict) {
        if self.verdict == Verdict::Clean {
            self.verdict = verdict;
        }
    }
}

/// Wrong replies mark a sample, whatever the generator did.
fn judge(load: &Load, outcome: &Outcome) -> Verdict {
    if let Some(fault) = outcome.fault() {
        return Verdict::Marked(fault);
    }
    let cores = outcome.generator_cores;
    if load.rate.is_none() && cores >= GENERATOR_IS_LIMIT * load.threads as f64 {
        return Verdict::ThrownOut(format!("the generator was the limit: {cores:.2} cores"));
    }
    if load.rate.is_some() && outcome.late_p99_us > LATENESS_IS_LIMIT * outcome.p99_us {
        let (late, p99) = (outcome.late_p99_us, outcome.p99_us);
        let what = format!("the generator itself was late: p99 {late:.0} us of {p99:.0} us");
        return Verdict::ThrownOut(what);
    }
    Verdict::Clean
}

/// Gives each server what [`Herd::compiling`] says, pipelined.
pub(super) fn warm(scale: &Scale, herd: &Herd<'_>) -> Result<(), LoadError> {
    for address in herd.addresses() {
        compile(scale, herd, load_on(scale, address, None, 16, 64))?;
    }
    Ok(())
}

/// Gives a load for as long as [`Herd::compiling`] says, as fast as it goes.
pub(super) fn compile(scale: &Scale, herd: &Herd<'_>, load: Load) -> Result<(), LoadError> {
    let duration = herd.compiling(scale);
    if duration.is_zero() {
        return Ok(());
    }
    run(&Load { rate: None, warm_up: Duration::ZERO, duration, ..load }).map(drop)
}

/// IAMAT in a closed loop on the first server of a herd.
pub(super) fn load(scale: &Scale, herd: &Herd<'_>, connections: usize, outstanding: usize) -> Load {
    let load = load_on(scale, herd.address(0), herd.pid(), connections, outstanding);
    // The code that pipelined requests run through is not all of it.
    Load { warm_up: load.warm_up + herd.compiling(scale) / 2, ..load }
}

/// The same on an address.
pub(super) fn load_on(
    scale: &Scale,
    address: &str,
    pid: Option<Pid>,
    connections: usize,
    outstanding: usize,
) -> Load {
    Load {
        address: address.to_string(),
        connections,
        outstanding,
        idle: 0,
        duration: scale.seconds,
        warm_up: scale.warm_up,
        last_replies: LAST_REPLIES,
        rate: None,
        work: Work::Iamat,
        one_shot: false,
        expects_echo: false,
        clients: scale.clients,
        are_known: false,
        pid,
        threads: 1,
        seed: fastrand::u64(..),
    }
}
