//! One server: its listener, its pool, its links.
//!
//! A connection is one owned value that moves between threads; who has it may touch it. In lots
//! mode ([`lot`], [`worker`], [`connection`]) a worker takes a lot of connections, waits for
//! whichever speaks, reads, handles, writes, and waits again; before a call that may block it
//! gives its lot to another worker. In [`pinned`] mode a worker keeps one connection until it
//! closes. Both hold the same [`session`].

pub mod addresses;
pub mod connection;
pub mod descriptors;
pub mod exceeded;
pub mod listener;
pub mod lot;
pub mod open;
pub mod pinned;
pub mod pool;
pub mod rates;
pub mod readiness;
pub mod session;
pub mod shared;
pub mod ticket;
pub mod turn;
pub mod worker;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::log::Level;

use self::exceeded::Exceeded;
use self::pool::Pool;
use self::rates::WhatsatRates;
use self::shared::Shared;
use crate::config::{Config, LinkKind};
use crate::counters::Counters;
use crate::flood::{self, Flood, FloodThreads, Link, Neighbor, flooder};
use crate::log::{Log, LogError, LogThread};
use crate::places::lookups::{LookupLimits, Lookups};
use crate::places::{self, SetupError};
use crate::protocol::ServerName;
use crate::records::Records;
use crate::{listening, threads};

/// How long a stop may take, all told.
pub const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How much of a stop the clients' conversations may take; the rest is for links and log.
const CONVERSATIONS_END_WITHIN: Duration = Duration::from_secs(3);

/// A server that has its addresses and does not answer yet: connections wait in the backlog.
#[derive(Debug)]
pub struct Server {
    name: ServerName,
    clients: TcpListener,
    links: Option<TcpListener>,
}

/// A server that runs. Dropping it does not stop it.
pub struct ServerHandle {
    shared: Arc<Shared>,
    clients: TcpListener,
    listener: JoinHandle<()>,
    see_off: JoinHandle<()>,
    pool: Arc<Pool>,
    flood: FloodThreads,
    log_thread: LogThread,
}

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
    /// The places provider cannot be used.
    #[error(transparent)]
    Provider(#[from] SetupError),
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
        Ok(Self { name: name.clone(), clients, links })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.clients.local_addr().expect("a bound socket has an address")
    }

    /// Where neighbors dial; `None` for a server without herd neighbors.
    pub fn links_address(&self) -> Option<SocketAddr> {
        self.links.as_ref().and_then(|links| links.local_addr().ok())
    }

    /// Starts answering. Neighbors are dialed where `config` says.
    ///
    /// # Errors
    ///
    /// [`ServerError::Log`], [`ServerError::Provider`], [`ServerError::Threads`]
    pub fn start(self, config: &Config) -> Result<ServerHandle, ServerError> {
        let provider = places::provider(&config.places)?;
        let (log, log_thread) = Log::open(&self.name, &config.log)?;
        let records = Arc::new(Records::default());
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
        let counters = Arc::<Counters>::default();
        let instance = flood::new_instance().map_err(ServerError::Threads)?;
        let flood = Arc::new(Flood {
            me: flood::hello(self.name.clone(), instance),
            records: Arc::clone(&records),
            links: links.collect(),
            settings: config.links.clone(),
            log: log.clone(),
            counters: Arc::clone(&counters),
        });
        let calls = config.places.workers;
        let limits =
            LookupLimits { calls, queued: config.places.queue, wait: config.places.timeout };
        let shared = Arc::new(Shared {
            name: self.name,
            records,
            flood,
            flooder,
            lookups: Lookups::new(provider, limits),
            rates: WhatsatRates::new(&config.places),
            limits: config.limits.clone(),
            pool: config.pool.clone(),
            places: config.places.clone(),
            log,
            counters,
            exceeded: Exceeded::default(),
            connections: Arc::default(),
            addresses: Arc::default(),
            is_stopping: AtomicBool::new(false),
        });
        Self::run(shared, self.clients, self.links, batches, calls, log_thread)
            .map_err(ServerError::Threads)
    }

    fn run(
        shared: Arc<Shared>,
        clients: TcpListener,
        links: Option<TcpListener>,
        batches: crossbeam_channel::Receiver<flood::Batch>,
        calls: usize,
        log_thread: LogThread,
    ) -> io::Result<ServerHandle> {
        let flood = shared.flood.start(batches, &shared.flooder, links)?;
        let pool = Arc::new(Pool::start(&shared, calls, CONVERSATIONS_END_WITHIN)?);
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
        Ok(ServerHandle { shared, clients, listener, see_off, pool, flood, log_thread })
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

    /// Stops: accepts nothing more, answers what was read, sends links what waits, writes the log.
    /// Blocks until that is done, for [`STOP_WITHIN`] at most.
    pub fn stop(self) {
        let Self { shared, clients, listener, see_off, pool, flood, log_thread } = self;
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
        log.event(Level::Info, format_args!("server {name} stopped"));
        drop(log);
        if let Err(error) = log_thread.close(Duration::from_secs(1)) {
            eprintln!("herd: {error}");
        }
    }
}
