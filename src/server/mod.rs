//! One server: its listener, its pool, its links.
//!
//! A connection is one owned value that moves between threads; who has it may touch it. In lots
//! mode ([`lot`], [`worker`], [`connection`]) some workers share a lot of connections: one waits for
//! whichever speaks, and whoever is free reads, handles, writes; before a call that may block it
//! gives its place at the lot to another worker. In [`pinned`] mode a worker keeps one connection until
//! it closes. Both hold the same [`session`].

pub mod addresses;
pub mod connection;
pub mod descriptors;
pub mod desk;
pub mod exceeded;
pub mod exchange;
pub mod listener;
pub mod lot;
pub mod open;
pub mod pinned;
pub mod pool;
pub mod rates;
pub mod session;
pub mod shared;
pub mod ticket;
pub mod turn;
pub mod watch;
pub mod worker;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::log::Level;

use self::exceeded::Exceeded;
use self::pool::Pool;
use self::rates::WhatsatRates;
use self::shared::Shared;
use self::watch::Watch;
use crate::admin::{self, Admin};
use crate::config::{Config, LinkKind};
use crate::counters::Counters;
use crate::flood::{
    self, Filling, Flood, FloodThreads, KeyError, KeyFile, Link, Neighbor, flooder,
};
use crate::log::{Log, LogError, LogThread};
use crate::places::lookups::{LookupLimits, Lookups};
use crate::places::{self, SetupError};
use crate::protocol::ServerName;
use crate::records::Records;
use crate::store::engine::Engine;
use crate::store::expiry::{self, ExpiryThread};
use crate::store::{self, COMMIT_AT_STOP_WITHIN, Store, StoreError, StoreThread};
use crate::waits::Receiver;
use crate::waits::atomic::Ordering;
use crate::{listening, threads};

/// How long a stop may take, all told but for the store, which has [`COMMIT_AT_STOP_WITHIN`] of its own.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How much of a stop the clients' conversations may take; the rest is for links and log.
const CONVERSATIONS_END_WITHIN: Duration = Duration::from_secs(3);

/// A server that has its addresses and does not answer yet: connections wait in the backlog.
#[derive(Debug)]
pub struct Server {
    name: ServerName,
    clients: TcpListener,
    links: Option<TcpListener>,
    admin: Option<TcpListener>,
}

/// A server that runs. Dropping it does not stop it.
pub struct ServerHandle {
    shared: Arc<Shared>,
    clients: TcpListener,
    listener: JoinHandle<()>,
    see_off: JoinHandle<()>,
    pool: Arc<Pool>,
    flood: FloodThreads,
    admin: Option<Admin>,
    store: Option<StoreThread>,
    expiry: Option<ExpiryThread>,
    log_thread: LogThread,
}

/// Opens the store of a server and loads it.
type OpenStore<'a> = &'a dyn Fn(&Records, &Log, &Counters) -> Result<Box<dyn Engine>, StoreError>;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It is not in the conf.
    #[error("no server is named {0} in {1}: servers are {2}")]
    Unknown(ServerName, String, String),
    /// The conf says that it is not a herd server.
    #[error(
        "{0} has link = \"{1}\" in the conf: it is a server of another kind, and not ours to start"
    )]
    NotHerd(ServerName, LinkKind),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// As the conf says it.
        address: String,
        /// The system's word.
        error: io::Error,
    },
    /// No log can be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The key file of the links cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The places provider cannot be used.
    #[error(transparent)]
    Provider(#[from] SetupError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refuses threads or descriptors.
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
}

impl Server {
    /// Binds the addresses of the server of that name, and touches nothing else.
    ///
    /// # Errors
    ///
    /// [`ServerError::Unknown`], [`ServerError::NotHerd`], [`ServerError::Listen`]
    pub fn bind(config: &Config, name: &ServerName) -> Result<Self, ServerError> {
        let Some(server) = config.server(name) else {
            let names: Vec<_> = config.servers.iter().map(|server| server.name.as_str()).collect();
            let path = config.path.display().to_string();
            return Err(ServerError::Unknown(name.clone(), path, names.join(", ")));
        };
        if server.link != LinkKind::Herd {
            return Err(ServerError::NotHerd(name.clone(), server.link));
        }
        let bind = |address: &str| {
            listening::bind(address)
                .map_err(|error| ServerError::Listen { address: address.to_owned(), error })
        };
        let clients = bind(&server.listen)?;
        let links = if config.opens_links(server) { Some(bind(&server.links)?) } else { None };
        let admin = server.admin.as_deref().map(bind).transpose()?;
        Ok(Self { name: name.clone(), clients, links, admin })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.clients.local_addr().expect("a bound socket has an address")
    }

