//! What whoever watches a server is shown of it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::pool::Pool;
use super::ticket::Ticket;
use crate::admin::Watched;
use crate::admin::status::{self, Connections, LinkStatus, Moment, Places, Status};
use crate::config::{LinkKind, PoolMode};
use crate::counters::Counters;
use crate::flood::Flood;
use crate::log::Log;
use crate::places::lookups::Lookups;
use crate::protocol::ServerName;
use crate::records::Records;
use crate::store::{self, Store};
use crate::waits::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How long a server that no neighbor has synced with is not ready: they may all be down.
const READY_AFTER: Duration = Duration::from_secs(10);

/// What is shown of a server. It holds no [`Shared`](super::shared::Shared), and so no sender to the flooder, which ends when
/// the last of them is gone: who watches sees the stop to its end.
pub struct Watch {
    name: ServerName,
    started: Instant,
    records: Arc<Records>,
    flood: Arc<Flood>,
    lookups: Arc<Lookups<Ticket>>,
    counters: Arc<Counters>,
    connections: Arc<AtomicUsize>,
    mode: PoolMode,
    pool: OnceLock<Weak<Pool>>,
    store: OnceLock<Weak<Store>>,
    log: Log,
    is_stopping: Arc<AtomicBool>,
    is_loaded: AtomicBool,
}

impl Watch {
    /// Of a server that starts now.
    pub fn new(
        flood: &Arc<Flood>,
        lookups: &Arc<Lookups<Ticket>>,
        mode: PoolMode,
        connections: &Arc<AtomicUsize>,
        is_stopping: &Arc<AtomicBool>,
    ) -> Self {
        Self {
            name: flood.me.name.clone(),
            started: Instant::now(),
            records: Arc::clone(&flood.records),
            flood: Arc::clone(flood),
            lookups: Arc::clone(lookups),
            counters: Arc::clone(&flood.counters),
            connections: Arc::clone(connections),
            mode,
            pool: OnceLock::new(),
            store: OnceLock::new(),
            log: flood.log.clone(),
            is_stopping: Arc::clone(is_stopping),
            is_loaded: AtomicBool::new(false),
        }
    }

    /// Takes note of who serves clients.
    pub fn set_pool(&self, pool: &Arc<Pool>) {
        // There is one pool in the life of a server.
        let _ = self.pool.set(Arc::downgrade(pool));
    }

    /// Takes note of what keeps the records.
    pub fn set_store(&self, store: &Arc<Store>) {
        // There is one store in the life of a server.
        let _ = self.store.set(Arc::downgrade(store));
    }

    /// Takes note that what was on disk is in memory.
    pub fn set_loaded(&self) {
        self.is_loaded.store(true, Ordering::SeqCst);
    }

    fn links(&self) -> Vec<LinkStatus> {
        let status = |link: &crate::flood::Link| {
            let seen = link.status();
            LinkStatus {
                neighbor: link.neighbor.name.to_string(),
                state: seen.state.to_string(),
                since: Moment(seen.since),
                last_error: seen.last_error,
                outbox: seen.outbox,
                lag: seen.lag,
                sent: seen.sent,
                received: seen.received,
                last_sync: seen.last_sync.map(Moment),
            }
        };
        self.flood.links.iter().map(status).collect()
    }

    /// `calls` of the provider are under way.
    fn pool(&self, calls: usize) -> status::Pool {
        let mode = self.mode.to_string();
        let none = status::Pool { mode, lots: 0, workers: 0, busy: 0, queued: 0 };
        // Before the start and at the end of a stop there is none.
        match self.pool.get().and_then(Weak::upgrade).as_deref() {
            None => none,
            Some(Pool::Lots { threads, lots }) => status::Pool {
                lots: lots.count(),
                workers: threads.max_count(),
                busy: lots.serving() + calls,
                queued: lots.waiting(),
                ..none
            },
            Some(Pool::Pinned { threads, .. }) => status::Pool {
                workers: threads.max_count(),
                busy: threads.active_count(),
                queued: threads.queued_count(),
                ..none
            },
        }
    }
}

