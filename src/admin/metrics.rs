//! What `/metrics` says, in the text format of Prometheus (version 0.0.4). All is read at the scrape.
//! Labels are names of servers and words of this file, never of clients.

use std::fmt;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet, prometheus_text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Watched;
use super::status::{LinkStatus, Status};
use crate::counters::{Count, Counters};
use crate::{store, threads};

/// The metrics of one server.
pub struct Metrics(Registry);

impl Metrics {
    /// Of the text.
    pub const CONTENT_TYPE: &'static str = prometheus_text::CONTENT_TYPE;

    /// Of what is watched.
    pub fn of(watched: Arc<dyn Watched>) -> Self {
        let mut registry = Registry::with_prefix("herd");
        registry.register_collector(Box::new(Scrape(watched)));
        Self(registry)
    }

    /// The whole of them, as they are now.
    ///
    /// # Errors
    ///
    /// None that is known: what it writes to is memory.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

struct Scrape(Arc<dyn Watched>);

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.0.status();
        let mut families = Families(encoder);
        families.server(&status)?;
        families.links(&status.links)?;
        if let Some(store) = self.0.store() {
            families.store(&store)?;
        }
        families.counters(self.0.counters())?;
        families.counter(
            "log_lines_dropped",
            "Lines that the log had no room for",
            self.0.dropped_log_lines(),
        )
    }
}