    /// Where neighbors dial; `None` for a server without herd neighbors.
    pub fn links_address(&self) -> Option<SocketAddr> {
        self.links.as_ref().and_then(|links| links.local_addr().ok())
    }

    /// Where it can be watched; `None` if the conf does not say.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|admin| admin.local_addr().ok())
    }

    /// Loads the store, then starts answering: a client that the store knows is known. It can be watched
    /// from the beginning. Neighbors are dialed where `config` says. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`ServerError::Key`], [`ServerError::Log`], [`ServerError::Provider`], [`ServerError::Store`],
    /// [`ServerError::Threads`]
    pub fn start(self, config: &Config) -> Result<ServerHandle, ServerError> {
        let Some(dir) = &config.data.dir else { return self.start_with(config, None) };
        let path = dir.join(self.name.as_str());
        let open = |records: &Records, log: &Log, counters: &Counters| {
            let engine = store::open(&path, records, log, counters)?;
            Ok(Box::new(engine) as Box<dyn Engine>)
        };
        self.start_with(config, Some(&open))
    }

    /// As [`Server::start`], with the store that `open` opens.
    fn start_with(
        self,
        config: &Config,
        open: Option<OpenStore<'_>>,
    ) -> Result<ServerHandle, ServerError> {
        let keys = config.links.key_file.as_deref().map(KeyFile::open).transpose()?;
        let provider = places::provider(&config.places)?;
        let (log, log_thread) = Log::open(&self.name, &config.log)?;
        let counters = Arc::<Counters>::default();
        let records = if open.is_some() { Records::kept() } else { Records::default() };
        let records = Arc::new(records);
        if let Some(expire_after) = config.data.expire_after {
            // Before anything is there: what has expired does not come in.
            expiry::expire_now(&records, expire_after);
        }
        let (flooder, batches) = flooder::channel();
        let links = config.neighbors_of(&self.name).map(|neighbor| {
            let address = match neighbor.link {
                LinkKind::Herd => &neighbor.links,
                LinkKind::Plain | LinkKind::OneShot => &neighbor.listen,
            };
            Link::new(Neighbor {
                name: neighbor.name.clone(),
                kind: neighbor.link,
                address: address.clone(),
            })
        });
        let instance = flood::new_instance().map_err(ServerError::Threads)?;
        let flood = Arc::new(Flood {
            me: flood::hello(self.name.clone(), instance, config.data.expire_after),
            records: Arc::clone(&records),
            links: links.collect(),
            filling: Filling::new(config.links.timeout),
            settings: config.links.clone(),
            keys,
            log: log.clone(),
            counters: Arc::clone(&counters),
        });
        let calls = config.places.workers;
        let limits =
            LookupLimits { calls, queued: config.places.queue, wait: config.places.timeout };
        let lookups = Lookups::new(provider, limits);
        let (connections, is_stopping) = (Arc::default(), Arc::default());
        let mode = config.pool.mode;
        let watch = Arc::new(Watch::new(&flood, &lookups, mode, &connections, &is_stopping));
        let admin = self.admin.map(|listener| start_admin(listener, &log, &watch));
        let admin = admin.transpose().map_err(ServerError::Threads)?;
        let engine = match open.map(|open| open(&records, &log, &counters)).transpose() {
            Ok(engine) => engine,
            Err(error) => {
                log.event(Level::Error, format_args!("{error}"));
                // The error itself is what there is to say.
                let _ = log_thread.close(Duration::from_secs(1));
                return Err(error.into());
            }
        };
        watch.set_loaded();
        let start_store = |engine| {
            Store::start(
                engine,
                Arc::clone(&records),
                &config.data,
                log.clone(),
                Arc::clone(&counters),
            )
        };
        let store = engine.map(start_store).transpose().map_err(ServerError::Threads)?;
        if let Some(thread) = &store {
            watch.set_store(thread.store());
        }
        let start_expiry = |expire_after| {
            ExpiryThread::start(
                Arc::clone(&records),
                expire_after,
                log.clone(),
                Arc::clone(&counters),
            )
        };
        let expire_after = config.data.expire_after;
        let expiry = expire_after.map(start_expiry).transpose().map_err(ServerError::Threads)?;
        let shared = Arc::new(Shared {
            name: self.name,
            records,
            flood,
            flooder,
            store: store.as_ref().map(|thread| Arc::clone(thread.store())),
            lookups,
            rates: WhatsatRates::new(&config.places),
            limits: config.limits.clone(),
            pool: config.pool.clone(),
            places: config.places.clone(),
            log,
            counters,
            exceeded: Exceeded::default(),
            connections,
            addresses: Arc::default(),
            is_stopping,
        });
        let kept = (store, expiry, log_thread);
        let server = Self::run(shared, self.clients, self.links, batches, calls, kept);
        let server = server.map_err(ServerError::Threads)?;
        watch.set_pool(&server.pool);
        Ok(ServerHandle { admin, ..server })
    }

    fn run(
        shared: Arc<Shared>,
        clients: TcpListener,
        links: Option<TcpListener>,
        batches: Receiver<flood::Batch>,
        calls: usize,
        (store, expiry, log_thread): (Option<StoreThread>, Option<ExpiryThread>, LogThread),
    ) -> io::Result<ServerHandle> {
        let flood = shared.flood.start(batches, &shared.flooder, links)?;
        let pool = Arc::new(Pool::start(&shared, calls, CONVERSATIONS_END_WITHIN)?);
        if let Some(store) = &shared.store {
            let pool = Arc::clone(&pool);
            store.on_commit(move || pool.wake_lots());
        }
        let (refuse, refused) = listener::refusal_channel();
        let see_off = threads::spawn("refuse", "", move || listener::see_off(&refused))?;
        let listener = {
            let (shared, pool, clients) =
                (Arc::clone(&shared), Arc::clone(&pool), clients.try_clone()?);
            threads::spawn("listen", "", move || listener::run(&shared, &clients, &pool, &refuse))?
        };
        shared.log.event(
            Level::Info,
            format_args!("server {} answers on {}", shared.name, clients.local_addr()?),
        );
        Ok(ServerHandle {
            shared,
            clients,
            listener,
            see_off,
            pool,
            flood,
            admin: None,
            store,
            expiry,
            log_thread,
        })
    }
}

