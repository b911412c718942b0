//! The load that goes on all the time: threads that report clients at servers, and note what was answered.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use herd::Client;
use herd::client::{At, Reply, now};
use herd::protocol::Nanos;

use super::holding::{Birth, ServerId};
use super::oracle::{Answered, Oracle, Walker, location};

/// Threads that report.
const THREADS: usize = 6;

/// From one report of a thread to the next, at least, in milliseconds: from as fast as answered, so that
/// outboxes have much to carry, to some hundred a second. One of them is drawn for each herd.
const PACES_MS: [u64; 4] = [0, 1, 4, 10];

/// Longest wait of a client for its server.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a thread leaves a server alone that did not answer.
const AVOID_FOR: Duration = Duration::from_millis(300);

/// Longest wait when a server is asked for all that it holds.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The threads that report, until this is dropped.
pub(super) struct Clients {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    walkers: Vec<String>,
}

struct Shared {
    servers: Vec<SocketAddr>,
    names: Vec<String>,
    /// Servers that get no reports now.
    avoided: Vec<AtomicBool>,
    oracle: Oracle,
    is_resting: AtomicBool,
    at_rest: AtomicUsize,
    is_over: AtomicBool,
    answered: AtomicU64,
    unanswered: AtomicU64,
    refused: AtomicU64,
    /// The first reply that no server may give.
    wrong: Mutex<Option<String>>,
}

/// How often what came of a report.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) answered: u64,
    /// Its connection failed, or nothing came in time.
    pub(super) unanswered: u64,
    /// With `? `.
    pub(super) refused: u64,
}

