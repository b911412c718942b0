//! A lot: connections that are waited on together. One worker has it at a time, and gives it to
//! another before it blocks.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::log::Level;
use crossbeam_channel::{Receiver, Sender};
use polling::Poller;

use super::connection::{Connection, Desk, Step};
use super::exceeded::Limit;
use super::readiness::Waiting;
use super::shared::{SERVER_STOPS, Shared};
use super::ticket::Ticket;
use crate::places::Lookup;
use crate::places::lookups::{Answer, Asked, Call};
use crate::store::Round;

/// Why a connection is gone that a stop did not wait for any longer.
const CUT: &str = "cut by the stop of the server";

/// How often a lot looks for connections that waited too long.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Connections that are waited on together.
pub struct Lot {
    index: usize,
    waiting: Waiting,
    inbox: Receiver<Arrival>,
    /// Connections with a turn coming without waiting.
    again: VecDeque<usize>,
    /// Connections whose replies wait for a commit, in the order of their rounds and deadlines.
    withheld: VecDeque<AwaitsCommit>,
    ready: Vec<usize>,
    desk: Desk,
    swept: Instant,
    /// When what is still open at a stop is dropped.
    stop_deadline: Option<Instant>,
}

/// A connection that waits for a commit: out of the poller, so that what its client does meanwhile
/// wakes nobody.
struct AwaitsCommit {
    connection: Box<Connection>,
    round: Round,
    deadline: Instant,
}

/// The way into a lot, for other threads.
#[derive(Debug)]
pub struct Door {
    inbox: Sender<Arrival>,
    poller: Arc<Poller>,
    /// Connections of the lot, also those that wait for places.
    pub open: Arc<AtomicUsize>,
}

/// What comes into a lot.
pub enum Arrival {
    /// From the listener.
    New(Box<Connection>),
    /// Back with the places that it waited for.
    Answered(Box<Connection>, Answer),
    /// It is the turn of one of the lot's connections to call the provider.
    Call(Call<Ticket>),
}

/// Why a worker gives a lot away.
pub enum Leave {
    /// To call the provider.
    ToCall(Call<Ticket>),
    /// The server stops, and the lot is empty.
    Stopped,
}

impl Lot {
    /// An empty lot and its door.
    ///
    /// # Errors
    ///
    /// When the kernel has no descriptor left for it.
    pub fn new(index: usize, max_line: usize) -> io::Result<(Self, Door)> {
        let poller = Arc::new(Poller::new()?);
        // Bounded by max_connections: what is in it is a connection.
        let (sender, inbox) = crossbeam_channel::unbounded();
        let door = Door { inbox: sender, poller: Arc::clone(&poller), open: Arc::default() };
        let lot = Self {
            index,
            waiting: Waiting::new(poller),
            inbox,
            again: VecDeque::new(),
            withheld: VecDeque::new(),
            ready: Vec::new(),
            desk: Desk::new(max_line),
            swept: Instant::now(),
            stop_deadline: None,
        };
        Ok((lot, door))
    }

    /// Which lot it is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Serves the lot's connections until a call has to be made or the server stops. `open` is the
    /// count of its [`Door`].
    pub fn run(&mut self, shared: &Shared, open: &AtomicUsize, stop_within: Duration) -> Leave {
        loop {
            while let Ok(arrival) = self.inbox.try_recv() {
                if let Some(call) = self.take_in(shared, arrival) {
                    return Leave::ToCall(call);
                }
            }
            while let Some((connection, has_committed)) = self.next_committed(shared) {
                let call = self.insert(shared, connection).and_then(|key| {
                    self.guarded(shared, key, |connection, _| {
                        connection.commit_ends(shared, has_committed)
                    })
                });
                if let Some(call) = call {
                    return Leave::ToCall(call);
                }
            }
            for _ in 0..self.again.len() {
                let key = self.again.pop_front().expect("only this loop takes from it");
                if let Some(call) = self.serve(shared, key) {
                    return Leave::ToCall(call);
                }
            }
            if shared.is_stopping() && self.has_stopped(shared, open, stop_within) {
                return Leave::Stopped;
            }
            self.sweep(shared);
            let timeout = if self.again.is_empty() { self.patience() } else { Duration::ZERO };
            let mut ready = std::mem::take(&mut self.ready);
            if let Err(error) = self.waiting.wait(timeout, &mut ready) {
                shared
                    .log
                    .event(Level::Error, format_args!("waiting for connections failed: {error}"));
                // It has no cause that we know of; it must not turn into a busy loop.
                std::thread::sleep(Duration::from_millis(10));
            }
            let mut call = None;
            for &key in &ready {
                // Level-triggered: what is not served now is reported again.
                let is_due = self
                    .waiting
                    .get_mut(key)
                    .is_some_and(|connection| !connection.has_turn_coming());
                if is_due {
                    call = self.serve(shared, key);
                }
                if call.is_some() {
                    break;
                }
            }
            self.ready = ready;
            if let Some(call) = call {
                return Leave::ToCall(call);
            }
        }
    }

