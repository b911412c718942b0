//! The listener of clients: accepts for ever, and refuses what is over `max_connections`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ::log::Level;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

use super::connection::Connection;
use super::lot::Arrival;
use super::open::Open;
use super::pool::Pool;
use super::session::Session;
use super::shared::{LINGER, LINGER_BYTES, Shared};
use crate::listening;
use crate::protocol::reply::TOO_MANY_CONNECTIONS;

/// Refused connections that are seen off at a time; more are closed without a word.
const REFUSED_AT_ONCE: usize = 256;

/// Bytes of a refused connection that are discarded at a time; 20 times a second, so that
/// [`LINGER_BYTES`] go within [`LINGER`].
const DISCARDED_AT_ONCE: usize = 64 * 1024;

/// Accepts until the server stops.
pub fn run(shared: &Arc<Shared>, listener: &TcpListener, pool: &Pool, refused: &Sender<TcpStream>) {
    let mut refusals = Refusals { count: 0, said: None };
    listening::accept_all(
        listener,
        &shared.log,
        || shared.is_stopping(),
        |stream, peer| {
            if shared.connections.load(Ordering::SeqCst) >= shared.pool.max_connections {
                refusals.note(shared, peer);
                if let Err(TrySendError::Full(stream)) = refused.try_send(stream) {
                    drop(stream);
                }
            } else if let Err(error) = admit(shared, pool, stream, peer) {
                shared.log.event(Level::Warn, format_args!("connection {peer} lost: {error}"));
            }
        },
    );
}

fn admit(shared: &Arc<Shared>, pool: &Pool, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    shared.log.event(Level::Info, format_args!("connection {peer} opened"));
    let session = Session::new(peer);
    match pool {
        Pool::Lots { lots, .. } => {
            let (_, door) = lots.emptiest();
            let open = Open::count([Arc::clone(&shared.connections), Arc::clone(&door.open)]);
            let connection = Connection::new(stream, session, open)?;
            door.send(Arrival::New(Box::new(connection)));
        }
        Pool::Pinned { threads, pinned } => {
            let open = Open::count([Arc::clone(&shared.connections)]);
            let (shared, pinned) = (Arc::clone(shared), Arc::clone(pinned));
            threads.execute(move || pinned.serve(&shared, stream, session, open));
        }
    }
    Ok(())
}

/// Counts refusals, and says so in the log once in ten seconds.
struct Refusals {
    count: u64,
    said: Option<Instant>,
}

impl Refusals {
    fn note(&mut self, shared: &Shared, peer: SocketAddr) {
        self.count += 1;
        if self.said.is_none_or(|when| when.elapsed() > Duration::from_secs(10)) {
            self.said = Some(Instant::now());
            shared.log.event(
                Level::Warn,
                format_args!(
                    "connection {peer} refused: {} are open, as many as [pool] max_connections allows; {} refused since the start",
                    shared.pool.max_connections, self.count
                ),
            );
        }
    }
}

/// A channel for connections to be refused.
pub fn refusal_channel() -> (Sender<TcpStream>, Receiver<TcpStream>) {
    crossbeam_channel::bounded(REFUSED_AT_ONCE)
}

/// The thread that sees refused connections off: tells them why, and discards what they send
/// until they close, so that the reply arrives. Ends when the listener has.
pub fn see_off(refused: &Receiver<TcpStream>) {
    let mut leaving: Vec<(TcpStream, Instant, usize)> = Vec::new();
    let mut buffer = vec![0; DISCARDED_AT_ONCE];
    loop {
        // Looks at those that leave every 50 ms; without any it only waits.
        let patience =
            if leaving.is_empty() { Duration::from_secs(3600) } else { Duration::from_millis(50) };
        match refused.recv_timeout(patience) {
            Ok(stream) if leaving.len() < REFUSED_AT_ONCE => {
                if say_why(&stream).is_ok() {
                    leaving.push((stream, Instant::now() + LINGER, 0));
                }
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        leaving.retain_mut(|(stream, deadline, discarded)| match stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                *discarded += length;
                *discarded <= LINGER_BYTES && Instant::now() < *deadline
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock && Instant::now() < *deadline,
        });
    }
}

fn say_why(mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    stream.write_all(TOO_MANY_CONNECTIONS)?;
    stream.shutdown(Shutdown::Write)
}
