//! How soon a server knows what another one was told, with nothing else to do.

use std::time::{Duration, Instant};

use herd::client::Client;
use herd::protocol::Kilometers;

use super::contender::Shape;
use super::relays::Relays;
use super::scenarios::HERD;
use super::{Bench, Contender, FiguresError, Scenario, Values};
use crate::spread::quantile;

const SERVERS: usize = 5;

/// Of a round.
const SAMPLES: usize = 300;

/// Hops between two servers of a ring of five that are no neighbors.
const HOPS: usize = 2;

/// Longest wait for one update.
const LIMIT: Duration = Duration::from_secs(10);

const LOCATION: &str = "+34.068930-118.445127";

/// From before the IAMAT is sent at one end until the other end knows, which is asked in a loop.
pub(super) fn line() -> Scenario {
    let run = |bench: &Bench| through_herd(bench, Shape::Line, SERVERS - 1);
    Scenario {
        name: "line",
        about: format!(
            "five servers in a line, idle: one IAMAT at one end until the other end answers \
             WHATSAT with it; {SAMPLES} samples a round"
        ),
        reference: None,
        contenders: vec![Contender { name: HERD, run: Box::new(run) }],
    }
}

/// The same in a ring, beside what the hops take without a herd.
pub(super) fn convergence() -> Scenario {
    const PLAIN: &str = "two plain hops";
    let herd = |bench: &Bench| through_herd(bench, Shape::Ring, HOPS);
    Scenario {
        name: "convergence",
        about: format!(
            "five servers in a ring, idle: from before one IAMAT is sent until a server two hops away, \
             asked in a loop, answers WHATSAT with it (the IAMAT's own reply is waited for first); \
             plain: from before a line as long as the UPDATE is written until the far end of two TCP \
             connections over the loopback, asked in a loop too, answers with it, each connection read \
             by a thread that blocks; {SAMPLES} samples a round"
        ),
        reference: Some(PLAIN),
        contenders: vec![
            Contender { name: HERD, run: Box::new(herd) },
            Contender { name: PLAIN, run: Box::new(|_| through_relays()) },
        ],
    }
}

/// From the first of five servers to the one at `far`.
fn through_herd(bench: &Bench, shape: Shape, far: usize) -> Result<Values, FiguresError> {
    let servers = bench.programs.herds(SERVERS, shape)?;
    let mut near = Client::connect(&servers[0].address, LIMIT)?;
    let mut far = Client::connect(&servers[far].address, LIMIT)?;
    // Only once all links are up.
    time_to_cross(&mut near, &mut far, "warm-up")?;
    quantiles(|client| time_to_cross(&mut near, &mut far, client))
}

fn through_relays() -> Result<Values, FiguresError> {
    let mut relays = Relays::start(HOPS)?;
    quantiles(|client| {
        let update =
            format!("UPDATE {client} S0 1479413884.392014450 {LOCATION} +0.000012345 S1\n");
        Ok(relays.time_to_cross(&update, &format!("WHATSAT {client} 0 0\n"))?)
    })
}

/// Of the times that ever new clients take.
fn quantiles(
    mut time: impl FnMut(&str) -> Result<Duration, FiguresError>,
) -> Result<Values, FiguresError> {
    let mut times = Vec::new();
    for sample in 0..SAMPLES {
        times.push(time(&format!("client{sample}"))?.as_secs_f64() * 1e6);
    }
    Ok(vec![("p50 us", quantile(&mut times, 0.5)), ("p99 us", quantile(&mut times, 0.99))])
}

pub(super) fn time_to_cross(
    near: &mut Client,
    far: &mut Client,
    client: &str,
) -> Result<Duration, FiguresError> {
    let not_seen = |why: String| FiguresError::NotSeen(format!("{client} did not cross: {why}"));
    let sent = Instant::now();
    near.report_now(client, LOCATION)?.map_err(|e| not_seen(e.to_string()))?;
    while far.places_near(client, Kilometers(0.0), 0)?.is_err() {
        if sent.elapsed() > LIMIT {
            return Err(not_seen(format!("not within {LIMIT:?}")));
        }
    }
    Ok(sent.elapsed())
}