    fn patience(&self) -> Duration {
        let patience =
            if self.stop_deadline.is_some() { Duration::from_millis(20) } else { SWEEP_EVERY };
        self.withheld.front().map_or(patience, |first| {
            patience.min(first.deadline.saturating_duration_since(Instant::now()))
        })
    }

    /// The next connection that needs not wait for its commit any more, and whether that came.
    fn next_committed(&mut self, shared: &Shared) -> Option<(Box<Connection>, bool)> {
        let first = self.withheld.front()?;
        let has_committed = shared.store.as_ref()?.is_done(first.round);
        if !has_committed && Instant::now() < first.deadline {
            return None;
        }
        self.withheld.pop_front().map(|first| (first.connection, has_committed))
    }

    /// Takes one arrival in. A call is handed on to the worker.
    fn take_in(&mut self, shared: &Shared, arrival: Arrival) -> Option<Call<Ticket>> {
        match arrival {
            Arrival::New(connection) => {
                self.insert(shared, connection).and_then(|key| self.serve(shared, key))
            }
            Arrival::Answered(connection, answer) => {
                self.insert(shared, connection).and_then(|key| {
                    self.guarded(shared, key, |connection, desk| {
                        connection.answer(shared, &answer, desk)
                    })
                })
            }
            Arrival::Call(call) => Some(call),
        }
    }

    fn insert(&mut self, shared: &Shared, connection: Box<Connection>) -> Option<usize> {
        let peer = connection.peer().to_owned();
        let inserted = self.waiting.insert(connection);
        inserted
            .inspect_err(|error| {
                log_closed(shared, &peer, &format!("cannot be waited on: {error}"))
            })
            .ok()
    }

    /// One turn of a connection.
    fn serve(&mut self, shared: &Shared, key: usize) -> Option<Call<Ticket>> {
        self.guarded(shared, key, |connection, desk| connection.turn(shared, desk))
    }

    /// Does something with a connection, and what follows from it. A panic costs this connection
    /// and nothing else.
    fn guarded(
        &mut self,
        shared: &Shared,
        key: usize,
        act: impl FnOnce(&mut Connection, &mut Desk) -> Step,
    ) -> Option<Call<Ticket>> {
        let connection = self.waiting.get_mut(key)?;
        let desk = &mut self.desk;
        let step = catch_unwind(AssertUnwindSafe(|| act(connection, desk))).unwrap_or_else(|_| {
            shared.counters.panics.add(1);
            *desk = Desk::new(shared.limits.max_line);
            Step::Gone("lost to a defect of this server, which the standard error tells more of")
        });
        self.follow(shared, key, step)
    }

    fn follow(&mut self, shared: &Shared, key: usize, step: Step) -> Option<Call<Ticket>> {
        match step {
            Step::Wait(awaits) => {
                if self.waiting.await_on(key, awaits).is_err() {
                    self.close(shared, key, "cannot be waited on");
                }
                None
            }
            Step::Again => {
                self.again.push_back(key);
                None
            }
            Step::AskPlaces(lookup) => self.ask_places(shared, key, lookup),
            Step::AwaitCommit(round) => {
                let timeout = shared.store.as_ref().map(|store| store.commit_timeout());
                let deadline = Instant::now() + timeout.unwrap_or_default();
                let connection = self.waiting.remove(key);
                self.withheld.push_back(AwaitsCommit { connection, round, deadline });
                None
            }
            Step::Gone(reason) => {
                self.close(shared, key, reason);
                None
            }
        }
    }

    /// Takes the connection out: from here its ticket stands for it.
    fn ask_places(&mut self, shared: &Shared, key: usize, lookup: Lookup) -> Option<Call<Ticket>> {
        let ticket = Ticket::Lot { lot: self.index, connection: self.waiting.remove(key) };
        match shared.lookups.ask(lookup, ticket) {
            Asked::Call(call) => Some(call),
            Asked::Waiting => None,
            Asked::Answered(Ticket::Lot { connection, .. }, answer) => {
                shared.exceeded(Limit::PlacesQueue, connection.peer());
                self.take_in(shared, Arrival::Answered(connection, answer))
            }
            Asked::Answered(Ticket::Pinned(_), _) => unreachable!("the ticket just made"),
        }
    }

