//! A proxy between two servers that keeps what passes, and can change it and cut it off.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::ports;

/// It runs until the test's process ends; its connections end with those of the servers.
pub(crate) struct Recorder {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Where it leads; who dials before this is known is sent away.
    target: Mutex<Option<SocketAddr>>,
    /// All that passed, both ways.
    seen: Mutex<Vec<u8>>,
    /// The next bytes on their way to the target are to be changed.
    changes_next: Mutex<bool>,
    /// Both sides of every connection since the last cut.
    streams: Mutex<Vec<Arc<TcpStream>>>,
}

impl Recorder {
    pub(crate) fn start() -> Self {
        let listener = ports::listener();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let accepts = Arc::clone(&shared);
        thread::spawn(move || accept_all(&listener, &accepts));
        Self { addr, shared }
    }

    pub(crate) fn lead_to(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap() = Some(target);
    }

    pub(crate) fn change_next(&self) {
        *self.shared.changes_next.lock().unwrap() = true;
    }

    /// Ends the connections that there are.
    pub(crate) fn cut(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many bytes have passed, and whether some of them were these.
    pub(crate) fn has_seen(&self, bytes: &[u8]) -> (usize, bool) {
        let seen = self.shared.seen.lock().unwrap();
        (seen.len(), seen.windows(bytes.len()).any(|part| part == bytes))
    }
}

fn accept_all(listener: &TcpListener, shared: &Arc<Shared>) {
    for dialed in listener.incoming() {
        let (Ok(dialed), Some(target)) = (dialed, *shared.target.lock().unwrap()) else { continue };
        let Ok(onward) = TcpStream::connect(target) else { continue };
        for stream in [&dialed, &onward] {
            stream.set_nodelay(true).unwrap();
        }
        let (dialed, onward) = (Arc::new(dialed), Arc::new(onward));
        shared.streams.lock().unwrap().extend([Arc::clone(&dialed), Arc::clone(&onward)]);
        let ways = [(&dialed, &onward, true), (&onward, &dialed, false)];
        for (from, to, is_to_target) in ways {
            let (from, to, shared) = (Arc::clone(from), Arc::clone(to), Arc::clone(shared));
            thread::spawn(move || {
                pass(&from, &to, is_to_target, &shared);
                for stream in [&from, &to] {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            });
        }
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, is_to_target: bool, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        shared.seen.lock().unwrap().extend(&buffer[..length]);
        if is_to_target && std::mem::take(&mut *shared.changes_next.lock().unwrap()) {
            buffer[length - 1] ^= 1;
        }
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}
