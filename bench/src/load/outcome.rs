//! What is said of a run.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2Serializer};
use serde::Serialize;
use std::time::Duration;

use super::tally::Tally;
use super::{Load, Memory};

/// Part of a p99 from which on the generator's own lateness is what was measured.
pub(crate) const LATENESS_IS_LIMIT: f64 = 0.5;

/// What is said of a run. Times are in microseconds, memory in bytes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    work: String,
    connections: usize,
    outstanding: usize,
    idle: usize,
    clients: u32,
    /// As asked for; `None`: closed loop.
    target_rate: Option<f64>,
    pub(crate) seconds: f64,
    seed: u64,
    /// Replies that came in the measured time.
    pub(crate) replies: u64,
    /// Replies a second.
    pub(crate) rate: f64,
    /// The server's CPU time a reply, user and system.
    pub(crate) server_cpu_us: Option<f64>,
    generator_cpu_us: f64,
    /// How much of a core the generator took, over all its threads: near its number of threads, it
    /// was the limit.
    pub(crate) generator_cores: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// How late the generator itself was, at a fixed rate.
    pub(crate) late_p99_us: f64,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) missing: u64,
    connections_ended: u64,
    /// Silent connections that the server ended.
    idle_ended: u64,
    /// Replies of the connection that got the fewest, and the most.
    pub(crate) fewest_replies: u64,
    pub(crate) most_replies: u64,
    pub(crate) memory_before_idle: Option<Memory>,
    pub(crate) memory_after_idle: Option<Memory>,
    pub(crate) memory_at_end: Option<Memory>,
    /// WHATSAT replies that say why there are no places; the others count as all replies do.
    pub(crate) without_places: u64,
    /// All latencies in nanoseconds: HdrHistogram V2, base64.
    histogram: String,
    #[serde(skip)]
    pub(crate) latency: Histogram<u64>,
}

impl Outcome {
    pub(super) fn new(
        load: &Load,
        tally: Tally,
        server_cpu: Option<Duration>,
        memory: [Option<Memory>; 3],
    ) -> Self {
        let seconds = load.duration.as_secs_f64();
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / tally.answered.max(1) as f64;
        let us = |histogram: &Histogram<u64>, quantile| {
            histogram.value_at_quantile(quantile) as f64 / 1e3
        };
        let [memory_before_idle, memory_after_idle, memory_at_end] = memory;
        Self {
            work: load.work.to_string(),
            connections: load.connections,
            outstanding: load.outstanding,
            idle: load.idle,
            clients: load.clients,
            target_rate: load.rate,
            seconds,
            seed: load.seed,
            replies: tally.answered,
            rate: tally.answered as f64 / seconds,
            server_cpu_us: server_cpu.map(each),
            generator_cpu_us: each(tally.cpu),
            generator_cores: tally.cpu.as_secs_f64() / seconds,
            p50_us: us(&tally.latency, 0.5),
            p90_us: us(&tally.latency, 0.9),
            p99_us: us(&tally.latency, 0.99),
            p999_us: us(&tally.latency, 0.999),
            max_us: tally.latency.max() as f64 / 1e3,
            late_p99_us: us(&tally.lateness, 0.99),
            errors: tally.errors,
            first_error: tally.first_error,
            missing: tally.missing,
            connections_ended: tally.ended,
            idle_ended: tally.idle_ended,
            fewest_replies: tally.per_connection.iter().copied().min().unwrap_or(0),
            most_replies: tally.per_connection.iter().copied().max().unwrap_or(0),
            memory_before_idle,
            memory_after_idle,
            memory_at_end,
            without_places: tally.without_places,
            histogram: encoded(&tally.latency),
            latency: tally.latency,
        }
    }

    /// Why the figures are not to be used; `None` if every request got the right reply and every
    /// connection stayed.
    pub(crate) fn fault(&self) -> Option<String> {
        let counts = [
            (self.errors, "replies wrong"),
            (self.missing, "missing"),
            (self.connections_ended, "connections ended early"),
            (self.idle_ended, "idle connections ended"),
        ];
        let found: Vec<_> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let first = self.first_error.as_ref().map(|first| format!("; the first: {first}"));
        (!found.is_empty()).then(|| found.join(", ") + &first.unwrap_or_default())
    }

    /// Replies of the connection that got the fewest, as a part of those of the one with the most.
    pub(crate) fn evenness(&self) -> f64 {
        self.fewest_replies as f64 / self.most_replies as f64
    }

    /// True if there is no [`Outcome::fault`].
    pub(crate) fn is_clean(&self) -> bool {
        self.fault().is_none()
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings always make JSON")
    }

    /// A few lines for people.
    pub(crate) fn table(&self) -> String {
        let mut rows = vec![
            ("work", format!("{}, {} clients", self.work, self.clients)),
            ("connections", format!("{} x {} outstanding", self.connections, self.outstanding)),
            ("replies", format!("{}, {:.0} a second", self.replies, self.rate)),
            (
                "latency",
                format!(
                    "p50 {:.1} us, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}",
                    self.p50_us, self.p90_us, self.p99_us, self.p999_us, self.max_us
                ),
            ),
            ("a connection", format!("{} to {} replies", self.fewest_replies, self.most_replies)),
            (
                "generator",
                format!(
                    "{:.2} us CPU a reply, {:.2} cores",
                    self.generator_cpu_us, self.generator_cores
                ),
            ),
        ];
        if self.idle > 0 {
            rows.insert(2, ("idle", format!("{} connections", self.idle)));
        }
        if let Some(rate) = self.target_rate {
            let late = format!("{rate} a second; p99 of being late {:.1} us", self.late_p99_us);
            rows.push(("due", late));
        }
        if let Some(cpu) = self.server_cpu_us {
            rows.push(("server", format!("{cpu:.2} us CPU a reply")));
        }
        if self.without_places > 0 {
            rows.push(("no places", format!("{} replies say why", self.without_places)));
        }
        if let Some(memory) = self.memory_at_end {
            rows.push(("resident", format!("{} KiB at the end", memory.resident / 1024)));
        }
        if let Some(fault) = self.fault() {
            rows.push(("NOT CLEAN", fault));
        }
        rows.iter().map(|(name, value)| format!("{name:<13} {value}\n")).collect()
    }
}

fn encoded(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(histogram, &mut bytes).expect("a Vec takes all that is written");
    BASE64_STANDARD.encode(bytes)
}
