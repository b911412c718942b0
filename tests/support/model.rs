//! A server as the contract words it, as short as it goes: no socket, no thread, no speed. It reads
//! lines with the protocol module, so that transcripts can hold that module to the contract, and
//! it can have a fault, so that transcripts are held to finding it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::mem::take;

use herd::protocol::reply::{self, Fields};
use herd::protocol::{Command, Frame, Nanos, Update};

/// What can be wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    RestampsEqualReports,
    ReadsTimesAsFloats,
    LetsTheLastTieWin,
    LetsTheFirstTieWin,
    LetsTheGreaterSkewWin,
    AnswersWithTheReportItself,
    StripsTheCr,
    CopiesAsText,
    SplitsAtUnicodeSpaces,
    SplitsAtControlBytes,
    IgnoresCase,
    RoundsSkews,
    SkewsBackwards,
    AnswersUpdates,
    ForgetsUpdates,
    JudgesHowFarUpdatesAreAhead,
    TakesAnyFuture,
    DropsTheFinalLine,
    TakesAnEmptyRemainderForALine,
    SkipsEmptyLines,
    CountsTheLf,
    StaysAfterALongLine,
    ReadsOnAfterALongLine,
    WaitsForTheEndOfALongLine,
    LosesWhatFollowsALine,
    ForgetsTheBound,
    KnowsEveryClient,
    EndsPlacesWithOneLf,
    SwapsReplies,
    NeverCloses,
    ExecutesWhatItDoesNotAnswer,
}

/// What a server is set to.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) max_line: usize,
    pub(crate) max_ahead: Nanos,
    pub(crate) commands_per_connection: Option<u64>,
    pub(crate) fault: Option<Fault>,
    records: HashMap<Vec<u8>, Record>,
}

/// In the order of the merge: the greater wins.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    time: Nanos,
    skew: Reverse<Nanos>,
    origin: Vec<u8>,
    location: Vec<u8>,
    time_text: Vec<u8>,
}

/// One connection: what came of a line that is not whole, and what is to be sent.
#[derive(Default)]
pub(crate) struct Session {
    input: Vec<u8>,
    pub(crate) output: Vec<u8>,
    pub(crate) is_closed: bool,
    replies: u64,
}

