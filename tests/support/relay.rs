//! A relay on the way from one server to where another one listens for links: it counts what is said, can
//! be cut, and can lose updates.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::ports;

/// What one server, who dials, says to another one. It passes all on until it is told otherwise.
pub(crate) struct Relay {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) addr: SocketAddr,
    listener: TcpListener,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    leads_to: Mutex<Option<SocketAddr>>,
    is_cut: AtomicBool,
    loses_updates: AtomicBool,
    said: Mutex<HashMap<String, Count>>,
    streams: Mutex<Vec<Arc<TcpStream>>>,
}

/// Lines that begin with one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

impl Relay {
    pub(crate) fn between(from: &str, to: &str) -> Arc<Self> {
        let listener = ports::listener();
        let state = Arc::<State>::default();
        let addr = listener.local_addr().unwrap();
        {
            let (listener, state) = (listener.try_clone().unwrap(), Arc::clone(&state));
            thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    let state = Arc::clone(&state);
                    thread::spawn(move || {
                        // It ends for the server as it ended for us.
                        let _ = state.relay(stream);
                    });
                }
            });
        }
        Arc::new(Self { from: from.into(), to: to.into(), addr, listener, state })
    }

    pub(crate) fn leads_to(&self, addr: SocketAddr) {
        *self.state.leads_to.lock().unwrap() = Some(addr);
    }

    /// Cuts what is connected, and takes nothing more.
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        for stream in self.state.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Takes connections again.
    pub(crate) fn heal(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }

    /// Whether updates are lost on the way from now on, and nothing else is.
    pub(crate) fn loses_updates(&self, is_so: bool) {
        self.state.loses_updates.store(is_so, Ordering::SeqCst);
    }

    /// Counts anew.
    pub(crate) fn forget(&self) {
        self.state.said.lock().unwrap().clear();
    }

    /// The lines that began with that word.
    pub(crate) fn said(&self, word: &str) -> Count {
        self.state.said.lock().unwrap().get(word).copied().unwrap_or_default()
    }

    /// Bytes of all lines.
    pub(crate) fn bytes(&self) -> usize {
        self.state.said.lock().unwrap().values().map(|count| count.bytes).sum()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
        // The accept ends with an error.
        let _ = socket2::SockRef::from(&self.listener).shutdown(Shutdown::Both);
    }
}

impl State {
    fn relay(&self, dialed: TcpStream) -> io::Result<()> {
        let target = self.leads_to.lock().unwrap().ok_or(io::ErrorKind::NotConnected)?;
        let onward = TcpStream::connect(target)?;
        let (dialed, onward) = (Arc::new(dialed), Arc::new(onward));
        {
            let mut streams = self.streams.lock().unwrap();
            if self.is_cut.load(Ordering::SeqCst) {
                return Ok(());
            }
            streams.extend([Arc::clone(&dialed), Arc::clone(&onward)]);
        }
        let answers = {
            let (dialed, onward) = (Arc::clone(&dialed), Arc::clone(&onward));
            thread::spawn(move || {
                let _ = io::copy(&mut &*onward, &mut &*dialed);
                let _ = dialed.shutdown(Shutdown::Both);
            })
        };
        let ended = self.pass_on(&dialed, &onward);
        let _ = onward.shutdown(Shutdown::Write);
        let _ = answers.join();
        ended
    }

    fn pass_on(&self, dialed: &TcpStream, mut onward: &TcpStream) -> io::Result<()> {
        let mut input = BufReader::with_capacity(64 * 1024, dialed);
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line)? > 0 {
            let word = line.split(|&byte| byte == b' ' || byte == b'\n').next().unwrap();
            {
                let mut said = self.said.lock().unwrap();
                let count = said.entry(String::from_utf8_lossy(word).into()).or_default();
                count.lines += 1;
                count.bytes += line.len();
            }
            let is_lost = word == b"UPDATE" && self.loses_updates.load(Ordering::SeqCst);
            if !is_lost {
                onward.write_all(&line)?;
            }
            line.clear();
        }
        Ok(())
    }
}
