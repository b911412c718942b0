//! Clients that mean ill, beside those that are measured: some never end their line, some never read.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::{LoadError, TIMEOUT};

/// How often each has its turn: a drip-feeding one sends a byte, one that never reads as much as is
/// taken.
const EVERY: Duration = Duration::from_secs(1);

/// Longest wait until all is sent that is taken: less than the server's `write_timeout` takes to close
/// the first.
const SETTLE_WITHIN: Duration = Duration::from_secs(20);

/// A server that is busy with many of them may take this long to come back to one.
const SETTLED_FOR: Duration = Duration::from_secs(3);

/// Turns are spread over [`EVERY`] in so many parts, so that they do not come all at once.
const PARTS: usize = 100;

/// Bytes of the buffers of a client that never reads. They lie in the kernel of the same machine, and
/// are none of the server's cost.
const BUFFER_BYTES: usize = 64 * 1024;

/// Short commands with longer replies.
const COMMANDS: &[u8] = b"IAMAT abuser +34.068930-118.445127 1700000000.000000001\n";

/// Abusers at work, until this is dropped. Those that the server closes come back.
pub(crate) struct Abusers {
    is_over: Arc<AtomicBool>,
    came_back: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// How many there are of each kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abuse {
    pub(crate) dripping: usize,
    pub(crate) mute: usize,
}

struct Abuser {
    is_mute: bool,
    /// `None` once the server has closed it.
    stream: Option<TcpStream>,
    /// Bytes sent, so that commands are whole over several turns.
    sent: usize,
}

impl Abusers {
    /// Connects all of them, and returns once those that never read can send no more, or after
    /// [`SETTLE_WITHIN`].
    ///
    /// # Errors
    ///
    /// [`LoadError::Connect`]
    pub(crate) fn start(address: &str, abuse: Abuse) -> Result<Self, LoadError> {
        let failed = |error| LoadError::Connect(address.to_owned(), error);
        let to = address.to_socket_addrs().map_err(failed)?.next();
        let to = to.ok_or_else(|| failed(ErrorKind::NotFound.into()))?;
        // If it stays too low, connecting says so.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        let kinds = [(false, abuse.dripping), (true, abuse.mute)];
        let mut abusers = Vec::new();
        for (is_mute, count) in kinds {
            for _ in 0..count {
                let stream = Some(connect(to).map_err(failed)?);
                abusers.push(Abuser { is_mute, stream, sent: 0 });
            }
        }
        let (is_over, came_back) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        settle(&mut abusers);
        let thread = {
            let (is_over, came_back) = (Arc::clone(&is_over), Arc::clone(&came_back));
            thread::spawn(move || work(&mut abusers, to, &is_over, &came_back))
        };
        Ok(Self { is_over, came_back, thread: Some(thread) })
    }

    /// How often one was closed and connected again, so far.
    pub(crate) fn came_back(&self) -> usize {
        self.came_back.load(Ordering::Relaxed)
    }
}

impl Drop for Abusers {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Turns until nobody has sent more for [`SETTLED_FOR`].
fn settle(abusers: &mut [Abuser]) {
    let begin = Instant::now();
    let mut since = begin;
    while since.elapsed() < SETTLED_FOR && begin.elapsed() < SETTLE_WITHIN {
        for abuser in abusers.iter_mut().filter(|abuser| abuser.is_mute) {
            let before = abuser.sent;
            abuser.turn();
            if abuser.sent > before {
                since = Instant::now();
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn work(abusers: &mut [Abuser], to: SocketAddr, is_over: &AtomicBool, came_back: &AtomicUsize) {
    let mut due = Instant::now();
    for part in (0..PARTS).cycle() {
        for abuser in abusers.iter_mut().skip(part).step_by(PARTS) {
            if abuser.stream.is_none()
                && let Ok(stream) = connect(to)
            {
                *abuser = Abuser { stream: Some(stream), sent: 0, ..*abuser };
                came_back.fetch_add(1, Ordering::Relaxed);
            }
            abuser.turn();
        }
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        due += EVERY / PARTS as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_send_buffer_size(BUFFER_BYTES)?;
    socket.set_recv_buffer_size(BUFFER_BYTES)?;
    socket.connect_timeout(&to.into(), TIMEOUT)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl Abuser {
    fn turn(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let outcome = if self.is_mute {
            pump(stream, &mut self.sent)
        } else {
            stream.write(b"x").map(|_| ())
        };
        if outcome.is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
            self.stream = None;
        }
    }
}

/// Sends until no more is taken.
fn pump(stream: &mut TcpStream, sent: &mut usize) -> io::Result<()> {
    let commands = COMMANDS.repeat(BUFFER_BYTES / COMMANDS.len());
    loop {
        *sent += stream.write(&commands[*sent % commands.len()..])?;
    }
}
