//! What the commands mean: bytes of a client in, replies out. No socket.

use std::net::SocketAddr;

use super::addresses::ClientAddress;
use super::exceeded::Limit;
use super::exchange::{Exchange, Report};
use super::shared::Shared;
use super::turn::Turn;
use crate::flood::NeighborId;
use crate::places::lookups::Answer;
use crate::places::{Failure, Lookup, Status, answer};
use crate::protocol::reply::{Fields, write_at, write_invalid, write_places};
use crate::protocol::{Command, Frame, Iamat, Update, Whatsat, location};
use crate::records::{Merged, Record, TOGETHER};

/// Why a client over that limit is gone.
const USED_UP: &str = "commands_per_connection replies";
/// Commands in one turn, at most, so that no client keeps its lot from others.
const COMMANDS_A_TURN: usize = 1000;

/// The state of one client's conversation, apart from its bytes.
#[derive(Debug)]
pub struct Session {
    /// `ADDRESS:PORT` of the client, as it stands in the log.
    pub peer: Box<str>,
    /// True if the client may send UPDATE, where links have no key.
    is_trusted: bool,
    /// What limits per address count it as.
    address: Option<ClientAddress>,
    /// True once it sent an UPDATE: a neighbor, which no idle limit closes.
    is_neighbor: bool,
    replies: u64,
    /// A WHATSAT that waits for places.
    pending: Option<Box<Pending>>,
}

/// A WHATSAT whose AT line is known and whose places are not.
#[derive(Debug)]
struct Pending {
    line: Vec<u8>,
    at: Vec<u8>,
}

/// Why a turn ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Every whole line is handled.
    NeedInput,
    /// The turn was full; more lines may be there.
    TurnFull,
    /// The provider has to be asked before anything else; see [`Session::answer`].
    AskPlaces(Lookup),
    /// Nothing more is read from this client, for this reason.
    Close(&'static str),
}

/// Whether a reply shows what is known of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    Record,
    NoRecord,
}

impl Session {
    /// A client that just connected.
    pub fn new(peer: SocketAddr) -> Self {
        Self {
            peer: peer.to_string().into(),
            is_trusted: peer.ip().to_canonical().is_loopback(),
            address: ClientAddress::of(peer.ip()),
            is_neighbor: false,
            replies: 0,
            pending: None,
        }
    }

    /// True if no idle limit closes this connection.
    pub fn is_neighbor(&self) -> bool {
        self.is_neighbor
    }

    /// Handles the lines of `input` in order, until one of the bounds of a turn. At `at_end` what
    /// stands behind the last LF is a line too. Returns how many bytes were handled. Of reports at the end, fewer
    /// than [`TOGETHER`] are left in the exchange: for [`Session::settle`], or for [`Turn::merge`] with those of other connections,
    /// and then [`Session::reply_to_reports`].
    pub fn handle(
        &mut self,
        shared: &Shared,
        input: &[u8],
        at_end: bool,
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) -> (usize, Next) {
        turn.read_clock();
        let limits = &shared.limits;
        let mut taken = 0;
        for _ in 0..COMMANDS_A_TURN {
            if exchange.replies.len() >= limits.max_untaken {
                return (taken, Next::TurnFull);
            }
            let start = taken;
            let line = match Frame::first(&input[taken..], limits.max_line) {
                Frame::Line(line) => {
                    taken += line.len() + 1;
                    line
                }
                Frame::TooLong(head) => {
                    self.settle(shared, input, turn, exchange);
                    shared.exceeded(Limit::LineLength, &self.peer);
                    self.invalid(shared, head, turn, exchange);
                    return (input.len(), Next::Close("a line over max_line"));
                }
                Frame::Partial if at_end && taken < input.len() => {
                    taken = input.len();
                    &input[start..]
                }
                Frame::Partial => return (taken, Next::NeedInput),
            };
            match Command::parse(line) {
                Some(Command::Iamat(iamat)) if !shared.is_too_far_ahead(iamat.time, turn.now) => {
                    let record = record_of(&iamat, shared, turn);
                    let line = start..start + line.len();
                    exchange.reports.push(Report { line, record, merged: None });
                    if exchange.reports.len() == TOGETHER {
                        self.settle(shared, input, turn, exchange);
                    }
                }
                command => {
                    self.settle(shared, input, turn, exchange);
                    if let Some(lookup) = self.obey(shared, line, command, turn, exchange) {
                        return (taken, Next::AskPlaces(lookup));
                    }
                }
            }
            if self.is_over(shared, exchange.reports.len()) {
                return (taken, Next::Close(USED_UP));
            }
        }
        (taken, Next::TurnFull)
    }

    /// Merges the reports that wait in the exchange, and replies to them. `input` is where their lines stand.
    pub fn settle(
        &mut self,
        shared: &Shared,
        input: &[u8],
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) {
        if exchange.reports.is_empty() {
            return;
        }
        turn.merge(shared, std::slice::from_mut(exchange));
        self.reply_to_reports(shared, input, turn, exchange);
    }

    /// Ends the WHATSAT that waited, with its places. [`Next::Close`] or [`Next::TurnFull`].
    pub fn answer(
        &mut self,
        shared: &Shared,
        places: &[u8],
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) -> Next {
        turn.read_clock();
        let Pending { line, at } =
            *self.pending.take().expect("only a WHATSAT that waits is answered");
        self.reply_places(shared, &line, &at, places, turn, exchange);
        if self.is_over(shared, 0) { Next::Close(USED_UP) } else { Next::TurnFull }
    }