impl Model {
    pub(crate) fn new(name: &'static str, fault: Option<Fault>) -> Self {
        Self {
            name,
            max_line: 8192,
            max_ahead: Nanos(24 * 3600 * 1_000_000_000),
            commands_per_connection: None,
            fault,
            records: HashMap::new(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Takes what came on a connection at this time of the clock.
    pub(crate) fn feed(&mut self, session: &mut Session, bytes: &[u8], clock: Nanos) {
        session.input.extend_from_slice(bytes);
        let input = take(&mut session.input);
        let mut rest = &input[..];
        while !session.is_closed {
            let limit = self.max_line - usize::from(self.has(Fault::CountsTheLf));
            match Frame::first(rest, limit) {
                Frame::Line(line) => {
                    rest = &rest[line.len() + 1..];
                    self.line(session, line, clock);
                    if self.has(Fault::LosesWhatFollowsALine) {
                        rest = &[];
                    }
                }
                Frame::TooLong(_)
                    if self.has(Fault::WaitsForTheEndOfALongLine) && !rest.contains(&b'\n') =>
                {
                    break;
                }
                Frame::TooLong(start) => {
                    reply::write_invalid(start, &mut session.output);
                    session.is_closed = !self.has(Fault::StaysAfterALongLine)
                        && !self.has(Fault::ReadsOnAfterALongLine);
                    let end = rest.iter().position(|&byte| byte == b'\n');
                    rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
                    if self.has(Fault::StaysAfterALongLine) {
                        rest = &[];
                    }
                }
                Frame::Partial => break,
            }
        }
        session.input = rest.to_vec();
        if session.is_closed && self.has(Fault::ExecutesWhatItDoesNotAnswer) {
            for line in rest.split(|&byte| byte == b'\n') {
                self.answer(line, clock);
            }
        }
    }

    /// The client has shut down.
    pub(crate) fn end(&mut self, session: &mut Session, clock: Nanos) {
        let line = take(&mut session.input);
        let is_line = !line.is_empty() || self.has(Fault::TakesAnEmptyRemainderForALine);
        if is_line && !session.is_closed && !self.has(Fault::DropsTheFinalLine) {
            self.line(session, &line, clock);
        }
        session.is_closed = true;
    }

    fn line(&mut self, session: &mut Session, line: &[u8], clock: Nanos) {
        let Some(reply) = self.answer(line, clock) else { return };
        if self.has(Fault::SwapsReplies) {
            session.output.splice(0..0, reply);
        } else {
            session.output.extend(reply);
        }
        session.replies += 1;
        let is_last = self.commands_per_connection.is_some_and(|most| session.replies >= most);
        session.is_closed = is_last && !self.has(Fault::NeverCloses);
    }

    fn answer(&mut self, line: &[u8], clock: Nanos) -> Option<Vec<u8>> {
        if line.is_empty() && self.has(Fault::SkipsEmptyLines) {
            return None;
        }
        let read = self.as_read(line);
        let mut out = Vec::new();
        let is_valid = match Command::parse(&read) {
            None => false,
            Some(Command::Iamat(report)) => {
                let is_ahead = report.time.0 - clock.0 > self.max_ahead.0;
                let is_valid = !is_ahead || self.has(Fault::TakesAnyFuture);
                if is_valid {
                    let sign = if self.has(Fault::SkewsBackwards) { -1 } else { 1 };
                    let record = Record {
                        time: report.time,
                        skew: Reverse(Nanos(sign * (clock.0 - report.time.0))),
                        origin: self.name.into(),
                        location: report.location.to_vec(),
                        time_text: report.time_text.to_vec(),
                    };
                    let held = self.report(report.client, record.clone());
                    let shown =
                        if self.has(Fault::AnswersWithTheReportItself) { record } else { held };
                    shown.write(report.client, &mut out);
                }
                is_valid
            }
            Some(Command::Whatsat(look_up)) => {
                let nobody = self.has(Fault::KnowsEveryClient).then(|| Record::nobody(self.name));
                let held = self.records.get(look_up.client).cloned().or(nobody);
                if let Some(held) = &held {
                    held.write(look_up.client, &mut out);
                    let is_unbound = self.has(Fault::ForgetsTheBound);
                    let bound = if is_unbound { 20 } else { usize::from(look_up.bound) };
                    reply::write_places(places(bound).as_bytes(), &mut out);
                    if self.has(Fault::EndsPlacesWithOneLf) {
                        out.pop();
                    }
                }
                held.is_some()
            }
            Some(Command::Update(update)) => self.update(&update, clock, &mut out),
        };
        if !is_valid {
            reply::write_invalid(&self.as_copied(line), &mut out);
        }
        (!out.is_empty()).then_some(out)
    }

    fn update(&mut self, update: &Update<'_>, clock: Nanos, out: &mut Vec<u8>) -> bool {
        let is_ahead = update.time.0.saturating_sub(clock.0) > self.max_ahead.0;
        if is_ahead && self.has(Fault::JudgesHowFarUpdatesAreAhead) {
            return false;
        }
        if self.has(Fault::AnswersUpdates) {
            out.extend_from_slice(b"OK\n");
        }
        // As if the last decimal that is kept came from a tenth one.
        let rounded = i64::from(self.has(Fault::RoundsSkews) && update.skew.0 % 10 == 9);
        if !self.has(Fault::ForgetsUpdates) {
            let record = Record {
                time: update.time,
                skew: Reverse(Nanos(update.skew.0 + rounded)),
                origin: update.origin.to_vec(),
                location: update.location.to_vec(),
                time_text: update.time_text.to_vec(),
            };
            self.merge(update.client, record);
        }
        true
    }

    /// A report whose client, location and time bytes are those held is that record again.
    fn report(&mut self, client: &[u8], record: Record) -> Record {
        match self.records.get(client) {
            Some(held)
                if (&held.location, &held.time_text) == (&record.location, &record.time_text)
                    && !self.has(Fault::RestampsEqualReports) =>
            {
                held.clone()
            }
            _ => self.merge(client, record),
        }
    }

    /// The record that is held afterwards.
    fn merge(&mut self, client: &[u8], mut record: Record) -> Record {
        if self.has(Fault::ReadsTimesAsFloats) {
            let seconds: f64 = String::from_utf8_lossy(&record.time_text).parse().unwrap();
            #[allow(clippy::cast_possible_truncation)]
            let nanos = (seconds * 1e9) as i64;
            record.time = Nanos(nanos);
        }
        let Some(held) = self.records.get(client) else {
            self.records.insert(client.to_vec(), record.clone());
            return record;
        };
        let is_newer = match self.fault {
            Some(Fault::RestampsEqualReports) if held.time == record.time => {
                held.location == record.location || record > *held
            }
            Some(Fault::LetsTheLastTieWin) => record.time >= held.time,
            Some(Fault::LetsTheFirstTieWin) => record.time > held.time,
            Some(Fault::LetsTheGreaterSkewWin) => {
                (record.time, record.skew.0) > (held.time, held.skew.0)
            }
            _ => record > *held,
        };
        if is_newer {
            self.records.insert(client.to_vec(), record);
        }
        self.records[client].clone()
    }

    /// The line as a faulty reader would take it.
    fn as_read(&self, line: &[u8]) -> Vec<u8> {
        let mut line = line.to_vec();
        match self.fault {
            Some(Fault::SplitsAtUnicodeSpaces) => {
                for at in 1..line.len() {
                    if line[at - 1..=at] == *b"\xc2\xa0" {
                        line[at - 1..=at].copy_from_slice(b"  ");
                    }
                }
            }
            Some(Fault::SplitsAtControlBytes) => {
                line.iter_mut().filter(|byte| **byte < b' ').for_each(|byte| *byte = b' ');
            }
            Some(Fault::IgnoresCase) => {
                let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
                line[..end].make_ascii_uppercase();
            }
            _ => {}
        }
        line
    }

    /// The line as a faulty writer would copy it.
    fn as_copied(&self, line: &[u8]) -> Vec<u8> {
        match self.fault {
            Some(Fault::StripsTheCr) => line.strip_suffix(b"\r").unwrap_or(line).to_vec(),
            Some(Fault::CopiesAsText) => String::from_utf8_lossy(line).into_owned().into(),
            _ => line.to_vec(),
        }
    }
}

impl Record {
    fn nobody(name: &str) -> Self {
        Self {
            time: Nanos(0),
            skew: Reverse(Nanos(0)),
            origin: name.into(),
            location: b"+0+0".to_vec(),
            time_text: b"0".to_vec(),
        }
    }

    fn write(&self, client: &[u8], out: &mut Vec<u8>) {
        let fields = Fields {
            client,
            origin: &self.origin,
            location: &self.location,
            time_text: &self.time_text,
            time: self.time,
            skew: self.skew.0,
        };
        reply::write_at(&fields, out);
    }
}

/// As many places as asked for, all of them made up.
fn places(bound: usize) -> String {
    let status = if bound == 0 { "ZERO_RESULTS" } else { "OK" };
    let results = vec!["{\"name\": \"somewhere\"}"; bound].join(",\n\n");
    format!("{{\"html_attributions\": [],\n\"results\": [{results}], \"status\": \"{status}\"}}\n")
}
