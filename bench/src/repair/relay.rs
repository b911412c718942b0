//! What stands between two servers: it passes bytes on, counts them, and can be cut.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// One way to one address; cut at first. Its threads end with the process.
pub(super) struct Relay {
    /// Where it is dialed.
    pub(super) address: SocketAddr,
    state: Arc<State>,
}

struct State {
    target: SocketAddr,
    is_cut: AtomicBool,
    bytes: AtomicU64,
    streams: Mutex<Vec<Arc<TcpStream>>>,
}

impl Relay {
    pub(super) fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (is_cut, bytes) = (AtomicBool::new(true), AtomicU64::new(0));
        let state = Arc::new(State { target, is_cut, bytes, streams: Mutex::default() });
        {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    // What fails here is closed, and dialed again.
                    let _ = state.relay(stream);
                }
            });
        }
        Ok(Self { address, state })
    }

    pub(super) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        for stream in self.state.streams().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes connections from now on, and counts from here.
    pub(super) fn heal(&self) {
        self.state.bytes.store(0, Ordering::SeqCst);
        self.state.is_cut.store(false, Ordering::SeqCst);
    }

    /// Bytes that went through, either way.
    pub(super) fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::SeqCst)
    }
}

impl State {
    fn streams(&self) -> std::sync::MutexGuard<'_, Vec<Arc<TcpStream>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn relay(self: &Arc<Self>, dialed: TcpStream) -> io::Result<()> {
        let onward = TcpStream::connect(self.target)?;
        let (dialed, onward) = (Arc::new(dialed), Arc::new(onward));
        let mut streams = self.streams();
        if self.is_cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        streams.extend([Arc::clone(&dialed), Arc::clone(&onward)]);
        drop(streams);
        for (from, to) in [(Arc::clone(&dialed), Arc::clone(&onward)), (onward, dialed)] {
            from.set_nodelay(true)?;
            let state = Arc::clone(self);
            thread::spawn(move || {
                // Either side sees how the other one ended.
                let _ = state.pass_on(&from, &to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
        Ok(())
    }

    fn pass_on(&self, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from.read(&mut buffer)?;
            if length == 0 {
                return Ok(());
            }
            to.write_all(&buffer[..length])?;
            self.bytes.fetch_add(length as u64, Ordering::SeqCst);
        }
    }
}
