//! Where neighbors dial: a listener of its own, and a reader thread for each accepted link.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::log::Level;
use parking_lot::Mutex;

use super::handshake::{BEAT, Hello};
use super::key::Key;
use super::refusal::{Refusal, Refusals};
use super::repair::Heard;
use super::secure::Channel;
use super::sync::{self, MAX_SYNC_LINE, Message};
use super::{Accepted, Batch, Flood, FloodSender, NeighborId};
use crate::config::LinkKind;
use crate::listening;
use crate::log::Seldom;
use crate::protocol::{Frame, Update};
use crate::records::{Merged, Record};
use crate::threads;

/// Longest time until the HELLO of who dialed is whole.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Accepted connections at a time beyond one for each neighbor: those in handshake, and old ones
/// that a new one has replaced. For one more, that which is longest in its handshake is closed.
pub const SPARE_PEERS: usize = 64;
/// Longest line on a link but for those of [`sync`]: an UPDATE is at most 512 bytes.
const MAX_LINE: usize = 512;
/// How long someone who is refused may take to hear it: a close with unread input would lose the answer.
const HEARS_REFUSAL_WITHIN: Duration = Duration::from_secs(1);
/// How often a link's key is looked for in the key file.
const KEY_LOOKED_FOR_EVERY: Duration = Duration::from_secs(1);
/// Two servers of one name take turns for ever, and that is said once in so long.
const TWO_OF_A_NAME_SAID_EVERY: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;

/// The running listener of links.
#[derive(Debug)]
pub struct PeerListener {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    flood: Arc<Flood>,
    listener: TcpListener,
    is_stopping: AtomicBool,
    /// Every accepted connection, so that its reader can be freed.
    peers: Mutex<HashMap<u64, Peer>>,
    refusals: Refusals,
    two_of_a_name: Seldom,
}

/// An accepted connection, and its reader once that has started.
#[derive(Debug)]
struct Peer {
    stream: Arc<TcpStream>,
    address: SocketAddr,
    /// True once it is known as a neighbor.
    is_greeted: bool,
    reader: Option<JoinHandle<()>>,
}

/// Starts the listener's thread.
///
/// # Errors
///
/// When the system refuses the thread.
pub fn listen(
    flood: Arc<Flood>,
    sender: FloodSender,
    listener: TcpListener,
) -> io::Result<PeerListener> {
    let shared = Arc::new(Shared {
        flood,
        listener,
        is_stopping: AtomicBool::new(false),
        peers: Mutex::default(),
        refusals: Refusals::default(),
        two_of_a_name: Seldom::every(TWO_OF_A_NAME_SAID_EVERY),
    });
    let thread = {
        let shared = Arc::clone(&shared);
        threads::spawn("links", "", move || shared.accept_all(&sender))?
    };
    Ok(PeerListener { shared, thread })
}

