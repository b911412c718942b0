//! Latency at a rate that herd and the variant on tokio can both take, from the time that a request was due.

use std::cell::Cell;
use std::rc::Rc;

use super::contender::{Kind, Programs};
use super::scenarios::{CLIENTS, HERD, LOTS, LOTS_ECHO, TOKIO, clean, load};
use super::{Bench, Contender, FiguresError, Scenario, Values};
use crate::echo::Model;
use crate::load::{LATENESS_IS_LIMIT, Load, Outcome, Work, run};

const CONNECTIONS: [(&str, usize); 2] = [("fixed-rate-2000", 2_000), ("fixed-rate-10000", 10_000)];

const KINDS: [(&str, Kind); 2] = [(HERD, Kind::Herd(LOTS)), (TOKIO, Kind::Tokio(LOTS))];

/// At their rate too: what is left of the latency where nothing is done for a request.
const ECHO: (&str, Kind) = (LOTS_ECHO, Kind::Echo(Model::Lots));

/// Percent of the maximum of the slower one.
const PERCENT: u32 = 70;

/// Requests in flight on a connection, at most: what is due beyond waits in the generator, and the wait
/// counts.
const OUTSTANDING: usize = 64;

pub(super) fn scenarios(programs: &Programs) -> impl Iterator<Item = Scenario> {
    CONNECTIONS.into_iter().map(|(name, connections)| {
        let there: Vec<_> = KINDS.into_iter().filter(|(_, kind)| programs.have(*kind)).collect();
        let rate = Rc::default();
        Scenario {
            name,
            about: format!(
                "{connections} connections, IAMAT evenly spaced at {PERCENT} % of what the slower one \
                 of herd and the variant takes in a closed loop (x 1 outstanding, measured once, before \
                 the first round), {CLIENTS} clients. Latency counts from when a request was due. Where \
                 \"late/p99\" is over {LATENESS_IS_LIMIT}, the p99 is the generator's own"
            ),
            reference: programs.have(Kind::Tokio(LOTS)).then_some(TOKIO),
            contenders: there
                .iter()
                .chain(&[ECHO])
                .map(|&of| at_rate(of, &there, connections, &rate))
                .collect(),
        }
    })
}

/// The rate is for all of `there`, and measured by whoever comes first.
fn at_rate(
    (name, kind): (&'static str, Kind),
    there: &[(&'static str, Kind)],
    connections: usize,
    rate: &Rc<Cell<Option<f64>>>,
) -> Contender {
    let (there, rate) = (there.to_vec(), Rc::clone(rate));
    let run = move |bench: &Bench| {
        let due = match rate.get() {
            Some(due) => due,
            None => slowest(bench, &there, connections)? * f64::from(PERCENT) / 100.0,
        };
        rate.set(Some(due));
        let outcome = sample(bench, (name, kind), connections, OUTSTANDING, Some(due))?;
        Ok(values(due, &outcome))
    };
    Contender { name, run: Box::new(run) }
}

/// Replies a second in a closed loop, of the slower one.
fn slowest(
    bench: &Bench,
    there: &[(&'static str, Kind)],
    connections: usize,
) -> Result<f64, FiguresError> {
    let mut slowest = f64::INFINITY;
    for &of in there {
        let maximum = sample(bench, of, connections, 1, None)?.rate;
        eprintln!("at most {maximum:.0} replies/s: {}", of.0);
        slowest = slowest.min(maximum);
    }
    Ok(slowest)
}

fn sample(
    bench: &Bench,
    (name, kind): (&'static str, Kind),
    connections: usize,
    outstanding: usize,
    rate: Option<f64>,
) -> Result<Outcome, FiguresError> {
    let server = kind.start(&bench.programs)?;
    let load = load(bench, &server, Work::Iamat, connections, outstanding);
    clean(name, run(&Load { rate, expects_echo: kind.is_echo(), ..load })?)
}

fn values(due: f64, outcome: &Outcome) -> Values {
    vec![
        ("due/s", due),
        ("replies/s", outcome.rate),
        ("p50 us", outcome.p50_us),
        ("p99 us", outcome.p99_us),
        ("p99.9 us", outcome.p999_us),
        ("server CPU us", outcome.server_cpu_us.unwrap_or(f64::NAN)),
        ("generator late p99 us", outcome.late_p99_us),
        ("late/p99", outcome.late_p99_us / outcome.p99_us),
    ]
}