impl Clients {
    /// Each of `walkers` clients belongs to one thread.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(super) fn start(
        servers: Vec<(String, SocketAddr)>,
        walkers: usize,
        seed: u64,
    ) -> io::Result<Self> {
        let (names, servers): (Vec<_>, Vec<_>) = servers.into_iter().unzip();
        let shared = Arc::new(Shared {
            avoided: servers.iter().map(|_| AtomicBool::new(false)).collect(),
            servers,
            names,
            oracle: Oracle::default(),
            is_resting: AtomicBool::new(false),
            at_rest: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            wrong: Mutex::new(None),
        });
        let each = walkers.div_ceil(THREADS);
        let mut clients =
            Self { shared: Arc::clone(&shared), threads: Vec::new(), walkers: Vec::new() };
        let mut rng = Rng::with_seed(seed);
        let pace = Duration::from_millis(rng.choice(PACES_MS).unwrap_or_default());
        for thread in 0..THREADS {
            let mine = (0..each).map(move |number| Walker { thread, number });
            clients.walkers.extend(mine.map(Walker::name));
            let mut reporter = Reporter {
                shared: Arc::clone(&shared),
                connections: shared.servers.iter().map(|_| Connection::Closed(None)).collect(),
                rng: rng.fork(),
                pace,
                last_time: Nanos(0),
            };
            let run = move || reporter.run(thread, each);
            clients.threads.push(thread::Builder::new().name("reporter".into()).spawn(run)?);
        }
        Ok(clients)
    }

    pub(super) fn oracle(&self) -> &Oracle {
        &self.shared.oracle
    }

    pub(super) fn avoid(&self, id: ServerId, is_avoided: bool) {
        self.shared.avoided[id.0].store(is_avoided, Ordering::SeqCst);
    }

    /// Waits until no report is under way; a frozen server's clients time out. False if that
    /// takes too long.
    pub(super) fn rest(&self) -> bool {
        self.shared.is_resting.store(true, Ordering::SeqCst);
        let deadline = Instant::now() + 6 * CLIENT_TIMEOUT;
        while self.shared.at_rest.load(Ordering::SeqCst) < THREADS {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    pub(super) fn go_on(&self) {
        self.shared.is_resting.store(false, Ordering::SeqCst);
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            answered: self.shared.answered.load(Ordering::Relaxed),
            unanswered: self.shared.unanswered.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
        }
    }

    /// The first reply that no server may give.
    pub(super) fn wrong(&self) -> Option<String> {
        self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a server holds of each client.
    ///
    /// # Errors
    ///
    /// When it can't be asked, in words.
    pub(super) fn held_by(&self, id: ServerId) -> Result<Vec<(String, Option<At>)>, String> {
        let name = &self.shared.names[id.0];
        let say = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let client = Client::connect(self.shared.servers[id.0], READ_TIMEOUT)
            .map_err(|error| say(&error))?;
        let mut held = Vec::with_capacity(self.walkers.len());
        // Bound 0 asks nobody.
        let lines = self.walkers.iter().map(|walker| format!("WHATSAT {walker} 0 0"));
        let asked = client.pipeline(lines, |reply| {
            held.push(match reply {
                Reply::Nearby(nearby) => Some(nearby.at),
                Reply::At(at) => Some(at),
                Reply::Invalid(_) => None,
            });
        });
        asked.map_err(|error| say(&error))?;
        if held.len() != self.walkers.len() {
            return Err(say(&"it did not answer every question"));
        }
        Ok(self.walkers.iter().cloned().zip(held).collect())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A thread's connection to one server.
enum Connection {
    Open(Box<Client>),
    /// Not to be tried again before.
    Closed(Option<Instant>),
}

struct Reporter {
    shared: Arc<Shared>,
    connections: Vec<Connection>,
    rng: Rng,
    pace: Duration,
    last_time: Nanos,
}

impl Reporter {
    fn run(&mut self, thread: usize, walkers: usize) {
        for number in (0..walkers).cycle() {
            self.rest();
            if self.shared.is_over.load(Ordering::SeqCst) {
                return;
            }
            let begun = Instant::now();
            match self.draw() {
                Some(id) => self.report(id, &Walker { thread, number }.name()),
                None => thread::sleep(Duration::from_millis(5)),
            }
            thread::sleep(self.pace.saturating_sub(begun.elapsed()));
        }
    }

    fn rest(&self) {
        if !self.shared.is_resting.load(Ordering::SeqCst) {
            return;
        }
        self.shared.at_rest.fetch_add(1, Ordering::SeqCst);
        let is_over = || self.shared.is_over.load(Ordering::SeqCst);
        while self.shared.is_resting.load(Ordering::SeqCst) && !is_over() {
            thread::sleep(Duration::from_millis(5));
        }
        self.shared.at_rest.fetch_sub(1, Ordering::SeqCst);
    }

    /// A server that may be asked now.
    fn draw(&mut self) -> Option<ServerId> {
        let now = Instant::now();
        let may = |at: &usize| {
            let is_left_alone =
                matches!(self.connections[*at], Connection::Closed(Some(until)) if now < until);
            !is_left_alone && !self.shared.avoided[*at].load(Ordering::SeqCst)
        };
        let open: Vec<_> = (0..self.connections.len()).filter(may).collect();
        self.rng.choice(open).map(ServerId)
    }

    fn report(&mut self, id: ServerId, walker: &str) {
        let address = self.shared.servers[id.0];
        let connection = &mut self.connections[id.0];
        if let Connection::Closed(_) = connection {
            *connection = match Client::connect(address, CLIENT_TIMEOUT) {
                Ok(client) => Connection::Open(Box::new(client)),
                Err(_) => Connection::Closed(Some(Instant::now() + AVOID_FOR)),
            };
        }
        let Connection::Open(client) = connection else { return };
        let time = Nanos(now().0.max(self.last_time.0 + 1));
        self.last_time = time;
        let location = location(walker, time);
        let sent = Instant::now();
        let answer = client.report(walker, &location, time);
        let birth = Birth { origin: id, sent, answered: Instant::now() };
        match answer {
            Ok(Ok(at)) => {
                let is_right = at.client == walker.as_bytes()
                    && (at.time, &at.location) == (time, &location)
                    && at.server.as_str() == self.shared.names[id.0];
                if is_right {
                    self.shared.oracle.note(Answered { at, birth });
                    self.shared.answered.fetch_add(1, Ordering::Relaxed);
                } else {
                    self.wrong(format!(
                        "{}, told {walker} {location} at {}, answered {at:?}",
                        self.shared.names[id.0], time.0
                    ));
                }
            }
            Ok(Err(_)) => {
                self.shared.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                self.shared.unanswered.fetch_add(1, Ordering::Relaxed);
                self.connections[id.0] = Connection::Closed(Some(Instant::now() + AVOID_FOR));
            }
        }
    }

    fn wrong(&self, what: String) {
        self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    }
}

impl Counts {
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            answered: self.answered - before.answered,
            unanswered: self.unanswered - before.unanswered,
            refused: self.refused - before.refused,
        }
    }
}
