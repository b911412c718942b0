//! The workers of lots mode: as many as lots take, and as many more as may call the provider at once, so that a lot
//! always finds a free worker.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::addresses::Present;
use super::connection::Connection;
use super::desk::Desk;
use super::lot::{Arrival, Lot};
use super::open::Open;
use super::session::Session;
use super::shared::Shared;
use super::ticket::Ticket;
use crate::places::lookups::{Answer, Call};
use crate::waits::atomic::{AtomicUsize, Ordering};
use crate::waits::{self, Ready, Receiver, Sender};

/// What the workers share.
pub struct Lots {
    all: Vec<Lot>,
    /// Lots that lack a worker, by index, each as often as it lacks one; `None` tells a worker to end.
    free: (Sender<Free>, Receiver<Free>),
    workers: usize,
    /// Workers that lots have or wait for, until the lots have stopped.
    running: AtomicUsize,
    /// How long a lot may take to empty at a stop.
    stop_within: Duration,
}

/// A lot that lacks a worker, or the word to end.
type Free = Option<usize>;

/// What a worker has at hand.
struct Hands {
    desk: Desk,
    ready: Ready,
}

/// Why a worker leaves its lot.
enum Leave {
    /// To call the provider.
    ToCall(Call<Ticket>),
    /// The lot has stopped.
    Stopped,
}

impl Lots {
    /// Empty lots, each for `workers_each`; up to `calls` workers more may call the provider meanwhile.
    ///
    /// # Errors
    ///
    /// When the kernel has no descriptor left for one.
    pub fn new(
        count: usize,
        workers_each: usize,
        calls: usize,
        stop_within: Duration,
    ) -> io::Result<Arc<Self>> {
        let all = (0..count).map(Lot::new).collect::<io::Result<Vec<_>>>()?;
        // Bounded by the number of workers.
        let free = waits::unbounded();
        let serving = count * workers_each;
        let running = AtomicUsize::new(serving);
        let lots = Self { all, free, workers: serving + calls, running, stop_within };
        (0..serving).for_each(|worker| lots.give(Some(worker % count)));
        Ok(Arc::new(lots))
    }

    /// The lot with the fewest connections.
    fn emptiest(&self) -> &Lot {
        let by_open = |lot: &&Lot| lot.open().load(Ordering::Relaxed);
        self.all.iter().min_by_key(by_open).expect("there is a lot at least")
    }

    /// Hands a connection that was just accepted to the lot with the fewest.
    ///
    /// # Errors
    ///
    /// When the socket is gone already.
    pub fn admit(
        &self,
        shared: &Shared,
        stream: TcpStream,
        session: Session,
        present: Option<Present>,
    ) -> io::Result<()> {
        let lot = self.emptiest();
        let open = Open::count([Arc::clone(&shared.connections), Arc::clone(lot.open())], present);
        let connection = Connection::new(stream, session, open)?;
        lot.send(Arrival::New(Box::new(connection)));
        Ok(())
    }

    /// How many lots there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// How many workers there are to be, each in [`Lots::work`].
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// How many workers serve a lot.
    pub fn serving(&self) -> usize {
        self.running.load(Ordering::SeqCst).saturating_sub(self.waiting())
    }

    /// How many workers lots wait for.
    pub fn waiting(&self) -> usize {
        self.free.1.len()
    }

    /// Has all lots looked at.
    pub fn wake(&self) {
        self.all.iter().for_each(Lot::wake);
    }

    /// The job of one worker: takes a lot, serves it until a provider has to be called, gives it
    /// away and calls, then takes a free one. Ends when all lots have stopped.
    pub fn work(&self, shared: &Shared) {
        let desk = Desk::new(shared.limits.max_line);
        let mut hands = Hands { desk, ready: Ready::default() };
        while let Ok(Some(lot)) = self.free.1.recv() {
            match self.serve(shared, &self.all[lot], &mut hands) {
                Leave::ToCall(call) => {
                    self.give(Some(lot));
                    self.call(shared, call);
                }
                Leave::Stopped => {
                    if self.running.fetch_sub(1, Ordering::SeqCst) == 1 {
                        (0..self.workers).for_each(|_| self.give(None));
                    }
                }
            }
        }
    }

    /// Waits for a lot and serves it, until a call has to be made or it has stopped.
    fn serve(&self, shared: &Shared, lot: &Lot, hands: &mut Hands) -> Leave {
        loop {
            // Before it waits: whoever had the lot before may have left something, of which nobody is told again.
            if let Some(call) = lot.serve(shared, &mut hands.desk) {
                return Leave::ToCall(call);
            }
            if lot.keep_time(shared, &mut hands.desk, self.stop_within) {
                return Leave::Stopped;
            }
            lot.wait(shared, &mut hands.ready);
        }
    }

    /// Calls the provider, which may block, and sends everyone who waited for it on.
    fn call(&self, shared: &Shared, call: Call<Ticket>) {
        let finished = call.run();
        shared.waited_too_long(finished.late);
        for (ticket, answer) in finished.answered {
            self.send_on(ticket, answer);
        }
        if let Some(call) = finished.next
            && let Ticket::Lot { lot, .. } = call.ticket
        {
            self.all[lot].send(Arrival::Call(call));
        }
    }

    fn send_on(&self, ticket: Ticket, answer: Answer) {
        if let Ticket::Lot { lot, connection } = ticket {
            self.all[lot].send(Arrival::Answered(connection, answer));
        }
    }

    fn give(&self, lot: Free) {
        self.free.0.send(lot).expect("both ends are here");
    }
}