impl Watched for Watch {
    fn status(&self) -> Status {
        let (calls, queued) = self.lookups.load();
        let pool = self.pool(calls);
        let open = self.connections.load(Ordering::SeqCst);
        let waiting_for_places = self.lookups.waiting().min(open);
        let waiting_for_worker = match self.mode {
            PoolMode::Lots => 0,
            PoolMode::Pinned => pool.queued.min(open - waiting_for_places),
        };
        Status {
            name: self.name.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: self.started.elapsed(),
            records: self.records.len(),
            digest: self.records.digest().to_string(),
            links: self.links(),
            connections: Connections {
                open,
                served: open - waiting_for_places - waiting_for_worker,
                waiting_for_places,
                waiting_for_worker,
            },
            pool,
            places: Places { calls, queued },
        }
    }

    fn readiness(&self) -> Result<(), String> {
        if self.is_stopping.load(Ordering::SeqCst) {
            return Err("the server stops".to_owned());
        }
        if !self.is_loaded.load(Ordering::SeqCst) {
            return Err("the records on disk are being loaded".to_owned());
        }
        let mut neighbors =
            self.flood.links.iter().filter(|link| link.neighbor.kind == LinkKind::Herd).peekable();
        let is_alone = neighbors.peek().is_none();
        if is_alone
            || self.started.elapsed() >= READY_AFTER
            || neighbors.any(|link| link.status().last_sync.is_some())
        {
            return Ok(());
        }
        let wait = READY_AFTER.as_secs();
        Err(format!("no neighbor has synced yet; ready {wait} s after the start at the latest"))
    }

    fn store(&self) -> Option<store::Status> {
        self.store.get().and_then(Weak::upgrade).map(|store| store.status())
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }

    fn dropped_log_lines(&self) -> u64 {
        self.log.dropped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::server::shared::Shared;
    use crate::server::{Server, ServerHandle};
    use std::path::Path;

    /// A server with these neighbors, whose addresses are nobody's.
    fn server(directory: &Path, neighbors: &str) -> ServerHandle {
        let text = format!(
            "[[server]]\nname = \"Ball\"\nlisten = \"127.0.0.1:0\"\nneighbors = {neighbors}\n\
             [[server]]\nname = \"Welsh\"\nlisten = \"127.0.0.1:0\"\nneighbors = [\"Plain\"]\n\
             [[server]]\nname = \"Plain\"\nlisten = \"127.0.0.1:1\"\nlink = \"plain\"\n\
             [log]\ndir = '{}'\n",
            directory.display()
        );
        let config = Config::parse(Path::new("herd.toml"), &text).unwrap();
        let name = ServerName::parse(b"Ball").unwrap();
        Server::bind(&config, &name).unwrap().start(&config).unwrap()
    }

    fn watch(server: &ServerHandle) -> Watch {
        let Shared { flood, lookups, pool, connections, is_stopping, .. } = &*server.shared;
        Watch::new(flood, lookups, pool.mode, connections, is_stopping)
    }

    #[track_caller]
    fn is_not_ready(watch: &Watch, why: &str) {
        let said = watch.readiness().unwrap_err();
        assert!(said.contains(why), "{said}");
    }

    #[test]
    fn a_server_is_ready_once_it_is_loaded_and_a_neighbor_has_synced_or_10_seconds_are_over() {
        let directory = tempfile::tempdir().unwrap();
        let server = server(directory.path(), "[\"Welsh\", \"Plain\"]");
        let mut watch = watch(&server);
        is_not_ready(&watch, "being loaded");
        watch.set_loaded();
        is_not_ready(&watch, "no neighbor has synced yet");
        watch.started -= READY_AFTER;
        assert_eq!(watch.readiness(), Ok(()));
        watch.started += READY_AFTER;
        is_not_ready(&watch, "no neighbor has synced yet");
        let welsh = watch.flood.neighbor(b"Welsh").unwrap();
        watch.flood.links[welsh.0].history.synced();
        assert_eq!(watch.readiness(), Ok(()));
        watch.is_stopping.store(true, Ordering::SeqCst);
        is_not_ready(&watch, "the server stops");
        watch.is_stopping.store(false, Ordering::SeqCst);
        server.stop();
    }

    #[test]
    fn a_server_waits_for_no_neighbor_that_never_syncs() {
        let directory = tempfile::tempdir().unwrap();
        let server = server(directory.path(), "[\"Plain\"]");
        let watch = watch(&server);
        is_not_ready(&watch, "being loaded");
        watch.set_loaded();
        assert_eq!(watch.readiness(), Ok(()));
        server.stop();
    }
}
