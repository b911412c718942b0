//! Flooding: what one server accepts as newer goes to every neighbor but the one it came from.
//!
//! An accepted record goes through a bounded channel to the [`flooder`], from there into the
//! [`outbox`] of each [`link`] that is up, and from there, by that link's own [`dial`] thread, to
//! the neighbor. What neighbors say comes in on connections that they dialed: [`peer`]. With a [`key`] both
//! are encrypted: [`secure`]. A thread
//! that reads from a neighbor never writes to one, so no cycle of servers can wait for itself.
//!
//! What was missed is repaired by digests: [`sync`] has the lines, [`repair`] what one link knows of
//! it, [`speaker`] what is said next, [`filling`] whom we let fill us.

pub mod back_off;
pub mod dial;
pub mod filling;
pub mod flooder;
pub mod handshake;
pub mod key;
pub mod link;
pub mod messages;
pub mod outbox;
pub mod peer;
pub mod refusal;
pub mod repair;
pub mod secure;
pub mod speaker;
pub mod status;
pub mod sync;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use ::log::Level;

use crate::config;
use crate::counters::Counters;
use crate::log::{Log, Stamp, escape_into};
use crate::protocol::ServerName;
use crate::records::Records;
use crate::threads;
use crate::waits::Receiver;
pub use filling::Filling;
pub use flooder::{Accepted, Batch, FloodSender, NeighborId};
use handshake::BEAT;
pub use handshake::{Hello, Instance, Lifetime};
pub use key::{KeyError, KeyFile};
pub use link::{Link, Neighbor};
pub use status::LinkStatus;

/// What the threads of replication share.
#[derive(Debug)]
pub struct Flood {
    /// Who we are on links.
    pub me: Hello,
    /// What is known.
    pub records: Arc<Records>,
    /// One for each neighbor, in the order of [`NeighborId`].
    pub links: Vec<Link>,
    /// Who fills us.
    pub filling: Filling,
    /// How neighbors are spoken to.
    pub settings: config::Links,
    /// The keys of the links; `None`: links are in clear.
    pub keys: Option<KeyFile>,
    /// Where links come and go, and updates pass.
    pub log: Log,
    /// What was done and refused.
    pub counters: Arc<Counters>,
}

/// The running threads of replication.
#[derive(Debug)]
pub struct FloodThreads {
    flood: Arc<Flood>,
    flooder: JoinHandle<()>,
    dials: Vec<JoinHandle<()>>,
    peers: Option<peer::PeerListener>,
}

impl Flood {
    /// The neighbor of that name.
    pub fn neighbor(&self, name: &[u8]) -> Option<NeighborId> {
        self.links.iter().position(|link| link.neighbor.name.as_bytes() == name).map(NeighborId)
    }

    /// Lets the next neighbor fill us, if it was this one that did.
    pub fn end_filling(&self, id: NeighborId) {
        if self.filling.end(id) {
            for link in &self.links {
                link.outbox.poke();
            }
        }
    }

    /// Logs UPDATE lines that went to or came from a neighbor, a line each.
    fn log_updates(&self, direction: &str, neighbor: &ServerName, lines: &[u8]) {
        if !self.log.wants_traffic() {
            return;
        }
        let stamp = Stamp::of(SystemTime::now());
        let mut text = Vec::with_capacity(lines.len() * 3 / 2);
        let mut count = 0;
        let is_update = |line: &&[u8]| *line != BEAT && !sync::begins(line);
        for line in lines.split_inclusive(|&byte| byte == b'\n').filter(is_update) {
            stamp.begin(Level::Info, &mut text);
            for part in [direction.as_bytes(), b" ", neighbor.as_bytes(), b" "] {
                text.extend_from_slice(part);
            }
            escape_into(line.trim_ascii_end(), &mut text);
            text.push(b'\n');
            count += 1;
        }
        self.log.traffic(&text, count);
    }

    /// Starts the flooder, a thread for each link, and, where neighbors dial, the listener.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn start(
        self: &Arc<Self>,
        batches: Receiver<Batch>,
        sender: &FloodSender,
        listener: Option<TcpListener>,
    ) -> io::Result<FloodThreads> {
        let flood = Arc::clone(self);
        let flooder = threads::spawn("flooder", "", move || {
            flooder::run(&batches, || Box::new(flood.links.iter().map(|link| &link.outbox)));
        })?;
        let mut dials = Vec::new();
        for (at, link) in self.links.iter().enumerate() {
            let flood = Arc::clone(self);
            let name = link.neighbor.name.as_str();
            dials.push(threads::spawn("link", name, move || dial::run(&flood, NeighborId(at)))?);
        }
        let peers = match listener {
            Some(listener) => Some(peer::listen(Arc::clone(self), sender.clone(), listener)?),
            None => None,
        };
        Ok(FloodThreads { flood: Arc::clone(self), flooder, dials, peers })
    }
}

impl FloodThreads {
    /// Ends replication. Neighbors are no longer heard at once; once all senders to the flooder
    /// are gone, what waits is still passed on and sent, until `deadline`. Blocks until the
    /// threads have ended, but not much longer than the deadline.
    pub fn stop(self, deadline: Instant) {
        // Their threads hold senders to the flooder, so they end before it does.
        if let Some(peers) = self.peers {
            peers.stop();
        }
        join_until(vec![self.flooder], deadline);
        for link in &self.flood.links {
            link.stop();
        }
        let late = join_until(self.dials, deadline);
        let lost: usize = self.flood.links.iter().map(|link| link.outbox.len()).sum();
        for link in &self.flood.links {
            link.cut();
        }
        if lost > 0 {
            self.flood.log.event(
                Level::Warn,
                format_args!("stopped with {lost} updates not sent to neighbors, which keep what they have until it starts again"),
            );
        }
        // One that looks a name up cannot be freed; it holds nothing, and ends with the process.
        join_until(late, Instant::now() + Duration::from_millis(500));
    }
}

/// Joins what ends by the deadline, and returns the rest.
fn join_until(mut handles: Vec<JoinHandle<()>>, deadline: Instant) -> Vec<JoinHandle<()>> {
    loop {
        let (ended, running): (Vec<_>, Vec<_>) =
            handles.into_iter().partition(JoinHandle::is_finished);
        for handle in ended {
            // A panic was reported when it happened.
            let _ = handle.join();
        }
        if running.is_empty() || Instant::now() >= deadline {
            return running;
        }
        handles = running;
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Random, from the operating system: new at each start.
///
/// # Errors
///
/// When the operating system has no randomness.
pub fn new_instance() -> io::Result<Instance> {
    getrandom::u64().map(Instance).map_err(io::Error::other)
}

/// Who `name` is to its neighbors, on links.
pub fn hello(name: ServerName, instance: Instance, expire_after: Option<Duration>) -> Hello {
    let expire_after = Lifetime::of(expire_after);
    Hello { name, version: handshake::VERSION, instance, expire_after }
}