impl ServerHandle {
    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.clients.local_addr().expect("a bound socket has an address")
    }

    /// The log, for what the process itself has to say.
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// What was done and refused since the start.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// What is known here.
    pub fn records(&self) -> &Records {
        &self.shared.records
    }

    /// How the store does; `None` without one. It is loaded since before [`Server::start`] returned.
    pub fn store_status(&self) -> Option<store::Status> {
        self.shared.store.as_ref().map(|store| store.status())
    }

    /// Stops: accepts nothing more, answers what was read, sends links what waits, commits the store,
    /// writes the log. Blocks until that is done, for [`STOP_WITHIN`] and [`COMMIT_AT_STOP_WITHIN`] at most.
    pub fn stop(self) {
        self.stop_within(COMMIT_AT_STOP_WITHIN);
    }

    /// As [`ServerHandle::stop`], with so much time for the store.
    fn stop_within(self, commit: Duration) {
        let Self {
            shared,
            clients,
            listener,
            see_off,
            pool,
            flood,
            admin,
            store,
            expiry,
            log_thread,
        } = self;
        let deadline = Instant::now() + STOP_WITHIN;
        shared.log.event(Level::Info, format_args!("server {} stops", shared.name));
        shared.is_stopping.store(true, Ordering::SeqCst);
        listening::wake(&clients);
        // A panic was reported when it happened.
        let _ = listener.join();
        let _ = see_off.join();
        pool.stop(CONVERSATIONS_END_WITHIN);
        let log = shared.log.clone();
        let name = shared.name.clone();
        // With it and the pool goes the last sender to the flooder.
        drop((shared, pool));
        flood.stop(deadline - Duration::from_millis(500));
        if let Some(expiry) = expiry {
            expiry.stop();
        }
        if let Some(store) = store {
            store.stop(commit);
        }
        // Last, so that the stop can be watched.
        drop(admin);
        log.event(Level::Info, format_args!("server {name} stopped"));
        drop(log);
        if let Err(error) = log_thread.close(Duration::from_secs(1)) {
            eprintln!("herd: {error}");
        }
    }
}

fn start_admin(listener: TcpListener, log: &Log, watch: &Arc<Watch>) -> io::Result<Admin> {
    let address = listener.local_addr()?;
    let admin = admin::start(listener, log.clone(), Arc::clone(watch) as _)?;
    log.event(Level::Info, format_args!("admin: http://{address}/status"));
    Ok(admin)
}

#[cfg(test)]
mod tests;
