//! Clients that report as fast as they are answered, and what they were answered.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use herd::client::{At, Client, Reply};

use crate::servers::{LIMIT, eventually};

/// Makes a number as large as `HERD_TEST_LOAD` says.
pub(crate) fn times_load(number: usize) -> usize {
    let load = std::env::var("HERD_TEST_LOAD").ok().map_or(1, |load| load.parse().unwrap());
    number * load
}

/// The clients that all walkers report of.
pub(crate) fn shared_clients() -> Vec<String> {
    (0..20).map(|number| format!("shared{number}")).collect()
}

/// What a report was answered with.
pub(crate) struct Answer {
    pub(crate) at: At,
    /// The same as it came.
    pub(crate) line: Vec<u8>,
    /// The server that answered.
    pub(crate) by: SocketAddr,
    pub(crate) when: Instant,
}

impl Answer {
    /// The client that it is about.
    pub(crate) fn client(&self) -> String {
        String::from_utf8(self.at.client.clone()).unwrap()
    }
}

/// Threads that report to servers until they have reported enough or are stopped. A server that
/// goes away is connected to again.
pub(crate) struct Walkers {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    /// The second that the reports are of: those of later walkers are newer.
    second: i64,
    threads: Vec<JoinHandle<Vec<Answer>>>,
}

/// How a walker reports.
struct Walker {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    most: usize,
}

impl Walkers {
    pub(crate) fn new() -> Self {
        let second = herd::client::now().0 / 1_000_000_000;
        Self { stop: Arc::default(), answered: Arc::default(), second, threads: Vec::new() }
    }

    /// A connection that pipelines so many reports of the shared clients. Times and locations are
    /// few, so that the reports of all walkers collide in every way.
    pub(crate) fn pipeline(&mut self, addr: SocketAddr, most: usize) {
        let seed = self.threads.len();
        let (walker, second) = (self.walker(addr, most), self.second);
        self.threads.push(thread::spawn(move || {
            walker.walk(|number| {
                let client = (number * 7 + seed * 3) % 20;
                // Later ones are newer, by a few nanoseconds, and an older one comes in between.
                let nanos = number / 50 + 3 - number % 3;
                let location = seed % 5;
                format!("IAMAT shared{client} +{location}.5-{location} {second}.{nanos:09}")
            })
        }));
    }

    /// A connection that pipelines reports of new clients, whose names start with `prefix`.
    pub(crate) fn pipeline_new(&mut self, addr: SocketAddr, prefix: &str) {
        let walker = self.walker(addr, usize::MAX);
        let prefix = prefix.to_owned();
        self.threads.push(thread::spawn(move || {
            walker.walk(|number| format!("IAMAT {prefix}{number} +1-2 1700000000.5"))
        }));
    }

    /// A connection that reports new clients, whose names start with `prefix`, one after the other:
    /// the next when the one before is answered.
    pub(crate) fn trace(&mut self, addr: SocketAddr, prefix: &str) {
        let walker = self.walker(addr, usize::MAX);
        let prefix = prefix.to_owned();
        self.threads.push(thread::spawn(move || walker.trace(&prefix)));
    }

    fn walker(&self, addr: SocketAddr, most: usize) -> Walker {
        let (stop, answered) = (Arc::clone(&self.stop), Arc::clone(&self.answered));
        Walker { addr, stop, answered, most }
    }

    /// Waits until so many more reports were answered.
    #[track_caller]
    pub(crate) fn more(&self, reports: usize) {
        let enough = self.answered.load(Ordering::Relaxed) + reports;
        eventually("reports are answered", || self.answered.load(Ordering::Relaxed) >= enough);
    }

    /// Lets the load go on for a while.
    pub(crate) fn go_on_for(&self, time: Duration) {
        thread::sleep(time);
    }

    /// What was answered, once all walkers have reported enough.
    #[track_caller]
    pub(crate) fn join(mut self) -> Vec<Answer> {
        self.threads.drain(..).flat_map(|thread| thread.join().unwrap()).collect()
    }

    /// What was answered until now.
    #[track_caller]
    pub(crate) fn stop(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        self.join()
    }
}

impl Drop for Walkers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Walker {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A connection, as soon as there is a server; `None` if the load is over before.
    fn connect(&self) -> Option<Client> {
        while !self.is_over() {
            if let Ok(client) = Client::connect(self.addr, LIMIT) {
                return Some(client);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Pipelines on one connection after the other. A line whose answer was lost with its
    /// connection is not sent again.
    fn walk(&self, line: impl Fn(usize) -> String + Sync) -> Vec<Answer> {
        let mut answers = Vec::new();
        let sent = AtomicUsize::new(0);
        while sent.load(Ordering::Relaxed) < self.most
            && let Some(client) = self.connect()
        {
            let (mut sender, receiver) = client.split();
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !self.is_over() {
                        let number = sent.fetch_add(1, Ordering::Relaxed);
                        if number >= self.most || sender.send(line(number)).is_err() {
                            break;
                        }
                    }
                    // The receiver says why, if it fails.
                    let _ = sender.finish();
                });
                // Gone at the end of this scope, it frees a sender that waits for room.
                let mut receiver = receiver;
                while let Ok(Some(reply)) = receiver.receive_raw() {
                    answers.push(self.answer(reply));
                }
            });
        }
        answers
    }

    fn trace(&self, prefix: &str) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut number = 0;
        while let Some(client) = self.connect() {
            let (mut sender, mut receiver) = client.split();
            while !self.is_over() {
                number += 1;
                let line = format!("IAMAT {prefix}{number} +1-2 1700000000.5");
                if sender.send(line).and_then(|()| sender.flush()).is_err() {
                    break;
                }
                let Ok(Some(reply)) = receiver.receive_raw() else { break };
                answers.push(self.answer(reply));
            }
        }
        answers
    }

    #[track_caller]
    fn answer(&self, reply: herd::client::RawReply) -> Answer {
        self.answered.fetch_add(1, Ordering::Relaxed);
        let line = reply.as_bytes().to_vec();
        match reply.parse().unwrap() {
            Reply::At(at) => Answer { at, line, by: self.addr, when: Instant::now() },
            other => panic!("a report is answered with {other:?}"),
        }
    }
}

/// Of each client, the AT line that wins over all others that were answered: later time, then
/// lower skew, then greater origin, location and time text.
pub(crate) fn newest(answers: &[Answer]) -> HashMap<String, Vec<u8>> {
    let mut newest: HashMap<&[u8], &Answer> = HashMap::new();
    let key = |answer: &Answer| {
        let At { server, skew, location, time_text, time, .. } = answer.at.clone();
        (time, Reverse(skew), server, location, time_text)
    };
    for answer in answers {
        let held = newest.entry(&answer.at.client).or_insert(answer);
        if key(answer) > key(held) {
            *held = answer;
        }
    }
    newest.into_values().map(|answer| (answer.client(), answer.line.clone())).collect()
}
