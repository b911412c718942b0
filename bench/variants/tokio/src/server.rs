//! One server: accepts clients, a task for each, and stops.

mod connection;
mod session;
mod turn;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herd::config::{self, Config, Limits};
use herd::log::{Level, Log, Seldom};
use herd::protocol::ServerName;
use herd::protocol::reply::TOO_MANY_CONNECTIONS;
use herd::records::Records;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::flood::{Flood, Links};
use crate::places::Places;
use connection::linger;

/// Refused connections that are told why at a time; more are closed without a word.
const REFUSED_AT_ONCE: usize = 256;

/// Wait after a failed accept: descriptors come free when connections end.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(50);

/// The same trouble with accepting is logged again only after so long.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What all tasks of a server share.
pub(crate) struct Shared {
    pub(crate) name: ServerName,
    pub(crate) records: Arc<Records>,
    pub(crate) flood: Arc<Flood>,
    pub(crate) places: Places,
    pub(crate) limits: Limits,
    pub(crate) log: Log,
}

/// A server that runs.
pub(crate) struct Server {
    clients: JoinHandle<()>,
    stop_clients: oneshot::Sender<()>,
    links: Links,
}

impl Server {
    /// Starts accepting clients and dialing neighbors. To be called within the runtime.
    ///
    /// # Errors
    ///
    /// When the runtime can't wait for the listener.
    pub(crate) fn start(
        config: &Config,
        conf: &config::Server,
        listener: std::net::TcpListener,
        places: Places,
        log: Log,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let records = Arc::<Records>::default();
        let flood = Flood::new(config, conf, Arc::clone(&records), log.clone());
        let links = Links::start(&flood);
        let shared = Arc::new(Shared {
            name: conf.name.clone(),
            records,
            flood,
            places,
            limits: config.limits.clone(),
            log,
        });
        let (stop_clients, stopped) = oneshot::channel();
        // A task, since those that a worker spawns stay with the workers, and it accepts on one too.
        let accepting = Clients::new(shared, config.pool.max_connections).accept(listener, stopped);
        Ok(Self { clients: tokio::spawn(accepting), stop_clients, links })
    }

    /// Ends all conversations between two turns, then sends what waits for neighbors.
    pub(crate) async fn stop(self) {
        // An error means that it has ended already.
        let _ = self.stop_clients.send(());
        let _ = self.clients.await;
        self.links.stop().await;
    }
}

/// The clients of a server, a task each.
struct Clients {
    shared: Arc<Shared>,
    most: usize,
    served: JoinSet<()>,
    refused: JoinSet<()>,
    trouble: Seldom,
}

impl Clients {
    fn new(shared: Arc<Shared>, most: usize) -> Self {
        let (served, refused) = (JoinSet::new(), JoinSet::new());
        Self { shared, most, served, refused, trouble: Seldom::every(SAY_AGAIN_AFTER) }
    }

    /// Accepts until it is stopped; then no client is served any more.
    async fn accept(mut self, listener: TcpListener, mut stopped: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => self.admit(stream, peer),
                    Err(error) => self.wait_out(&error).await,
                },
                Some(ended) = self.served.join_next() => self.note_panic(ended),
                Some(_) = self.refused.join_next() => {}
            }
        }
        drop(listener);
        self.served.shutdown().await;
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr) {
        // Those that ended are counted until they are joined.
        while let Some(ended) = self.served.try_join_next() {
            self.note_panic(ended);
        }
        if self.served.len() < self.most {
            self.served.spawn(connection::serve(Arc::clone(&self.shared), stream, peer));
        } else if self.refused.len() < REFUSED_AT_ONCE {
            self.refused.spawn(refuse(stream));
        }
    }

    /// A panic costs its client the connection, and nobody else anything.
    fn note_panic(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended {
            self.shared.log.event(Level::Error, format_args!("a connection was lost: {error}"));
        }
    }

    async fn wait_out(&self, error: &io::Error) {
        if self.trouble.says(Instant::now()).is_some() {
            let message = format_args!("cannot accept connections: {error}; trying on");
            self.shared.log.event(Level::Error, message);
        }
        tokio::time::sleep(ACCEPT_BACK_OFF).await;
    }
}

/// Tells a client over `max_connections` why it is not served.
async fn refuse(mut stream: TcpStream) {
    if stream.write_all(TOO_MANY_CONNECTIONS).await.is_ok() {
        // It is gone all the same if this fails.
        let _ = linger(&mut stream).await;
    }
}
