//! The admin address: a small blocking HTTP server for whoever watches a server.
//!
//! It is apart from the pool of clients, so that it answers when they overload the server. The crate
//! httparse reads requests; the threads are ours, one a connection, and a connection has one request.
//! (The blocking HTTP servers that there are were not taken: oxhttp cannot be stopped, binds by itself,
//! and lets whoever sends a byte now and then keep a place; tiny_http has no timeouts at all.)
//!
//! [`pages`] says what is where, [`status`] and [`metrics`] what it looks like, [`http`] how it is asked.

pub mod http;
pub mod metrics;
pub mod pages;
pub mod status;

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::log::Level;

use self::pages::Pages;
use crate::counters::Counters;
use crate::log::{Log, Seldom};
use crate::{listening, store, threads};
pub use status::Status;

/// Connections at a time, a thread each. One more cuts the oldest off: who asks is answered within
/// milliseconds, so the oldest of so many is one that does not ask.
const MOST_CONNECTIONS: usize = 64;

/// How often the log says that connections were cut off.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// What is watched. Its calls take short locks, and never wait for clients, neighbors or the disk.
pub trait Watched: Send + Sync + 'static {
    /// How the server stands now.
    fn status(&self) -> Status;

    /// Whether clients should be sent here.
    ///
    /// # Errors
    ///
    /// Why not.
    fn readiness(&self) -> Result<(), String>;

    /// How the store does; `None` without one, and until it is loaded.
    fn store(&self) -> Option<store::Status>;

    /// What was done and refused.
    fn counters(&self) -> &Counters;

    /// Lines that the log had to leave out.
    fn dropped_log_lines(&self) -> u64;
}

/// The running HTTP server. Dropped, it stops: it accepts nothing more, cuts what is open, and its threads
/// are joined, which takes milliseconds.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A connection, and the thread that serves it.
struct Visit {
    /// Gone when the thread has ended.
    stream: Weak<TcpStream>,
    thread: JoinHandle<()>,
}

/// Starts answering.
///
/// # Errors
///
/// When the system refuses the thread.
pub fn start(listener: TcpListener, log: Log, watched: Arc<dyn Watched>) -> io::Result<Admin> {
    let is_stopping = Arc::new(AtomicBool::new(false));
    let thread = {
        let (listener, is_stopping) = (listener.try_clone()?, Arc::clone(&is_stopping));
        threads::spawn("admin", "", move || accept_all(&listener, &log, &is_stopping, &watched))?
    };
    Ok(Admin { listener, is_stopping, thread: Some(thread) })
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        listening::wake(&self.listener);
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    log: &Log,
    is_stopping: &AtomicBool,
    watched: &Arc<dyn Watched>,
) {
    let pages = Arc::new(Pages::new(Arc::clone(watched)));
    let mut visits: VecDeque<Visit> = VecDeque::new();
    let cut_off = Seldom::every(SAY_EVERY);
    let mut number: u64 = 0;
    listening::accept_all(
        listener,
        log,
        || is_stopping.load(Ordering::SeqCst),
        |stream, peer| {
            visits.retain(|visit| !visit.thread.is_finished());
            if visits.len() >= MOST_CONNECTIONS
                && let Some(oldest) = visits.pop_front()
            {
                oldest.end();
                watched.counters().cut_admin.add(1);
                if let Some(more) = cut_off.says(Instant::now()) {
                    log.event(
                        Level::Warn,
                        format_args!(
                            "admin: {MOST_CONNECTIONS} connections are open, so the oldest was cut off for {peer} \
                             ({more} more since this was last said); have them ask at once, and fewer at a time"
                        ),
                    );
                }
            }
            number += 1;
            let stream = Arc::new(stream);
            let visit = Arc::downgrade(&stream);
            let pages = Arc::clone(&pages);
            let serve = move || http::serve(&stream, |path| pages.answer(path));
            match threads::spawn("admin", &number.to_string(), serve) {
                Ok(thread) => visits.push_back(Visit { stream: visit, thread }),
                Err(error) => log
                    .event(Level::Error, format_args!("admin: {peer} closed: no thread: {error}")),
            }
        },
    );
    visits.into_iter().for_each(Visit::end);
}

impl Visit {
    /// Cuts it off. Its thread ends at once, since it waits for nothing but its socket.
    fn end(self) {
        if let Some(stream) = self.stream.upgrade() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let _ = self.thread.join();
    }
}
