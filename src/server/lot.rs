//! A lot: connections that are waited on together. Its workers are a leader, who waits for the sockets, and
//! followers, who rest until there is more to do than the leader does alone (the leader/followers pattern: a thread
//! that is woken for each request would cost more than the request). Each has the few connections of one turn at a
//! time, so that a worker that loses its core in the middle does not keep all that are in line from theirs.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::log::Level;
use slab::Slab;

use super::connection::{Connection, Step};
use super::desk::Desk;
use super::exceeded::Limit;
use super::shared::{SERVER_STOPS, Shared};
use super::ticket::Ticket;
use crate::places::Lookup;
use crate::places::lookups::{Answer, Asked, Call};
use crate::store::Round;
use crate::waits::atomic::{AtomicUsize, Ordering};
use crate::waits::{self, Condvar, Event, Mutex, MutexGuard, Poller, Ready, Receiver, Sender};

/// Why a connection is gone that a stop did not wait for any longer.
const CUT: &str = "cut by the stop of the server";

/// How long a worker serves a line alone before it calls a follower. Most lines are over by then, and to wake a thread
/// for some of it costs more than it wins: with 16 connections of single requests, calling at once took 5 to 20 % more
/// CPU a request.
const ALONE: Duration = Duration::from_micros(200);

/// How often a lot looks for connections that waited too long.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How often a lot that stops looks whether it is empty.
const STOP_EVERY: Duration = Duration::from_millis(20);

/// Connections that are waited on together.
pub struct Lot {
    index: usize,
    poller: Poller,
    /// Bounded by `max_connections`: what is in it is a connection.
    inbox: (Sender<Arrival>, Receiver<Arrival>),
    /// Connections of the lot, also those that wait for places.
    open: Arc<AtomicUsize>,
    inside: Mutex<Inside>,
    /// Followers rest here.
    rest: Condvar,
}

/// What the lock guards, which is held for a few dozen nanoseconds: no connection is read or written under it.
struct Inside {
    /// Each of them in the poller from when it comes in until it goes out.
    connections: Slab<Slot>,
    /// Those that have a turn now.
    in_line: VecDeque<usize>,
    /// Connections whose replies wait for a commit, in the order of their rounds.
    withheld: VecDeque<AwaitsCommit>,
    /// The last line took longer than [`ALONE`], as the next will: followers are called at once.
    is_busy: bool,
    /// A worker waits for the sockets.
    has_leader: bool,
    /// Workers that rest.
    followers: usize,
    /// One of them was called, and has not come yet.
    is_one_called: bool,
    swept: Instant,
    /// When what is still open at a stop is dropped.
    stop_deadline: Option<Instant>,
}

/// The place of a connection.
#[derive(Default)]
struct Slot {
    /// `None` while a worker has it.
    connection: Option<Box<Connection>>,
    is_in_line: bool,
    /// Its turn came while a worker had it.
    is_due: bool,
    /// What was told of it meanwhile.
    missed: Option<Event>,
}

/// A connection that waits for a commit: out of the poller, so that what its client does meanwhile
/// wakes nobody.
struct AwaitsCommit {
    connection: Box<Connection>,
    round: Round,
    deadline: Instant,
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

impl Lot {
    /// An empty lot.
    ///
    /// # Errors
    ///
    /// When the kernel has no descriptor left for it.
    pub fn new(index: usize) -> io::Result<Self> {
        let inside = Inside {
            connections: Slab::new(),
            in_line: VecDeque::new(),
            withheld: VecDeque::new(),
            is_busy: false,
            has_leader: false,
            followers: 0,
            is_one_called: false,
            swept: Instant::now(),
            stop_deadline: None,
        };
        Ok(Self {
            index,
            poller: Poller::new()?,
            inbox: waits::unbounded(),
            open: Arc::default(),
            inside: Mutex::new(inside),
            rest: Condvar::new(),
        })
    }

    /// The count of its connections, for each to be counted in.
    pub fn open(&self) -> &Arc<AtomicUsize> {
        &self.open
    }

