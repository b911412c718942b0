//! Flooding: a task a link, which dials its neighbor for ever and writes what its outbox holds.
//!
//! The outbox is herd's: at most one record a client, and never locked for longer than some insertions. Whoever fills it
//! wakes the task of its link, and never waits for it.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use herd::config::{Config, LinkKind, Server};
use herd::flood::back_off::{self, BackOff};
use herd::flood::outbox::{Outbox, Taken};
use herd::flood::{Accepted, Neighbor, NeighborId};
use herd::log::{Level, Log};
use herd::protocol::ServerName;
use herd::protocol::reply::write_update;
use herd::records::Records;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy, sink};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{sleep, timeout};

/// Longest wait for a connection: short, so that after a cut a new attempt is soon under way.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Records of the outbox in one write, and as many of those that are sent when a link comes up.
const PIECE: usize = 128;

/// How long neighbors may take, at a stop, for what waits for them.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The links of a server.
pub(crate) struct Flood {
    me: ServerName,
    records: Arc<Records>,
    /// In the order of [`NeighborId`].
    links: Vec<Link>,
    /// A neighbor that takes nothing for so long is dialed anew.
    taken_within: Duration,
    log: Log,
}

struct Link {
    neighbor: Neighbor,
    outbox: Outbox,
    /// Something came into the outbox, or the server stops.
    changed: Notify,
}

/// The tasks of the links.
pub(crate) struct Links {
    flood: Arc<Flood>,
    tasks: Vec<JoinHandle<()>>,
}

impl Flood {
    /// The links of a server of the conf, all of them down.
    pub(crate) fn new(
        config: &Config,
        conf: &Server,
        records: Arc<Records>,
        log: Log,
    ) -> Arc<Self> {
        let link = |neighbor: &Server| Link {
            neighbor: Neighbor {
                name: neighbor.name.clone(),
                kind: LinkKind::Plain,
                address: neighbor.listen.clone(),
            },
            outbox: Outbox::default(),
            changed: Notify::new(),
        };
        Arc::new(Self {
            me: conf.name.clone(),
            records,
            links: config.neighbors_of(&conf.name).map(link).collect(),
            taken_within: config.links.timeout,
            log,
        })
    }

    /// True if there is anyone to flood to.
    pub(crate) fn has_links(&self) -> bool {
        !self.links.is_empty()
    }

    /// The neighbor of that name.
    pub(crate) fn neighbor(&self, name: &[u8]) -> Option<NeighborId> {
        self.links.iter().position(|link| link.neighbor.name.as_bytes() == name).map(NeighborId)
    }

    /// Puts records into every outbox but, for each, that of the neighbor it came from. Waits for short locks
    /// only.
    pub(crate) fn pass_on(&self, batch: &[Accepted]) {
        for (id, link) in self.links.iter().enumerate() {
            let others = batch.iter().filter(|accepted| accepted.from != Some(NeighborId(id)));
            let mut others = others.map(|accepted| accepted.record.clone()).peekable();
            if others.peek().is_some() {
                link.outbox.push(others);
                link.changed.notify_one();
            }
        }
    }

    /// Dials for ever; ends when the outbox has been finished and sent.
    async fn run(&self, link: &Link) {
        let mut back_off = BackOff::default();
        loop {
            match link.connect().await {
                Ok(stream) => {
                    let begun = Instant::now();
                    let ended = self.keep(link, stream).await;
                    link.outbox.close();
                    let Err(error) = ended else { return };
                    let name = &link.neighbor.name;
                    self.log.event(Level::Info, format_args!("link to {name} down: {error}"));
                    if begun.elapsed() > back_off::LAST {
                        back_off.reset();
                    }
                }
                Err(error) => back_off.note(&link.neighbor, &error, &self.log),
            }
            sleep(back_off.next_wait()).await;
        }
    }

    /// One connection, until it fails or all is sent at a stop. The outbox is opened before anything is read from
    /// the map, so nothing falls between.
    async fn keep(&self, link: &Link, mut stream: TcpStream) -> io::Result<()> {
        link.outbox.open();
        self.log.event(Level::Info, format_args!("link to {} up", link.neighbor.name));
        let (reader, writer) = stream.split();
        tokio::select! {
            sent = self.feed(link, writer) => sent,
            ended = discard(reader) => ended,
        }
    }

    /// Sends all records once, and what comes into the outbox, both in each piece.
    async fn feed(&self, link: &Link, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut everything = self.records.iter().fuse();
        let mut lines = Vec::new();
        loop {
            let live = match link.outbox.take(PIECE, Duration::ZERO) {
                Taken::Records(records) => records,
                Taken::Nothing | Taken::Poked => Vec::new(),
                Taken::Closed => return Ok(()),
            };
            lines.clear();
            for record in everything.by_ref().take(PIECE).chain(live) {
                write_update(&record.fields(), self.me.as_bytes(), &mut lines);
            }
            if !lines.is_empty() {
                self.write(&mut writer, &lines).await?;
                continue;
            }
            link.changed.notified().await;
            // Whoever else has a turn now goes first, and one write has what all of them accepted.
            yield_now().await;
        }
    }

    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin), lines: &[u8]) -> io::Result<()> {
        let written = timeout(self.taken_within, writer.write_all(lines)).await;
        written.unwrap_or_else(|_| {
            let reason = format!("it took nothing for {:?}", self.taken_within);
            Err(io::Error::new(ErrorKind::TimedOut, reason))
        })
    }
}

impl Link {
    async fn connect(&self) -> io::Result<TcpStream> {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.neighbor.address)).await;
        let stream = connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Links {
    /// Starts a task for each link. To be called within the runtime.
    pub(crate) fn start(flood: &Arc<Flood>) -> Self {
        let start = |at: usize| {
            let flood = Arc::clone(flood);
            tokio::spawn(async move { flood.run(&flood.links[at]).await })
        };
        Self { flood: Arc::clone(flood), tasks: (0..flood.links.len()).map(start).collect() }
    }

    /// Sends what waits for neighbors that are there, in a few seconds at most. Nothing may be passed on any more.
    pub(crate) async fn stop(self) {
        let all_sent = async {
            for (link, task) in self.flood.links.iter().zip(self.tasks) {
                if link.outbox.finish() {
                    link.changed.notify_one();
                    // A panic was reported when it happened.
                    let _ = task.await;
                } else {
                    task.abort();
                }
            }
        };
        if timeout(STOP_WITHIN, all_sent).await.is_err() {
            let lost: usize = self.flood.links.iter().map(|link| link.outbox.len()).sum();
            let message = format_args!("stopped with {lost} updates not sent to neighbors");
            self.flood.log.event(Level::Warn, message);
        }
    }
}

/// Reads and drops what comes back, until the neighbor ends the connection.
async fn discard(mut reader: impl AsyncRead + Unpin) -> io::Result<()> {
    copy(&mut reader, &mut sink()).await?;
    Err(io::Error::new(ErrorKind::UnexpectedEof, "it ended the connection"))
}
