//! Where neighbors dial: a listener of its own, and a reader thread for each accepted link.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ::log::Level;
use parking_lot::Mutex;

use super::dial::read_line;
use super::handshake::{BEAT, Hello};
use super::{Accepted, Flood, FloodSender, NeighborId};
use crate::config::LinkKind;
use crate::listening;
use crate::protocol::{Frame, Update};
use crate::records::{Merged, Record};
use crate::threads;

/// Longest wait for the HELLO of who dialed.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Accepted connections at a time beyond one for each neighbor: those in handshake, and old ones
/// that a new one has replaced. More are closed at once.
pub const SPARE_PEERS: usize = 64;
/// Longest line on a link: an UPDATE is at most 512 bytes.
const MAX_LINE: usize = 512;
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
}

/// An accepted connection, and its reader once that has started.
#[derive(Debug)]
struct Peer {
    stream: Arc<TcpStream>,
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
            let most = self.flood.links.len() + SPARE_PEERS;
            if self.peers.lock().len() >= most {
                self.flood.log.event(
                    Level::Warn,
                    format_args!(
                        "links: {address} closed: {most} connections of neighbors are open already"
                    ),
                );
                return;
            }
            self.peers.lock().insert(number, Peer { stream: Arc::clone(&stream), reader: None });
            let reader = {
                let (shared, sender) = (Arc::clone(self), sender.clone());
                threads::spawn("peer", &number.to_string(), move || {
                    shared.serve(&stream, address, &sender);
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

    fn forget_ended(&self) {
        self.peers
            .lock()
            .retain(|_, peer| !peer.reader.as_ref().is_some_and(JoinHandle::is_finished));
    }

    /// One accepted connection, from its HELLO to its end.
    fn serve(&self, stream: &Arc<TcpStream>, address: SocketAddr, sender: &FloodSender) {
        let log = &self.flood.log;
        let (id, hello) = match self.hear_hello(stream, address) {
            Ok(heard) => heard,
            Err(error) => {
                log.event(Level::Warn, format_args!("links: {address} refused: {error}"));
                return;
            }
        };
        let link = &self.flood.links[id.0];
        // Before the answer: a neighbor that has it may dial again, and the later one counts.
        let registered = link.heard(hello.instance, Arc::clone(stream));
        log.event(Level::Info, format_args!("link {}: it dialed us from {address}", hello.name));
        if registered.alternates {
            log.event(
                Level::Error,
                format_args!("link {0}: two servers are named {0}: stop or rename one", hello.name),
            );
        }
        let reader = Reader { flood: &self.flood, id, sender };
        let ended = (&**stream)
            .write_all(&self.flood.me.line())
            .and_then(|()| reader.run(stream, self.flood.settings.timeout));
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
        }
    }

    /// Reads who it is, and answers with why not if it may not be here.
    fn hear_hello(
        &self,
        stream: &TcpStream,
        address: SocketAddr,
    ) -> io::Result<(NeighborId, Hello)> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(HANDSHAKE_TIMEOUT))?;
        let line = read_line(stream, HANDSHAKE_TIMEOUT)?;
        self.admit(&line, address).map_err(|reason| {
            let _ = (&*stream).write_all(format!("? {reason}\n").as_bytes());
            io::Error::other(reason)
        })
    }

    fn admit(&self, line: &[u8], address: SocketAddr) -> Result<(NeighborId, Hello), String> {
        if !address.ip().to_canonical().is_loopback() {
            return Err("links are for this machine only".into());
        }
        let hello = Hello::parse(line).map_err(|error| error.to_string())?;
        if hello.instance == self.flood.me.instance {
            return Err(format!("it is {} itself: correct its neighbors' addresses", hello.name));
        }
        let id = self.flood.neighbor(hello.name.as_bytes());
        let is_herd = |id: &NeighborId| self.flood.links[id.0].neighbor.kind == LinkKind::Herd;
        match id.filter(is_herd) {
            Some(id) => Ok((id, hello)),
            None => {
                Err(format!("{} is no neighbor of {} in its conf", hello.name, self.flood.me.name))
            }
        }
    }
}

/// Reads updates of one neighbor and merges them.
struct Reader<'a> {
    flood: &'a Flood,
    id: NeighborId,
    sender: &'a FloodSender,
}

impl Reader<'_> {
    /// Until the connection ends, says something wrong, or is silent for `timeout`.
    fn run(&self, mut stream: &TcpStream, timeout: Duration) -> io::Result<()> {
        stream.set_read_timeout(Some(timeout))?;
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
            filled += length;
            let taken = self.merge_lines(&buffer[..filled])?;
            buffer.copy_within(taken..filled, 0);
            filled -= taken;
        }
    }

    /// Merges every whole line, and returns how many bytes these were.
    fn merge_lines(&self, input: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        let mut batch = Vec::new();
        let mut received = 0;
        let outcome = loop {
            match Frame::first(&input[taken..], MAX_LINE) {
                Frame::Partial => break Ok(taken),
                Frame::TooLong(line) => break Err(bad_line(line)),
                Frame::Line(line) => {
                    if input[taken..].starts_with(BEAT) {
                        taken += BEAT.len();
                        continue;
                    }
                    match self.merge_line(line) {
                        Some(accepted) => batch.extend(accepted),
                        None => break Err(bad_line(line)),
                    }
                    received += 1;
                    taken += line.len() + 1;
                }
            }
        };
        let link = &self.flood.links[self.id.0];
        link.received.fetch_add(received, Ordering::Relaxed);
        self.flood.log_updates("from", &link.neighbor.name, &input[..taken]);
        if !batch.is_empty() {
            // Blocks while the flooder is behind; it never waits for a connection. An error means
            // that the server stops.
            let _ = self.sender.send(batch);
        }
        outcome
    }

    /// What an UPDATE line brought: a record to flood, if it was newer. `None` for other lines.
    fn merge_line(&self, line: &[u8]) -> Option<Option<Accepted>> {
        let record = Record::new(&Update::parse(line)?.fields());
        let is_newer = matches!(self.flood.records.merge(&record), Merged::Stored { .. });
        Some(is_newer.then_some(Accepted { record, from: Some(self.id) }))
    }
}

fn bad_line(line: &[u8]) -> io::Error {
    let start = &line[..line.len().min(80)];
    io::Error::new(
        ErrorKind::InvalidData,
        format!("a line that is no UPDATE: {:?}", start.escape_ascii().to_string()),
    )
}