    /// Hands something in.
    pub fn send(&self, arrival: Arrival) {
        self.inbox.0.send(arrival).expect("both ends are here");
        self.wake();
    }

    /// Has a worker look at it.
    pub fn wake(&self) {
        // It fails only by a defect of the kernel, which the next sweep makes up for.
        let _ = self.poller.notify();
    }

    /// Waits until there may be something to do: as leader for the sockets, or, while another leads, until it
    /// calls. What is ready is lined up.
    pub fn wait(&self, shared: &Shared, ready: &mut Ready) {
        let mut inside = self.inside.lock();
        let patience = inside.patience();
        if inside.has_leader {
            if inside.in_line.is_empty() {
                inside.followers += 1;
                self.rest.wait_for(&mut inside, patience);
                inside.followers -= 1;
                inside.is_one_called = false;
            }
            return;
        }
        inside.has_leader = true;
        drop(inside);
        if let Err(error) = self.poller.wait(ready, patience) {
            shared.log.event(Level::Error, format_args!("waiting for connections failed: {error}"));
            // It has no cause that we know of; it must not turn into a busy loop.
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut inside = self.inside.lock();
        inside.has_leader = false;
        ready.iter().for_each(|event| inside.becomes_ready(event));
        if inside.is_busy && inside.in_line.len() > 1 {
            self.call_follower(&mut inside);
        }
    }

    /// Has a follower come, if one rests.
    fn call_follower(&self, inside: &mut Inside) {
        if inside.followers > 0 && !inside.is_one_called {
            inside.is_one_called = true;
            self.rest.notify_one();
        }
    }

    #[cfg(test)]
    fn is_quiet(&self) -> bool {
        self.inside.lock().in_line.is_empty()
    }

    /// Gives a turn to each connection that came in, whose commit came, or that is in line now, until one needs
    /// a call of the provider. Any worker may do so, several at a time too.
    pub fn serve(&self, shared: &Shared, desk: &mut Desk) -> Option<Call<Ticket>> {
        for _ in 0..self.inbox.1.len() {
            let Ok(arrival) = self.inbox.1.try_recv() else { break };
            if !self.inbox.1.is_empty() {
                self.call_follower(&mut self.inside.lock());
            }
            let call = self.take_in(shared, arrival, desk);
            if call.is_some() {
                return call;
            }
        }
        while let Some((mut connection, has_committed)) = self.next_committed(shared) {
            let step = desk.act(shared, &mut connection, |connection, _, _| {
                connection.commit_ends(shared, has_committed)
            });
            let call = self.enter(shared, connection, step, desk);
            if call.is_some() {
                return call;
            }
        }
        self.serve_line(shared, desk)
    }

    /// Gives a turn to each connection that is in line now, until one needs a call of the provider.
    fn serve_line(&self, shared: &Shared, desk: &mut Desk) -> Option<Call<Ticket>> {
        let length = self.inside.lock().in_line.len();
        if length == 0 {
            return None;
        }
        let began = Instant::now();
        for _ in 0..length {
            let Some((key, connection)) = self.next_in_line(began) else { break };
            desk.begin(shared, key, connection);
            if desk.is_full() {
                let call = self.end_turn(shared, desk);
                if call.is_some() {
                    return call;
                }
            }
        }
        let call = self.end_turn(shared, desk);
        self.inside.lock().is_busy = waits::is_over(began, ALONE);
        call
    }

    /// Ends the turn of those that have a part in it.
    fn end_turn(&self, shared: &Shared, desk: &mut Desk) -> Option<Call<Ticket>> {
        let mut call = None;
        for (key, connection, step) in desk.end(shared) {
            debug_assert!(call.is_none(), "only the last needs places");
            call = self.follow(shared, key, connection, step, desk);
        }
        call
    }

    /// Calls a follower to the others, if this worker has served the line since `began` for too long.
    fn next_in_line(&self, began: Instant) -> Option<(usize, Box<Connection>)> {
        let mut inside = self.inside.lock();
        let next = inside.next_in_line()?;
        if !inside.in_line.is_empty() && (inside.is_busy || waits::is_over(began, ALONE)) {
            self.call_follower(&mut inside);
        }
        Some(next)
    }

    /// The next connection that needs not wait for its commit any more, and whether that came.
    fn next_committed(&self, shared: &Shared) -> Option<(Box<Connection>, bool)> {
        let store = shared.store.as_ref()?;
        let round = self.inside.lock().withheld.front()?.round;
        // It has a lock of its own.
        let has_committed = store.is_done(round);
        let mut inside = self.inside.lock();
        // Another worker may have taken the first meanwhile; those of its round are all the same.
        let first = inside.withheld.pop_front_if(|first| {
            first.round == round && (has_committed || Instant::now() >= first.deadline)
        })?;
        if has_committed && !inside.withheld.is_empty() {
            self.call_follower(&mut inside);
        }
        Some((first.connection, has_committed))
    }

    /// Takes one arrival in. A call is handed on to the worker.
    fn take_in(&self, shared: &Shared, arrival: Arrival, desk: &mut Desk) -> Option<Call<Ticket>> {
        match arrival {
            Arrival::New(connection) => self.enter(shared, connection, Step::Again, desk),
            Arrival::Answered(mut connection, answer) => {
                let step = desk.act(shared, &mut connection, |connection, turn, exchange| {
                    connection.answer(shared, &answer, turn, exchange)
                });
                self.enter(shared, connection, step, desk)
            }
            Arrival::Call(call) => Some(call),
        }
    }

    /// Takes a connection in, and does what it needs next.
    fn enter(
        &self,
        shared: &Shared,
        connection: Box<Connection>,
        step: Step,
        desk: &mut Desk,
    ) -> Option<Call<Ticket>> {
        let key = self.inside.lock().connections.insert(Slot::default());
        if let Err(error) = self.poller.add(connection.stream(), key, connection.awaits) {
            self.close(shared, key, connection, &format!("cannot be waited on: {error}"));
            return None;
        }
        self.follow(shared, key, connection, step, desk)
    }

    /// Does what a connection needs next.
    fn follow(
        &self,
        shared: &Shared,
        key: usize,
        mut connection: Box<Connection>,
        step: Step,
        desk: &mut Desk,
    ) -> Option<Call<Ticket>> {
        match step {
            Step::Wait(awaits) => {
                if connection.awaits != awaits {
                    connection.awaits = awaits;
                    if self.poller.modify(connection.stream(), key, awaits).is_err() {
                        self.close(shared, key, connection, "cannot be waited on");
                        return None;
                    }
                }
                self.inside.lock().put_back(key, connection);
                None
            }
            Step::Again => {
                let mut inside = self.inside.lock();
                inside.put_back(key, connection);
                inside.line_up(key);
                None
            }
            Step::AskPlaces(lookup) => self.ask_places(shared, key, connection, lookup, desk),
            Step::AwaitCommit(round) => {
                let timeout = shared.store.as_ref().map(|store| store.commit_timeout());
                let deadline = Instant::now() + timeout.unwrap_or_default();
                let mut inside = self.take_out(key, &connection);
                let at = inside.withheld.partition_point(|other| other.round <= round);
                inside.withheld.insert(at, AwaitsCommit { connection, round, deadline });
                drop(inside);
                // If it came before that, whoever was told of it has looked already.
                if shared.store.as_ref().is_some_and(|store| store.is_done(round)) {
                    self.wake();
                }
                None
            }
            Step::Gone(reason) => {
                self.close(shared, key, connection, reason);
                None
            }
        }
    }

    /// Takes the connection out: from here its ticket stands for it.
    fn ask_places(
        &self,
        shared: &Shared,
        key: usize,
        connection: Box<Connection>,
        lookup: Lookup,
        desk: &mut Desk,
    ) -> Option<Call<Ticket>> {
        drop(self.take_out(key, &connection));
        match shared.lookups.ask(lookup, Ticket::Lot { lot: self.index, connection }) {
            Asked::Call(call) => Some(call),
            Asked::Waiting => None,
            Asked::Answered(Ticket::Lot { connection, .. }, answer) => {
                shared.exceeded(Limit::PlacesQueue, connection.peer());
                self.take_in(shared, Arrival::Answered(connection, answer), desk)
            }
            Asked::Answered(Ticket::Pinned(_), _) => unreachable!("the ticket just made"),
        }
    }

    /// Ends a connection's place here, while the connection itself goes on.
    fn take_out(&self, key: usize, connection: &Connection) -> MutexGuard<'_, Inside> {
        // It fails only for a socket that is not in the poller, which this one is.
        let _ = self.poller.delete(connection.stream());
        let mut inside = self.inside.lock();
        inside.connections.remove(key);
        inside
    }

