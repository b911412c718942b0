//! The listener of clients: accepts for ever, and refuses what is over `max_connections` and
//! `max_connections_per_address`.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ::log::Level;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use socket2::SockRef;

use super::addresses::{ClientAddress, Present};
use super::exceeded::Limit;
use super::open::Open;
use super::pool::Pool;
use super::session::Session;
use super::shared::{LINGER, LINGER_BYTES, Shared};
use crate::listening;
use crate::protocol::reply::TOO_MANY_CONNECTIONS;

/// Refused connections that are seen off at a time; more are closed without a word.
const REFUSED_AT_ONCE: usize = 256;

/// Refused connections that are open at a time, at most: on their way and being seen off.
pub const REFUSED: usize = 2 * REFUSED_AT_ONCE;

/// Bytes of replies that the kernel takes for a client beyond what the client has room for.
const UNSENT_BYTES: u32 = 128 * 1024;

/// Bytes of a refused connection that are discarded at a time; 20 times a second, so that
/// [`LINGER_BYTES`] go within [`LINGER`].
const DISCARDED_AT_ONCE: usize = 64 * 1024;

/// Accepts until the server stops.
pub fn run(shared: &Arc<Shared>, listener: &TcpListener, pool: &Pool, refused: &Sender<TcpStream>) {
    listening::accept_all(
        listener,
        &shared.log,
        || shared.is_stopping(),
        |stream, peer| match room_for(shared, peer) {
            Ok(present) => {
                if let Err(error) = admit(shared, pool, stream, peer, present) {
                    let message = format_args!("connection {peer} lost: {error}");
                    shared.log.event(Level::Warn, message);
                }
            }
            Err(limit) => {
                shared.exceeded(limit, peer);
                if let Err(TrySendError::Full(stream)) = refused.try_send(stream) {
                    drop(stream);
                }
            }
        },
    );
}

/// The place of a connection in the count of its address, if that counts; or the limit that it is
/// over. Only the listener adds to these counts.
fn room_for(shared: &Shared, peer: SocketAddr) -> Result<Option<Present>, Limit> {
    if shared.connections.load(Ordering::SeqCst) >= shared.pool.max_connections {
        return Err(Limit::Connections);
    }
    let Some(address) = ClientAddress::of(peer.ip()) else { return Ok(None) };
    let present = shared.addresses.enter(address, shared.pool.max_connections_per_address);
    present.map(Some).ok_or(Limit::ConnectionsPerAddress)
}

/// Else the kernel takes megabytes for each client that does not read, in memory that all connections
/// share. What is under way to a client that reads is not bounded by this.
fn bound_unsent(stream: &TcpStream) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES)?;
    Ok(())
}

fn admit(
    shared: &Arc<Shared>,
    pool: &Pool,
    stream: TcpStream,
    peer: SocketAddr,
    present: Option<Present>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    bound_unsent(&stream)?;
    shared.counters.connections.add(1);
    shared.log.event(Level::Info, format_args!("connection {peer} opened"));
    let session = Session::new(peer);
    match pool {
        Pool::Lots { lots, .. } => lots.admit(shared, stream, session, present)?,
        Pool::Pinned { threads, pinned } => {
            let open = Open::count([Arc::clone(&shared.connections)], present);
            let (shared, pinned) = (Arc::clone(shared), Arc::clone(pinned));
            threads.execute(move || pinned.serve(&shared, stream, session, open));
        }
    }
    Ok(())
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