/// Writes families of metrics, one after the other.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn server(&mut self, status: &Status) -> fmt::Result {
        let Status { name, version, uptime, records, connections, pool, places, .. } = status;
        let labels = [("name", name.as_str()), ("version", version.as_str())];
        let mut info = self.0.encode_descriptor(
            "build_info",
            "The server's name and its program's version; always 1",
            None,
            MetricType::Gauge,
        )?;
        info.encode_family(&labels)?.encode_gauge(&1_u64)?;
        self.gauge("uptime_seconds", "Time since the start", uptime.as_secs_f64())?;
        self.gauge("records", "Clients that are known", *records as u64)?;
        let states = [
            ("served", connections.served),
            ("waiting_for_places", connections.waiting_for_places),
            ("waiting_for_worker", connections.waiting_for_worker),
        ];
        self.gauges("connections", "Open connections of clients", "state", &states)?;
        self.gauge("pool_lots", "Lots of connections that workers serve", pool.lots as u64)?;
        self.gauge("pool_workers", "Threads that serve clients", pool.workers as u64)?;
        self.gauge("pool_busy_workers", "Workers that serve or call", pool.busy as u64)?;
        self.gauge(
            "pool_queued",
            "Workers that lots wait for, or connections that wait for one",
            pool.queued as u64,
        )?;
        self.gauge("places_calls", "Calls of the provider under way", places.calls as u64)?;
        self.gauge("places_queued", "Look-ups that wait for a call", places.queued as u64)?;
        let threads = threads::live() + pool.workers;
        self.gauge("threads", "Threads of the process that are ours", threads as u64)
    }

    fn links(&mut self, links: &[LinkStatus]) -> fmt::Result {
        self.of_links("link_up", "1 if the link is up, else 0", links, |link| {
            Some(f64::from(u8::from(link.state == "up")))
        })?;
        self.of_links(
            "link_state_change_timestamp_seconds",
            "When the link last went up or down",
            links,
            |link| seconds_of(link.since.0),
        )?;
        self.of_links("link_outbox_records", "Records that wait to be sent", links, |link| {
            Some(link.outbox as f64)
        })?;
        self.of_links("link_lag_seconds", "Age of the oldest of them", links, |link| {
            Some(link.lag.as_secs_f64())
        })?;
        self.of_links(
            "link_last_sync_timestamp_seconds",
            "When all that the neighbor has was last known to be here",
            links,
            |link| link.last_sync.and_then(|moment| seconds_of(moment.0)),
        )?;
        let counts = |count: fn(&LinkStatus) -> u64| -> Vec<_> {
            links.iter().map(|link| (link.neighbor.as_str(), count(link))).collect()
        };
        let (sent, received) = (counts(|link| link.sent), counts(|link| link.received));
        self.counts("link_updates_sent", "Updates sent", "neighbor", &sent)?;
        self.counts("link_updates_received", "Updates received", "neighbor", &received)
    }

    fn store(&mut self, store: &store::Status) -> fmt::Result {
        let store::Status { unsaved, lag, error } = store;
        self.gauge("store_unsaved_records", "Records not on disk yet", *unsaved as u64)?;
        let help = "How long the oldest of them has waited, at most";
        self.gauge("store_lag_seconds", help, lag.as_secs_f64())?;
        let help = "1 while writing to the disk fails, else 0; the log says why";
        self.gauge("store_failing", help, u64::from(error.is_some()))
    }

    /// Every counter that there is: one that is added and not named here does not compile.
    fn counters(&mut self, counters: &Counters) -> fmt::Result {
        let Counters {
            connections,
            refused_connections,
            refused_per_address,
            closed_idle,
            closed_slow_line,
            closed_untaken,
            closed_long_line,
            panics,
            iamat,
            whatsat,
            update,
            invalid,
            refused_records,
            refused_whatsat,
            refused_lookups,
            refused_links,
            expired,
            stored,
            commits,
            failed_commits,
            late_commits,
            cut_admin,
        } = counters;
        let with = |reasons: &[(&'static str, &Count)]| -> Vec<_> {
            reasons.iter().map(|(reason, count)| (*reason, count.get())).collect()
        };
        self.counter("connections_accepted", "Connections taken in", connections.get())?;
        let refused = with(&[
            ("max_connections", refused_connections),
            ("max_connections_per_address", refused_per_address),
        ]);
        self.counts("connections_refused", "Connections refused", "limit", &refused)?;
        let closed = with(&[
            ("idle_timeout", closed_idle),
            ("line_timeout", closed_slow_line),
            ("write_timeout", closed_untaken),
            ("max_line", closed_long_line),
        ]);
        self.counts("connections_closed", "Connections closed by a limit", "limit", &closed)?;
        self.counter("panics", "Connections lost to a defect", panics.get())?;
        let commands = with(&[("IAMAT", iamat), ("WHATSAT", whatsat), ("UPDATE", update)]);
        self.counts("commands", "Commands that were valid", "command", &commands)?;
        self.counter("commands_invalid", "Lines that were answered with ?", invalid.get())?;
        let refused = with(&[
            ("max_records", refused_records),
            ("whatsat_per_second", refused_whatsat),
            ("places_queue", refused_lookups),
        ]);
        self.counts("commands_refused", "Commands refused by a limit", "limit", &refused)?;
        self.counter("links_refused", "Connections to links refused", refused_links.get())?;
        self.counter("records_expired", "Records that expire_after took", expired.get())?;
        self.counter("records_stored", "Records written to the store", stored.get())?;
        self.counter("store_commits", "Commits of the store", commits.get())?;
        self.counter("store_failures", "Writes or commits that failed", failed_commits.get())?;
        self.counter("replies_late", "Replies lost to commit_timeout", late_commits.get())?;
        self.counter("admin_cut", "Connections cut off to make room for others", cut_admin.get())
    }

    /// A gauge of each link that has a value.
    fn of_links(
        &mut self,
        name: &str,
        help: &str,
        links: &[LinkStatus],
        value: impl Fn(&LinkStatus) -> Option<f64>,
    ) -> fmt::Result {
        let values: Vec<_> =
            links.iter().filter_map(|link| Some((link.neighbor.as_str(), value(link)?))).collect();
        self.gauges(name, help, "neighbor", &values)
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &str, help: &str, value: impl EncodeCounterValue) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// A family with one label, unless it is empty.
    fn gauges(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[(&str, impl EncodeGaugeValue)],
    ) -> fmt::Result {
        if values.is_empty() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (at, value) in values {
            family.encode_family(&[(label, *at)])?.encode_gauge(value)?;
        }
        Ok(())
    }

    fn counts(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: &[(&str, u64)],
    ) -> fmt::Result {
        if values.is_empty() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (at, value) in values {
            let labels = [(label, *at)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(value, None)?;
        }
        Ok(())
    }
}

fn seconds_of(time: std::time::SystemTime) -> Option<f64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
}
