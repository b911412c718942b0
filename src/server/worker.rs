//! The workers of lots mode: as many as there are lots, and as many more as may call the provider
//! at once, so that a lot always finds a free worker.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::addresses::Present;
use super::connection::Connection;
use super::lot::{Arrival, Door, Leave, Lot};
use super::open::Open;
use super::session::Session;
use super::shared::Shared;
use super::ticket::Ticket;
use crate::places::lookups::{Answer, Call};
use crate::waits::atomic::{AtomicUsize, Ordering};
use crate::waits::{self, Receiver, Sender};

/// What the workers share.
pub struct Lots {
    /// The ways in, by index of the lot.
    pub doors: Vec<Door>,
    /// Lots without a worker; `None` tells a worker to end.
    free: (Sender<Free>, Receiver<Free>),
    workers: usize,
    running: AtomicUsize,
    /// How long a lot may take to empty at a stop.
    stop_within: Duration,
}

/// A lot without a worker, or the word to end.
type Free = Option<Box<Lot>>;

impl Lots {
    /// Lots that wait for their workers.
    pub fn new(lots: Vec<(Lot, Door)>, workers: usize, stop_within: Duration) -> Arc<Self> {
        // Bounded by the number of lots and, at the end, of workers.
        let free = waits::unbounded();
        let running = AtomicUsize::new(lots.len());
        let doors = lots
            .into_iter()
            .map(|(lot, door)| {
                free.0.send(Some(Box::new(lot))).expect("both ends are here");
                door
            })
            .collect();
        Arc::new(Self { doors, free, workers, running, stop_within })
    }

    /// The door of the lot with the fewest connections.
    pub fn emptiest(&self) -> (usize, &Door) {
        let by_open = |(_, door): &(usize, &Door)| door.open.load(Ordering::Relaxed);
        self.doors.iter().enumerate().min_by_key(by_open).expect("there is a lot for each core")
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
        let (_, door) = self.emptiest();
        let open = Open::count([Arc::clone(&shared.connections), Arc::clone(&door.open)], present);
        let connection = Connection::new(stream, session, open)?;
        door.send(Arrival::New(Box::new(connection)));
        Ok(())
    }

    /// How many lots wait for a worker.
    pub fn waiting(&self) -> usize {
        self.free.1.len()
    }

    /// The job of one worker: takes a lot, serves it until a provider has to be called, gives it
    /// away and calls, then takes a free one. Ends when all lots have stopped.
    pub fn work(&self, shared: &Shared) {
        while let Ok(Some(mut lot)) = self.free.1.recv() {
            let open = &self.doors[lot.index()].open;
            match lot.run(shared, open, self.stop_within) {
                Leave::ToCall(call) => {
                    self.give(Some(lot));
                    self.call(shared, call);
                }
                Leave::Stopped => {
                    drop(lot);
                    if self.running.fetch_sub(1, Ordering::SeqCst) == 1 {
                        for _ in 0..self.workers {
                            self.give(None);
                        }
                    }
                }
            }
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
            self.doors[lot].send(Arrival::Call(call));
        }
    }

    fn send_on(&self, ticket: Ticket, answer: Answer) {
        if let Ticket::Lot { lot, connection } = ticket {
            self.doors[lot].send(Arrival::Answered(connection, answer));
        }
    }

    fn give(&self, lot: Free) {
        self.free.0.send(lot).expect("both ends are here");
    }
}
