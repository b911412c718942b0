//! One direction of a link through a proxy that can be made to fail: what one server dials instead of the
//! other. Each connection is a pair of threads.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;

/// How often a thread that waits looks whether the wire's condition has changed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Longest wait for the server behind the wire.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Most bytes in one piece; a piece is delayed as a whole.
const PIECE_BYTES: usize = 8 * 1024;

/// What happens to the bytes of a wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Condition {
    Whole,
    /// Connections end, and new ones do at once: by RST, or by FIN.
    Cut {
        by_reset: bool,
    },
    /// What goes these ways vanishes, and nobody is told.
    Swallowed {
        forth: bool,
        back: bool,
    },
    /// Each piece waits so long.
    Slow(Duration),
    /// Few bytes a second get through.
    Narrow {
        bytes_per_second: u32,
    },
    /// About one in so many bytes is spoilt.
    Garbled {
        one_in: u32,
        spoils: Spoils,
    },
}

/// How a byte is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoils {
    /// A bit of it is another. Only for links with a key: in clear, a line with another digit
    /// in it is as good as any.
    Flips,
    /// Fields are put in before it, so that no line stays valid.
    Inserts,
}

/// A listener in place of a server's links address, until it is dropped.
pub(super) struct Wire {
    /// Where to dial.
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    to: SocketAddr,
    condition: Mutex<Condition>,
    is_over: AtomicBool,
}

impl Shared {
    fn condition(&self) -> Condition {
        *self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    /// # Errors
    ///
    /// When the system gives no port or no thread.
    pub(super) fn new(to: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            to,
            condition: Mutex::new(Condition::Whole),
            is_over: AtomicBool::new(false),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name("wire".into())
                .spawn(move || accept(&listener, &shared, seed))?
        };
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    pub(super) fn set(&self, condition: Condition) {
        *self.shared.condition.lock().unwrap_or_else(PoisonError::into_inner) = condition;
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Frees it from accept.
        let _ = TcpStream::connect_timeout(&self.address, CONNECT_TIMEOUT);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let mut pumps: Vec<JoinHandle<()>> = Vec::new();
    for stream in listener.incoming() {
        if shared.is_over.load(Ordering::SeqCst) {
            break;
        }
        pumps.retain(|pump| !pump.is_finished());
        let Ok(near) = stream else { continue };
        if let Condition::Cut { by_reset } = shared.condition() {
            close(&near, by_reset);
            continue;
        }
        let (shared, rng) = (Arc::clone(shared), rng.fork());
        let pump = thread::Builder::new().name("wire-pair".into());
        pumps.extend(pump.spawn(move || connect(near, &shared, rng)));
    }
    for pump in pumps {
        let _ = pump.join();
    }
}

/// Passes on, both ways, what comes on a connection, until it ends.
fn connect(near: TcpStream, shared: &Shared, mut rng: Rng) {
    let far = match TcpStream::connect_timeout(&shared.to, CONNECT_TIMEOUT) {
        Ok(far) => far,
        Err(_) => return close(&near, true),
    };
    for stream in [&near, &far] {
        let set = stream.set_nodelay(true);
        let set = set.and(stream.set_read_timeout(Some(LOOK_EVERY)));
        if set.and(stream.set_write_timeout(Some(LOOK_EVERY))).is_err() {
            return close(&near, true);
        }
    }
    let is_over = AtomicBool::new(false);
    let back = rng.fork();
    thread::scope(|scope| {
        let pump = |from, to, is_forth, rng| {
            let pump = Pump { from, to, is_forth, shared, is_over: &is_over, rng };
            move || pump.run()
        };
        let spawned = thread::Builder::new()
            .name("wire-back".into())
            .spawn_scoped(scope, pump(&far, &near, false, back));
        if spawned.is_err() {
            is_over.store(true, Ordering::SeqCst);
        }
        pump(&near, &far, true, rng)();
    });
    let has_failed = is_over.load(Ordering::SeqCst);
    let by_reset = has_failed && shared.condition() != Condition::Cut { by_reset: false };
    close(&near, by_reset);
    close(&far, by_reset);
}

/// One way of a connection.
struct Pump<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    is_forth: bool,
    shared: &'a Shared,
    /// Set when either way fails; both end then.
    is_over: &'a AtomicBool,
    rng: Rng,
}

impl Pump<'_> {
    fn run(mut self) {
        if self.pass().is_err() {
            self.is_over.store(true, Ordering::SeqCst);
        }
        // Else it has ended well, which the other side is told, and the other way goes on.
    }

    fn pass(&mut self) -> io::Result<()> {
        let mut buffer = [0; PIECE_BYTES];
        let mut has_swallowed = false;
        while !self.is_ended() {
            let length = match (&mut &*self.from).read(&mut buffer) {
                Ok(0) => return self.to.shutdown(Shutdown::Write),
                Ok(length) => length,
                Err(error) if is_timeout(&error) => 0,
                Err(error) => return Err(error),
            };
            let condition = self.shared.condition();
            let is_swallowed = match condition {
                Condition::Swallowed { forth, back } => {
                    if self.is_forth {
                        forth
                    } else {
                        back
                    }
                }
                _ => false,
            };
            if is_swallowed {
                has_swallowed |= length > 0;
                continue;
            }
            // No real connection goes on with a gap: two halves of lines would make one that nobody sent.
            if has_swallowed {
                break;
            }
            if length > 0 {
                self.hand_on(&buffer[..length], condition)?;
            }
        }
        Err(ErrorKind::ConnectionAborted.into())
    }

    fn hand_on(&mut self, piece: &[u8], condition: Condition) -> io::Result<()> {
        match condition {
            Condition::Slow(delay) => {
                self.pause(delay);
                self.write(piece)
            }
            Condition::Narrow { bytes_per_second } => {
                for some in piece.chunks((bytes_per_second / 20).max(1) as usize) {
                    self.pause(Duration::from_millis(50));
                    self.write(some)?;
                }
                Ok(())
            }
            Condition::Garbled { one_in, spoils } => {
                let garbled = garble(piece, one_in, spoils, &mut self.rng);
                self.write(&garbled)
            }
            _ => self.write(piece),
        }
    }

    /// Ends early with the connection.
    fn pause(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() && !self.is_ended() {
            let part = left.min(LOOK_EVERY);
            thread::sleep(part);
            left -= part;
        }
    }

    /// Waits for room, but not longer than the connection goes.
    fn write(&self, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() {
            if self.is_ended() {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            match (&mut &*self.to).write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => piece = &piece[length..],
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn is_ended(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
            || self.shared.is_over.load(Ordering::SeqCst)
            || matches!(self.shared.condition(), Condition::Cut { .. })
    }
}

fn garble(piece: &[u8], one_in: u32, spoils: Spoils, rng: &mut Rng) -> Vec<u8> {
    let mut garbled = Vec::with_capacity(piece.len() + 16);
    for byte in piece {
        let is_spoilt = rng.u32(..one_in) == 0;
        match spoils {
            Spoils::Flips if is_spoilt => garbled.push(byte ^ (1 << rng.u8(..8))),
            Spoils::Inserts => {
                if is_spoilt {
                    // One field too many in any line, and no number, name or location is left of the
                    // field that it splits in two.
                    garbled.extend_from_slice(b"~ ~ ~");
                }
                garbled.push(*byte);
            }
            Spoils::Flips => garbled.push(*byte),
        }
    }
    garbled
}

/// With RST, or with FIN.
fn close(stream: &TcpStream, by_reset: bool) {
    if by_reset {
        let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
    } else {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
