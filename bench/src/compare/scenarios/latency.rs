//! Latency at fixed rates, from the time that a request was due.

use super::{Plan, Trial, throughput};
use crate::compare::bench::Bench;
use crate::compare::herd::{Herd, Setup};
use crate::compare::measure::{RATE, load, warm};
use crate::compare::sample::Samples;
use crate::compare::scale::Scale;
use crate::compare::statistics::median_of;
use crate::load::Load;

pub(super) const NAME: &str = "latency";

/// Percent of a maximum.
const PARTS: [u32; 3] = [25, 50, 75];

/// Requests in flight on a connection, at most: what is due beyond waits in the generator, and the wait
/// counts.
const OUTSTANDING: usize = 64;

/// The closed loop that the maxima come from.
const MAXIMUM: &str = "closed loop";

/// Whose maximum a rate is a part of.
#[derive(Clone, Copy)]
enum Of {
    Slowest,
    Own,
}

const OF: [(Of, &str); 2] = [(Of::Slowest, "of the slowest's"), (Of::Own, "of its own")];

fn setting(percent: u32, of: &str) -> String {
    format!("{percent} % {of}")
}

pub(super) fn settings(_: &Scale) -> Vec<String> {
    let all = OF.iter().flat_map(|(_, of)| PARTS.map(|percent| setting(percent, of)));
    all.collect()
}

/// First the maxima of all, then the rates that follow from them.
pub(super) fn plan(bench: &Bench, samples: &Samples) -> Plan {
    let connections = bench.scale.some_connections();
    let maxima = bench.each_round(NAME, |trials| {
        for rival in bench.rivals(throughput::who_serve_all()) {
            trials.push(Trial::new(MAXIMUM, rival.name, move |bench| {
                throughput::one(bench, rival, connections, 1)
            }));
        }
    });
    if !maxima.is_done(samples) {
        return maxima;
    }
    let maximum = |rival| median_of(&samples.gather(NAME, MAXIMUM, rival, RATE).rounds);
    let all: Vec<_> = bench.rivals(throughput::who_serve_all()).collect();
    let slowest = all.iter().filter_map(|rival| maximum(rival.name)).fold(f64::INFINITY, f64::min);
    bench.each_round(NAME, |trials| {
        for &rival in &all {
            let Some(own) = maximum(rival.name) else { continue };
            for (of, words) in OF {
                let whole = if matches!(of, Of::Own) { own } else { slowest };
                for percent in PARTS.into_iter().filter(|_| whole.is_finite()) {
                    let rate = whole * f64::from(percent) / 100.0;
                    trials.push(Trial::new(&setting(percent, words), rival.name, move |bench| {
                        let setup = Setup::of(connections);
                        let herd = Herd::lone(rival, &bench.programs, &setup)?;
                        warm(&bench.scale, &herd)?;
                        let load = load(&bench.scale, &herd, connections, OUTSTANDING);
                        let load = Load { rate: Some(rate), ..load };
                        let mut taken = throughput::measured(&load)?;
                        taken.extend([("due/s", rate)]);
                        Ok(taken)
                    }));
                }
            }
        }
    })
}
