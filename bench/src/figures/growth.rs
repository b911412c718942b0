//! What a merge takes while the map grows: who finds a table full moves all of it to a larger one, and
//! everybody who needs it waits.

use hdrhistogram::Histogram;
use herd::protocol::Nanos;
use herd::protocol::reply::Fields;
use herd::records::{Record, Records};

use super::{Contender, Scenario, Values};
use crate::process::thread_cpu_time;

const RECORDS: u32 = 10_000_000;

/// What takes longer counts as this: far beyond any merge.
const LONGEST_NS: u64 = 10_000_000_000;

pub(super) fn scenario() -> Scenario {
    Scenario {
        name: "growth",
        about: "10,000,000 new clients, one after the other in this process: CPU time of the thread for \
                each merge, a reading of the clock included"
            .to_string(),
        reference: None,
        contenders: vec![Contender { name: "herd", run: Box::new(|_| Ok(sample())) }],
    }
}

fn sample() -> Values {
    let records = Records::default();
    let mut nanos =
        Histogram::<u64>::new_with_max(LONGEST_NS, 3).expect("three digits are allowed");
    for client in 0..RECORDS {
        let record = record(client);
        let before = thread_cpu_time();
        records.merge(&record);
        let took = thread_cpu_time() - before;
        nanos.saturating_record(took.as_nanos() as u64);
    }
    let quantile_us = |quantile| nanos.value_at_quantile(quantile) as f64 / 1e3;
    vec![
        ("greatest ms", nanos.max() as f64 / 1e6),
        ("p50 us", quantile_us(0.5)),
        ("p99.9 us", quantile_us(0.999)),
    ]
}

/// Of the sizes that the figures of memory are stated for: a client of 20 bytes, a location of 22, a time of
/// 20.
fn record(client: u32) -> Record {
    Record::new(&Fields {
        client: format!("client-{client:013}").as_bytes(),
        origin: b"Bench",
        location: b"+34.0000000-118.400000",
        time_text: b"1479413884.392014450",
        time: Nanos(1_479_413_884_392_014_450),
        skew: Nanos(263_873_386),
    })
}