    /// Drops a connection, which takes it out of the poller too.
    fn close(&self, shared: &Shared, key: usize, connection: Box<Connection>, reason: &str) {
        self.inside.lock().connections.remove(key);
        log_closed(shared, connection.peer(), reason);
    }

    /// Ends what waited too long, and, once the server stops, everything. True when the lot is empty then, or
    /// `stop_within` is over.
    pub fn keep_time(&self, shared: &Shared, desk: &mut Desk, stop_within: Duration) -> bool {
        if shared.is_stopping() {
            return self.has_stopped(shared, desk, stop_within);
        }
        let now = Instant::now();
        let mut inside = self.inside.lock();
        if now.saturating_duration_since(inside.swept) < SWEEP_EVERY {
            return false;
        }
        inside.swept = now;
        // It leads meanwhile: a look at all of many connections takes milliseconds.
        self.call_follower(&mut inside);
        drop(inside);
        self.with_each(shared, desk, |connection| connection.check_time(now, shared));
        false
    }

    /// At a stop: ends every connection, and sees whether they are gone or `stop_within` is over.
    fn has_stopped(&self, shared: &Shared, desk: &mut Desk, stop_within: Duration) -> bool {
        let now = Instant::now();
        let deadline = *self.inside.lock().stop_deadline.get_or_insert_with(|| {
            // Each worker has to see it, and looks by itself from now on.
            self.rest.notify_all();
            self.wake();
            now + stop_within
        });
        self.with_each(shared, desk, |connection| Some(connection.stop(SERVER_STOPS)));
        if now >= deadline {
            self.with_each(shared, desk, |_| Some(Step::Gone(CUT)));
            let withheld = std::mem::take(&mut self.inside.lock().withheld);
            for AwaitsCommit { connection, .. } in withheld {
                log_closed(shared, connection.peer(), CUT);
            }
            // Connections that were on their way here close with this.
            while self.inbox.1.try_recv().is_ok() {}
            return true;
        }
        self.open.load(Ordering::SeqCst) == 0
    }