impl PeerListener {
    /// Hears neighbors no longer. Blocks until their threads have ended: at once, but for a full
    /// flooder's channel.
    pub fn stop(self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        listening::wake(&self.shared.listener);
        let _ = self.thread.join();
        let peers = std::mem::take(&mut *self.shared.peers.lock());
        for peer in peers.values() {
            let _ = peer.stream.shutdown(Shutdown::Both);
        }
        for reader in peers.into_values().filter_map(|peer| peer.reader) {
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn accept_all(self: &Arc<Self>, sender: &FloodSender) {
        let is_stopping = || self.is_stopping.load(Ordering::SeqCst);
        let mut number = 0;
        listening::accept_all(&self.listener, &self.flood.log, is_stopping, |stream, address| {
            number += 1;
            self.forget_ended();
            let stream = Arc::new(stream);
            if !self.make_room() {
                self.note(&Refusal::TooMany(self.most_peers()), address);
                return;
            }
            let peer =
                Peer { stream: Arc::clone(&stream), address, is_greeted: false, reader: None };
            self.peers.lock().insert(number, peer);
            let reader = {
                let (shared, sender) = (Arc::clone(self), sender.clone());
                threads::spawn("peer", &number.to_string(), move || {
                    shared.serve(&stream, number, address, &sender);
                    let _ = stream.shutdown(Shutdown::Both);
                })
            };
            match reader {
                Ok(reader) => {
                    if let Some(peer) = self.peers.lock().get_mut(&number) {
                        peer.reader = Some(reader);
                    }
                }
                Err(error) => {
                    self.peers.lock().remove(&number);
                    self.flood.log.event(
                        Level::Error,
                        format_args!("links: {address} closed: no thread for it: {error}"),
                    );
                }
            }
        });
    }

    fn most_peers(&self) -> usize {
        self.flood.links.len() + SPARE_PEERS
    }

    /// False if there is no room for one more connection. Strangers who dial and say nothing, however many,
    /// must not keep a neighbor out: whoever is longest in a handshake has to go.
    fn make_room(&self) -> bool {
        let mut peers = self.peers.lock();
        if peers.len() < self.most_peers() {
            return true;
        }
        let in_handshake = peers.iter().filter(|(_, peer)| !peer.is_greeted);
        let Some(longest) = in_handshake.map(|(&number, _)| number).min() else { return false };
        let Some(peer) = peers.remove(&longest) else { return false };
        drop(peers);
        let _ = peer.stream.shutdown(Shutdown::Both);
        self.note(&Refusal::TooMany(self.most_peers()), peer.address);
        if let Some(reader) = peer.reader {
            // At once: nothing holds it but the socket. A panic was reported when it happened.
            let _ = reader.join();
        }
        true
    }

    /// Takes note that a connection is that of a neighbor. False if it had to go before.
    fn is_kept(&self, number: u64, is_greeted: bool) -> bool {
        let mut peers = self.peers.lock();
        let peer = peers.get_mut(&number);
        peer.is_some_and(|peer| {
            peer.is_greeted = is_greeted;
            true
        })
    }

    fn forget_ended(&self) {
        self.peers
            .lock()
            .retain(|_, peer| !peer.reader.as_ref().is_some_and(JoinHandle::is_finished));
    }

    /// One accepted connection, from its HELLO to its end.
    fn serve(
        &self,
        stream: &Arc<TcpStream>,
        number: u64,
        address: SocketAddr,
        sender: &FloodSender,
    ) {
        let log = &self.flood.log;
        let greeted = self.hear_hello(stream, address);
        if !self.is_kept(number, greeted.is_ok()) {
            return;
        }
        let Greeted { mut channel, key, id, hello } = match greeted {
            Ok(greeted) => greeted,
            Err(refusal) => {
                self.note(&refusal, address);
                return;
            }
        };
        let link = &self.flood.links[id.0];
        // Before the answer: a neighbor that has it may dial again, and the later one counts.
        link.repair.dialed(hello.version);
        let registered = link.heard(hello.instance, Arc::clone(stream));
        // The outbox may have stayed open.
        link.outbox.poke();
        log.event(Level::Info, format_args!("link {}: it dialed us from {address}", hello.name));
        if registered.alternates && self.two_of_a_name.says(Instant::now()).is_some() {
            log.event(
                Level::Error,
                format_args!("link {0}: two servers are named {0}: stop or rename one", hello.name),
            );
        }
        let reader = Reader { flood: &self.flood, id, sender, key };
        let ended = channel
            .write_all(&self.flood.me.speaking(hello.version).line())
            .and_then(|()| reader.run(&mut channel, self.flood.settings.timeout));
        if self.is_stopping.load(Ordering::SeqCst) {
            // We end it ourselves: the other direction stays, for what is still to be sent.
            return;
        }
        let was_silent = ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::TimedOut);
        if link.lost(registered.number, was_silent) {
            let reason = ended.err().map_or_else(|| "it closed".into(), |error| error.to_string());
            log.event(
                Level::Warn,
                format_args!("link {}: not heard any more: {reason}", hello.name),
            );
            link.history.unheard(&reason);
        }
    }

    /// Counts a refusal, and logs it if its kind was not logged just now.
    fn note(&self, refusal: &Refusal, address: SocketAddr) {
        self.flood.counters.refused_links.add(1);
        if let Some(said) = self.refusals.says(refusal, Instant::now()) {
            self.flood.log.event(Level::Warn, format_args!("links: {address} refused: {said}"));
        }
    }

    /// Reads who it is, and answers with why not if it may not be here.
    fn hear_hello(&self, stream: &Arc<TcpStream>, address: SocketAddr) -> Result<Greeted, Refusal> {
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(HANDSHAKE_TIMEOUT))?;
        let keys = self.flood.keys.as_ref().map(|file| file.keys(&self.flood.log));
        let (mut channel, key) = Channel::accept(Arc::clone(stream), keys.as_deref(), deadline)
            .inspect_err(|refusal| tell(refusal, &mut Channel::clear(Arc::clone(stream))))?;
        let admitted =
            channel.read_hello(deadline).and_then(|line| self.admit(&line, address, stream));
        match admitted {
            Ok((id, hello)) => Ok(Greeted { channel, key, id, hello }),
            Err(refusal) => {
                tell(&refusal, &mut channel);
                Err(refusal)
            }
        }
    }