    /// True if the client has had all replies that it may have, with those that are due.
    fn is_over(&self, shared: &Shared, due: usize) -> bool {
        let most = shared.limits.commands_per_connection;
        most.is_some_and(|most| self.replies + due as u64 >= most)
    }

    /// Does what a command says that is no report, or that nobody can read.
    fn obey(
        &mut self,
        shared: &Shared,
        line: &[u8],
        command: Option<Command<'_>>,
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) -> Option<Lookup> {
        match command {
            Some(Command::Whatsat(whatsat)) => {
                if let Some(record) = shared.records.get(whatsat.client) {
                    return self.whatsat(shared, line, &whatsat, &record, turn, exchange);
                }
                self.invalid(shared, line, turn, exchange);
            }
            // With a key, what servers say comes on links, which prove that they have it.
            Some(Command::Update(update)) if self.is_trusted && shared.flood.keys.is_none() => {
                self.update(shared, line, &update, turn);
            }
            _ => self.invalid(shared, line, turn, exchange),
        }
        None
    }

    fn invalid(&mut self, shared: &Shared, line: &[u8], turn: &mut Turn, exchange: &mut Exchange) {
        turn.tally.invalid += 1;
        self.reply(shared, line, Shows::NoRecord, turn, exchange, |replies| {
            write_invalid(line, replies)
        });
    }

    /// Replies to the reports of an exchange, which are merged. `input` is where their lines stand.
    pub fn reply_to_reports(
        &mut self,
        shared: &Shared,
        input: &[u8],
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) {
        let mut reports = std::mem::take(&mut exchange.reports);
        for Report { line, record, merged } in reports.drain(..) {
            let line = &input[line];
            let held = match merged.expect("reports are merged before they are replied to") {
                Merged::Stored { .. } => {
                    turn.accept(shared, &record, None);
                    record
                }
                Merged::Held(held) => held,
                merged @ (Merged::Expired | Merged::Full) => {
                    if merged == Merged::Full {
                        shared.exceeded(Limit::Records, &self.peer);
                    }
                    self.invalid(shared, line, turn, exchange);
                    continue;
                }
            };
            turn.tally.iamat += 1;
            self.reply(shared, line, Shows::Record, turn, exchange, |replies| {
                write_at(&held.fields(), replies)
            });
        }
        exchange.reports = reports;
    }

    fn whatsat(
        &mut self,
        shared: &Shared,
        line: &[u8],
        whatsat: &Whatsat<'_>,
        record: &Record,
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) -> Option<Lookup> {
        let fields = record.fields();
        let center = location::coordinates(fields.location).expect("a record's location is valid");
        let lookup = Lookup { center, radius: whatsat.radius, bound: whatsat.bound };
        let mut at = Vec::new();
        write_at(&fields, &mut at);
        // Those that are computed cost nothing. One that shares the call of another counts all the
        // same: who asks cannot tell.
        let places = shared.lookups.compute(&lookup).or_else(|| {
            let limit = shared.rates.take(self.address).err()?;
            shared.exceeded(limit, &self.peer);
            Some(too_often(limit))
        });
        match places {
            Some(places) => {
                self.reply_places(shared, line, &at, &places, turn, exchange);
                None
            }
            None => {
                self.pending = Some(Box::new(Pending { line: line.to_vec(), at }));
                Some(lookup)
            }
        }
    }

    fn update(&mut self, shared: &Shared, line: &[u8], update: &Update<'_>, turn: &mut Turn) {
        turn.tally.update += 1;
        self.is_neighbor = true;
        let from: Option<NeighborId> = shared.flood.neighbor(update.sender);
        turn.log_update(shared, &self.peer, line);
        let record = Record::new(&update.fields());
        if matches!(shared.records.merge(&record), Merged::Stored { .. }) {
            turn.accept(shared, &record, from);
        }
    }

    fn reply_places(
        &mut self,
        shared: &Shared,
        line: &[u8],
        at: &[u8],
        places: &[u8],
        turn: &mut Turn,
        exchange: &mut Exchange,
    ) {
        turn.tally.whatsat += 1;
        self.reply(shared, line, Shows::Record, turn, exchange, |replies| {
            replies.extend_from_slice(at);
            write_places(places, replies);
        });
    }

    /// Appends a reply, counts it and logs the exchange. One that shows a record may have to wait until
    /// that is on disk.
    fn reply(
        &mut self,
        shared: &Shared,
        line: &[u8],
        shows: Shows,
        turn: &mut Turn,
        exchange: &mut Exchange,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.replies += 1;
        let start = exchange.replies.len();
        write(&mut exchange.replies);
        exchange.reply_ends(shared, line, start, shows == Shows::Record);
        turn.log_exchange(shared, &self.peer, line, &exchange.replies[start..]);
    }
}

/// What this server knows by a report.
fn record_of(iamat: &Iamat<'_>, shared: &Shared, turn: &Turn) -> Record {
    Record::new(&Fields {
        client: iamat.client,
        origin: shared.name.as_bytes(),
        location: iamat.location,
        time_text: iamat.time_text,
        time: iamat.time,
        skew: turn.now.since(iamat.time),
    })
}

/// Places for a WHATSAT over a rate.
fn too_often(limit: Limit) -> Answer {
    let message = match limit {
        Limit::WhatsatPerAddress => "too many WHATSAT a second from this address; ask again later",
        _ => "too many WHATSAT a second; ask again later",
    };
    answer::failure(&Failure { status: Status::OverQueryLimit, message: message.into() }).into()
}