    fn close(&mut self, shared: &Shared, key: usize, reason: &str) {
        let connection = self.waiting.remove(key);
        log_closed(shared, connection.peer(), reason);
    }

    /// Ends what waited too long.
    fn sweep(&mut self, shared: &Shared) {
        let now = Instant::now();
        if now.saturating_duration_since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        for key in self.waiting.keys() {
            let connection = self.waiting.get_mut(key).expect("its key was just there");
            if let Some(step) = connection.check_time(now, shared) {
                // Ending asks no provider.
                let _ = self.follow(shared, key, step);
            }
        }
    }

    /// At a stop: ends every connection, and waits until they are gone or `stop_within` is over.
    fn has_stopped(&mut self, shared: &Shared, open: &AtomicUsize, stop_within: Duration) -> bool {
        let deadline = *self.stop_deadline.get_or_insert_with(|| Instant::now() + stop_within);
        for key in self.waiting.keys() {
            let step = self.waiting.get_mut(key).map(|connection| connection.stop(SERVER_STOPS));
            if let Some(step) = step {
                let _ = self.follow(shared, key, step);
            }
        }
        if Instant::now() >= deadline {
            for key in self.waiting.keys() {
                self.close(shared, key, CUT);
            }
            for AwaitsCommit { connection, .. } in self.withheld.drain(..) {
                log_closed(shared, connection.peer(), CUT);
            }
            return true;
        }
        open.load(Ordering::SeqCst) == 0
    }
}

impl Door {
    /// Hands something in; a lot that has stopped drops it.
    pub fn send(&self, arrival: Arrival) {
        if self.inbox.send(arrival).is_ok() {
            self.wake();
        }
    }

    /// Frees a worker that waits.
    pub fn wake(&self) {
        // It fails only if the poller is gone, and with it who waits.
        let _ = self.poller.notify();
    }
}

/// Says that a connection is gone, and why.
pub fn log_closed(shared: &Shared, peer: &str, reason: &str) {
    shared.log.event(Level::Info, format_args!("connection {peer} closed: {reason}"));
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;

    use super::super::Server;
    use super::super::open::Open;
    use super::super::session::Session;
    use super::*;
    use crate::config::Config;
    use crate::protocol::ServerName;

    /// A connection and its client.
    fn connected(count: &Arc<AtomicUsize>) -> (Box<Connection>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        let open = Open::count([Arc::clone(count)], None);
        (Box::new(Connection::new(stream, Session::new(peer), open).unwrap()), client)
    }

    #[test]
    fn a_panic_costs_one_connection_and_neither_the_worker_nor_the_lot() {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "[[server]]\nname = \"Ball\"\nlisten = \"127.0.0.1:0\"\n[log]\ndir = '{}'\n",
            dir.path().display()
        );
        let config = Config::parse(Path::new("herd.toml"), &text).unwrap();
        let name = ServerName::parse(b"Ball").unwrap();
        let server = Server::bind(&config, &name).unwrap().start(&config).unwrap();
        let shared = &server.shared;

        let (mut lot, door) = Lot::new(0, shared.limits.max_line).unwrap();
        let (lost, mut lost_client) = connected(&door.open);
        let (kept, mut kept_client) = connected(&door.open);
        let lost = lot.insert(shared, lost).unwrap();
        let kept = lot.insert(shared, kept).unwrap();
        assert!(lot.guarded(shared, lost, |_, _| panic!("meant")).is_none());
        assert_eq!(lost_client.read(&mut [0]).unwrap(), 0);
        assert_eq!(door.open.load(Ordering::SeqCst), 1);

        kept_client.write_all(b"x\n").unwrap();
        let mut ready = Vec::new();
        while ready != [kept] {
            lot.waiting.wait(Duration::from_secs(20), &mut ready).unwrap();
        }
        assert!(lot.serve(shared, kept).is_none());
        let mut reply = [0; 4];
        kept_client.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"? x\n");

        drop(lot);
        server.stop();
        let log = std::fs::read_to_string(dir.path().join("Ball.log")).unwrap();
        assert_eq!(log.matches("closed: lost to a defect of this server").count(), 1, "{log}");
    }
}