    /// Does something with each connection that no worker has, and what follows from it. It has to ask no
    /// provider.
    fn with_each(
        &self,
        shared: &Shared,
        desk: &mut Desk,
        act: impl Fn(&mut Connection) -> Option<Step>,
    ) {
        let keys: Vec<usize> = self.inside.lock().connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            let Some(mut connection) = self.inside.lock().take(key) else { continue };
            match act(&mut connection) {
                Some(step) => drop(self.follow(shared, key, connection, step, desk)),
                None => self.inside.lock().put_back(key, connection),
            }
        }
    }
}

impl Inside {
    /// How long the sockets may be waited for. Not at all while somebody is in line: a client that always has more
    /// to say keeps nobody from being seen.
    fn patience(&self) -> Duration {
        if !self.in_line.is_empty() {
            return Duration::ZERO;
        }
        let patience = if self.stop_deadline.is_some() { STOP_EVERY } else { SWEEP_EVERY };
        self.withheld.front().map_or(patience, |first| {
            patience.min(first.deadline.saturating_duration_since(Instant::now()))
        })
    }

    fn becomes_ready(&mut self, event: Event) {
        // It may be gone since.
        let Some(slot) = self.connections.get_mut(event.key) else { return };
        match &mut slot.connection {
            Some(connection) => {
                connection.becomes_ready(event);
                self.line_up(event.key);
            }
            None => {
                let has_ended =
                    event.has_ended || slot.missed.is_some_and(|missed| missed.has_ended);
                slot.missed = Some(Event { has_ended, ..event });
            }
        }
    }

