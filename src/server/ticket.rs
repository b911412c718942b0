//! What stands for a connection that waits for places.

use super::connection::Connection;
use crate::places::lookups::{Answer, Call};
use crate::waits::Sender;

/// A connection that waits for places, and how it goes on.
pub enum Ticket {
    /// It is on its way to or from the inbox of this lot.
    Lot {
        /// The lot it came from.
        lot: usize,
        /// The connection itself: while it waits no thread has it.
        connection: Box<Connection>,
    },
    /// Its own thread waits at the other end.
    Pinned(Sender<Turned>),
}

/// What a pinned connection's thread waits for.
pub enum Turned {
    /// The places.
    Answer(Answer),
    /// It is its turn to call.
    Call(Call<Ticket>),
}
