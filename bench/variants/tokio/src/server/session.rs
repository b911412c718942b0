//! What the commands mean: bytes of a client in, replies out. No socket, and nothing that waits.

use std::net::SocketAddr;

use herd::places::{Lookup, answer};
use herd::protocol::reply::{Fields, write_at, write_invalid, write_places};
use herd::protocol::{Command, Frame, Iamat, Nanos, Update, Whatsat, location};
use herd::records::{Merged, Record};

use super::Shared;
use super::turn::Turn;

/// Commands in one turn, at most, so that no client keeps its thread from others.
const COMMANDS_A_TURN: usize = 1000;

/// The state of one client's conversation, apart from its bytes.
pub(super) struct Session {
    /// `ADDRESS:PORT` of the client, as it stands in the log.
    pub(super) peer: Box<str>,
    /// True if the client may send UPDATE.
    is_trusted: bool,
    replies: u64,
}

/// A WHATSAT whose AT line is known and whose places are not.
pub(super) struct Pending {
    line: Vec<u8>,
    at: Vec<u8>,
    /// What to ask for.
    pub(super) lookup: Lookup,
}

/// Why a turn ended.
pub(super) enum Next {
    /// Every whole line is handled.
    NeedInput,
    /// The turn was full; more lines may be there.
    TurnFull,
    /// Places have to be asked for before anything else; see [`Session::answer`].
    AskPlaces(Box<Pending>),
    /// Nothing more is read from this client, for this reason.
    Close(&'static str),
}

impl Session {
    /// A client that just connected.
    pub(super) fn new(peer: SocketAddr) -> Self {
        let is_trusted = peer.ip().to_canonical().is_loopback();
        Self { peer: peer.to_string().into(), is_trusted, replies: 0 }
    }

    /// Handles the lines of `input` in order, until one of the bounds of a turn. At `at_end` what stands behind
    /// the last LF is a line too. Returns how many bytes were handled.
    pub(super) fn handle(
        &mut self,
        shared: &Shared,
        input: &[u8],
        at_end: bool,
        turn: &mut Turn,
    ) -> (usize, Next) {
        let limits = &shared.limits;
        let mut taken = 0;
        for _ in 0..COMMANDS_A_TURN {
            if turn.replies.len() >= limits.max_untaken {
                return (taken, Next::TurnFull);
            }
            let rest = &input[taken..];
            let line = match Frame::first(rest, limits.max_line) {
                Frame::Line(line) => line,
                Frame::Partial if at_end && !rest.is_empty() => rest,
                Frame::Partial => return (taken, Next::NeedInput),
                Frame::TooLong(start) => {
                    self.invalid(shared, start, turn);
                    return (input.len(), Next::Close("a line over max_line"));
                }
            };
            taken = (taken + line.len() + 1).min(input.len());
            if let Some(pending) = self.handle_line(shared, line, turn) {
                return (taken, Next::AskPlaces(pending));
            }
            if let Some(end) = self.end(shared) {
                return (taken, end);
            }
        }
        (taken, Next::TurnFull)
    }

    /// Ends the WHATSAT that waited, with its places. `has_more`: lines that came with it may wait.
    pub(super) fn answer(
        &mut self,
        shared: &Shared,
        pending: &Pending,
        places: &[u8],
        has_more: bool,
        turn: &mut Turn,
    ) -> Next {
        self.reply_places(shared, &pending.line, &pending.at, places, turn);
        let next = if has_more { Next::TurnFull } else { Next::NeedInput };
        self.end(shared).unwrap_or(next)
    }

    fn end(&self, shared: &Shared) -> Option<Next> {
        let is_over =
            shared.limits.commands_per_connection.is_some_and(|most| self.replies >= most);
        is_over.then_some(Next::Close("commands_per_connection replies"))
    }

    fn handle_line(
        &mut self,
        shared: &Shared,
        line: &[u8],
        turn: &mut Turn,
    ) -> Option<Box<Pending>> {
        match Command::parse(line) {
            Some(Command::Iamat(iamat)) if !is_too_far_ahead(shared, iamat.time, turn.now) => {
                self.iamat(shared, line, &iamat, turn);
            }
            Some(Command::Update(update)) if self.is_trusted => {
                self.update(shared, line, &update, turn);
            }
            Some(Command::Whatsat(whatsat)) => match shared.records.get(whatsat.client) {
                Some(record) => return self.whatsat(shared, line, &whatsat, &record, turn),
                None => self.invalid(shared, line, turn),
            },
            _ => self.invalid(shared, line, turn),
        }
        None
    }

    fn invalid(&mut self, shared: &Shared, line: &[u8], turn: &mut Turn) {
        self.reply(shared, line, turn, |replies| write_invalid(line, replies));
    }

    fn iamat(&mut self, shared: &Shared, line: &[u8], iamat: &Iamat<'_>, turn: &mut Turn) {
        let record = Record::new(&Fields {
            client: iamat.client,
            origin: shared.name.as_bytes(),
            location: iamat.location,
            time_text: iamat.time_text,
            time: iamat.time,
            skew: Nanos(turn.now.0.saturating_sub(iamat.time.0)),
        });
        let held = match shared.records.report(&record, shared.limits.max_records) {
            Merged::Stored { .. } => {
                turn.accept(shared, &record, None);
                record
            }
            Merged::Held(held) => held,
            Merged::Expired | Merged::Full => return self.invalid(shared, line, turn),
        };
        self.reply(shared, line, turn, |replies| write_at(&held.fields(), replies));
    }

    fn whatsat(
        &mut self,
        shared: &Shared,
        line: &[u8],
        whatsat: &Whatsat<'_>,
        record: &Record,
        turn: &mut Turn,
    ) -> Option<Box<Pending>> {
        let fields = record.fields();
        let mut at = Vec::new();
        write_at(&fields, &mut at);
        if whatsat.bound == 0 {
            self.reply_places(shared, line, &at, &answer::none(), turn);
            return None;
        }
        let center = location::coordinates(fields.location).expect("a record's location is valid");
        let lookup = Lookup { center, radius: whatsat.radius, bound: whatsat.bound };
        Some(Box::new(Pending { line: line.to_vec(), at, lookup }))
    }

    fn update(&mut self, shared: &Shared, line: &[u8], update: &Update<'_>, turn: &mut Turn) {
        turn.log_update(shared, &self.peer, line);
        let record = Record::new(&update.fields());
        if matches!(shared.records.merge(&record), Merged::Stored { .. }) {
            turn.accept(shared, &record, shared.flood.neighbor(update.sender));
        }
    }

    fn reply_places(
        &mut self,
        shared: &Shared,
        line: &[u8],
        at: &[u8],
        places: &[u8],
        turn: &mut Turn,
    ) {
        self.reply(shared, line, turn, |replies| {
            replies.extend_from_slice(at);
            write_places(places, replies);
        });
    }

    /// Appends a reply, counts it and logs the exchange.
    fn reply(
        &mut self,
        shared: &Shared,
        line: &[u8],
        turn: &mut Turn,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.replies += 1;
        let start = turn.replies.len();
        write(&mut turn.replies);
        turn.log_exchange(shared, &self.peer, line, start);
    }
}

/// True if a report's time lies more than `max_ahead` in the clock's future.
fn is_too_far_ahead(shared: &Shared, time: Nanos, now: Nanos) -> bool {
    let ahead = i128::from(time.0) - i128::from(now.0);
    ahead > 0 && ahead.unsigned_abs() > shared.limits.max_ahead.as_nanos()
}