    fn admit(
        &self,
        line: &[u8],
        address: SocketAddr,
        stream: &TcpStream,
    ) -> Result<(NeighborId, Hello), Refusal> {
        if self.flood.keys.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(Refusal::OtherMachine);
        }
        let hello = Hello::parse(line)?;
        if hello.instance == self.flood.me.instance {
            return Err(Refusal::Itself(hello.name));
        }
        let id = self.flood.neighbor(hello.name.as_bytes());
        let is_herd = |id: &NeighborId| self.flood.links[id.0].neighbor.kind == LinkKind::Herd;
        let Some(id) = id.filter(is_herd) else {
            return Err(Refusal::Stranger(hello.name, self.flood.me.name.clone()));
        };
        // After a freeze of ours, HELLOs of runs that are gone wait to be read. They must neither replace
        // the connection of the run that is there now, nor make it look like two servers of one name.
        if has_closed(stream) {
            let reason = "it closed before our answer";
            return Err(io::Error::new(ErrorKind::UnexpectedEof, reason).into());
        }
        Ok((id, hello))
    }
}

/// A neighbor that may be here.
struct Greeted {
    channel: Channel,
    /// The one of our keys that it has.
    key: Option<Key>,
    id: NeighborId,
    hello: Hello,
}

/// Tells who dialed why it is refused, so that it arrives: what else it says is read, within bounds.
fn tell(refusal: &Refusal, channel: &mut Channel) {
    if !refusal.is_worth_telling() {
        return;
    }
    let _ = channel.socket().set_write_timeout(Some(HEARS_REFUSAL_WITHIN));
    let deadline = Instant::now() + HEARS_REFUSAL_WITHIN;
    if channel.write_all(format!("? {refusal}\n").as_bytes()).is_err() {
        return;
    }
    let mut socket = channel.socket();
    let _ = socket.shutdown(Shutdown::Write);
    let mut discarded = [0; 1024];
    for _ in 0..64 {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || socket.set_read_timeout(Some(left)).is_err() {
            return;
        }
        if !matches!(socket.read(&mut discarded), Ok(1..)) {
            return;
        }
    }
}