    fn line_up(&mut self, key: usize) {
        if !std::mem::replace(&mut self.connections[key].is_in_line, true) {
            self.in_line.push_back(key);
        }
    }

    fn next_in_line(&mut self) -> Option<(usize, Box<Connection>)> {
        while let Some(key) = self.in_line.pop_front() {
            // It may be gone since.
            let Some(slot) = self.connections.get_mut(key) else { continue };
            slot.is_in_line = false;
            match slot.connection.take() {
                Some(connection) => return Some((key, connection)),
                None => slot.is_due = true,
            }
        }
        None
    }

    fn take(&mut self, key: usize) -> Option<Box<Connection>> {
        self.connections.get_mut(key)?.connection.take()
    }

    fn put_back(&mut self, key: usize, mut connection: Box<Connection>) {
        let slot = &mut self.connections[key];
        let missed = slot.missed.take();
        if let Some(event) = missed {
            connection.becomes_ready(event);
        }
        slot.connection = Some(connection);
        if std::mem::take(&mut slot.is_due) || missed.is_some() {
            self.line_up(key);
        }
    }
}

/// Says that a connection is gone, and why.
pub fn log_closed(shared: &Shared, peer: &str, reason: &str) {
    shared.log.event(Level::Info, format_args!("connection {peer} closed: {reason}"));
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::super::tests::{connected, lone};
    use super::*;

    #[test]
    fn a_panic_costs_one_connection_and_neither_the_worker_nor_the_lot() {
        let dir = tempfile::tempdir().unwrap();
        let server = lone(dir.path());
        let shared = &server.shared;

        let lot = Lot::new(0).unwrap();
        let mut desk = Desk::new(shared.limits.max_line);
        let (mut lost, mut lost_client) = connected(lot.open());
        let (kept, mut kept_client) = connected(lot.open());
        let step = desk.act(shared, &mut lost, |_, _, _| panic!("meant"));
        assert!(lot.enter(shared, lost, step, &mut desk).is_none());
        assert_eq!(lost_client.read(&mut [0]).unwrap(), 0);
        assert_eq!(lot.open().load(Ordering::SeqCst), 1);

        lot.send(Arrival::New(kept));
        assert!(lot.serve(shared, &mut desk).is_none());
        kept_client.write_all(b"x\n").unwrap();
        while lot.is_quiet() {
            lot.wait(shared, &mut Ready::default());
        }
        assert!(lot.serve(shared, &mut desk).is_none());
        let mut reply = [0; 4];
        kept_client.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"? x\n");

        drop(lot);
        server.stop();
        let log = std::fs::read_to_string(dir.path().join("Ball.log")).unwrap();
        assert_eq!(log.matches("closed: lost to a defect of this server").count(), 1, "{log}");
    }

    #[test]
    fn a_follower_is_called_to_a_line_that_takes_long_or_after_one_that_did() {
        let dir = tempfile::tempdir().unwrap();
        let server = lone(dir.path());
        let mut desk = Desk::new(server.shared.limits.max_line);
        let just_now = Instant::now() + Duration::from_secs(3600);
        let long_ago = Instant::now() - Duration::from_secs(1);
        for (began, is_busy, is_called) in
            [(just_now, false, false), (long_ago, false, true), (just_now, true, true)]
        {
            let lot = Lot::new(0).unwrap();
            // Clients stay until the lot is gone.
            let clients = [connected(lot.open()), connected(lot.open())].map(|(it, client)| {
                assert!(lot.enter(&server.shared, it, Step::Again, &mut desk).is_none());
                client
            });
            lot.inside.lock().followers = 1;
            lot.inside.lock().is_busy = is_busy;
            assert!(lot.next_in_line(began).is_some());
            assert_eq!(lot.inside.lock().is_one_called, is_called, "{is_busy}");
            drop((lot, clients));
        }
        server.stop();
    }
}