/// True if the other side has ended the connection, and nothing that it said before is unread.
fn has_closed(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let _ = stream.set_nonblocking(false);
    match peeked {
        Ok(length) => length == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

/// Reads updates of one neighbor and merges them.
#[doc(hidden)] // `pub` for the tests that draw schedules, which have no sockets.
pub struct Reader<'a> {
    pub flood: &'a Flood,
    pub id: NeighborId,
    pub sender: &'a FloodSender,
    pub key: Option<Key>,
}

impl Reader<'_> {
    /// Until the connection ends, says something wrong, or is silent for `timeout`.
    fn run(&self, stream: &mut Channel, timeout: Duration) -> io::Result<()> {
        stream.socket().set_read_timeout(Some(timeout))?;
        let mut key_looked_for = Instant::now();
        let mut buffer = vec![0; READ_BYTES];
        let mut filled = 0;
        loop {
            let length = match stream.read(&mut buffer[filled..]) {
                Ok(0) if filled > 0 => {
                    return Err(io::Error::new(
                        ErrorKind::UnexpectedEof,
                        "it closed in the middle of a line",
                    ));
                }
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let silence = format!("silent for {}", humantime::format_duration(timeout));
                    return Err(io::Error::new(ErrorKind::TimedOut, silence));
                }
                Err(error) => return Err(error),
            };
            if key_looked_for.elapsed() >= KEY_LOOKED_FOR_EVERY {
                self.look_for_key()?;
                key_looked_for = Instant::now();
            }
            filled += length;
            let taken = self.merge_lines(&buffer[..filled])?;
            buffer.copy_within(taken..filled, 0);
            filled -= taken;
        }
    }

    /// An error if the key of this link has been removed from the key file. A link says something at least
    /// once a second, so this is noticed soon.
    fn look_for_key(&self) -> io::Result<()> {
        let (Some(file), Some(key)) = (&self.flood.keys, &self.key) else { return Ok(()) };
        if file.keys(&self.flood.log).all().contains(key) {
            return Ok(());
        }
        let reason = "its key is not in the key file any more";
        Err(io::Error::new(ErrorKind::PermissionDenied, reason))
    }

    /// Merges every whole line, and returns how many bytes these were.
    pub fn merge_lines(&self, input: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        let mut records = Vec::new();
        let mut batch = Vec::new();
        let mut received = 0;
        let outcome = loop {
            let rest = &input[taken..];
            let max_line = if sync::begins(rest) { MAX_SYNC_LINE } else { MAX_LINE };
            match Frame::first(rest, max_line) {
                Frame::Partial => break Ok(taken),
                Frame::TooLong(line) => break Err(bad_line(line)),
                Frame::Line(line) => {
                    if rest.starts_with(BEAT) {
                        taken += BEAT.len();
                        continue;
                    }
                    if sync::begins(rest) {
                        self.merge(&mut records, &mut batch);
                        if let Err(error) = self.hear(line) {
                            break Err(error);
                        }
                        taken += line.len() + 1;
                        continue;
                    }
                    match Update::parse(line) {
                        Some(update) => records.push(Record::new(&update.fields())),
                        None => break Err(bad_line(line)),
                    }
                    received += 1;
                    taken += line.len() + 1;
                }
            }
        };
        self.merge(&mut records, &mut batch);
        let link = &self.flood.links[self.id.0];
        link.received.fetch_add(received, Ordering::Relaxed);
        if received > 0 {
            self.flood.filling.moved(self.id, Instant::now());
        }
        self.flood.log_updates("from", &link.neighbor.name, &input[..taken]);
        if !batch.is_empty() {
            // Blocks while the flooder is behind; it never waits for a connection. An error means
            // that the server stops.
            let _ = self.sender.send(batch);
        }
        outcome
    }

    /// Takes in a line of digest sync, and leaves what is to be said about it to the thread that writes.
    fn hear(&self, line: &[u8]) -> io::Result<()> {
        let Some(message) = Message::parse(line) else { return Err(bad_line(line)) };
        let link = &self.flood.links[self.id.0];
        match link.repair.hear(message, &self.flood.records) {
            Ok(Heard::Nothing) => {}
            Ok(Heard::Work) => link.outbox.poke(),
            Ok(Heard::Synced) => link.history.synced(),
            Ok(Heard::Repaired) => {
                link.history.synced();
                self.flood.end_filling(self.id);
                let name = &link.neighbor.name;
                let message = format_args!("link {name}: it has sent all that differed");
                self.flood.log.event(Level::Debug, message);
            }
            Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
        }
        Ok(())
    }

    /// Merges what UPDATE lines brought, and leaves those to flood that were newer.
    fn merge(&self, records: &mut Vec<Record>, newer: &mut Batch) {
        let mut merged = Vec::with_capacity(records.len());
        self.flood.records.merge_all(records, &mut merged);
        let from = Some(self.id);
        for (record, merged) in records.drain(..).zip(merged) {
            if matches!(merged, Merged::Stored { .. }) {
                newer.push(Accepted { record, from });
            }
        }
    }
}

fn bad_line(line: &[u8]) -> io::Error {
    let start = &line[..line.len().min(80)];
    io::Error::new(
        ErrorKind::InvalidData,
        format!("a line that is no UPDATE: {:?}", start.escape_ascii().to_string()),
    )
}
