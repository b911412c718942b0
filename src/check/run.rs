//! A case against a server. Blocking, on the caller's thread; every wait ends at a deadline.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::case::{Case, Line, Step};
use super::connection::{Connection, said};
use super::values::{Match, Values, Window};
use super::{Mismatch, Settings};
use crate::protocol::Nanos;

/// How long `pause` is: long enough that two writes arrive apart, short enough not to matter.
const PAUSE: Duration = Duration::from_millis(20);

/// Between two bytes that are sent byte by byte.
const BYTE_PAUSE: Duration = Duration::from_micros(500);

/// Runs one case. At its end, each connection that is still open is shut down for sending, and the
/// server must then end it without a byte more.
///
/// Blocks for at most `settings.deadline` at each step.
///
/// # Errors
/// The first thing that differs, a failing connection among them.
pub fn run(
    case: &Case,
    addr: SocketAddr,
    server_name: &str,
    settings: &Settings,
) -> Result<(), Mismatch> {
    let seed = random().map_err(|error| fault(case.line, &error))?;
    let from = clock();
    let values = Values::new(server_name, settings, seed, from);
    let mut talk = Talk { addr, settings, values, from, line: case.line, connections: Vec::new() };
    let mut current = None;
    for step in &case.steps {
        let at = match (step, current) {
            (Step::On(name), _) => talk.connection(name)?,
            (_, Some(at)) => at,
            (_, None) => talk.connection("")?,
        };
        current = Some(at);
        talk.step(at, step)?;
    }
    for connection in &mut talk.connections {
        connection.half_close();
    }
    (0..talk.connections.len()).try_for_each(|at| talk.closed(at))
}

/// A case that is under way.
struct Talk<'a> {
    addr: SocketAddr,
    settings: &'a Settings,
    values: Values<'a>,
    from: Nanos,
    /// The last line of the transcript that was reached.
    line: usize,
    connections: Vec<Connection>,
}

impl Talk<'_> {
    /// The index of the connection of this name, which is opened now if it is new.
    fn connection(&mut self, name: &str) -> Result<usize, Mismatch> {
        if let Some(at) = self.connections.iter().position(|known| known.name == name) {
            return Ok(at);
        }
        let opened = Connection::open(name, self.addr, self.settings.deadline);
        self.connections.push(opened.map_err(|error| fault(self.line, &error))?);
        Ok(self.connections.len() - 1)
    }

    fn step(&mut self, at: usize, step: &Step) -> Result<(), Mismatch> {
        match step {
            Step::On(_) => Ok(()),
            Step::Pause => {
                sleep(PAUSE);
                Ok(())
            }
            Step::Send { lines, byte_by_byte } => self.send(at, lines, *byte_by_byte),
            Step::Expect { lines, in_one_read } => self.expect(at, lines, *in_one_read),
            Step::HalfClose => {
                self.connections[at].half_close();
                Ok(())
            }
            Step::Closed { line } => {
                self.line = *line;
                self.closed(at)
            }
        }
    }

    fn send(&mut self, at: usize, lines: &[Line], byte_by_byte: bool) -> Result<(), Mismatch> {
        let mut bytes = Vec::new();
        for line in lines {
            self.line = line.number;
            for index in 1..=line.times {
                bytes.extend_from_slice(&self.values.bytes(line, index));
            }
        }
        let connection = &mut self.connections[at];
        let deadline = Instant::now() + self.settings.deadline;
        let sent = if byte_by_byte {
            bytes.iter().try_for_each(|&byte| {
                connection.send(&[byte], deadline)?;
                sleep(BYTE_PAUSE);
                Ok(())
            })
        } else {
            connection.send(&bytes, deadline)
        };
        connection.sent = bytes;
        sent.map_err(|error| {
            let problem = said(&error, self.settings.deadline);
            connection.mismatch(Some(self.line), "all that is sent to be taken".into(), problem)
        })
    }

    fn expect(&mut self, at: usize, lines: &[Line], in_one_read: bool) -> Result<(), Mismatch> {
        let mut reads_left = if in_one_read { 1 } else { usize::MAX };
        for line in lines {
            for index in 1..=line.times {
                self.expect_line(at, line, index, &mut reads_left)?;
            }
        }
        Ok(())
    }

    fn expect_line(
        &mut self,
        at: usize,
        line: &Line,
        index: usize,
        reads_left: &mut usize,
    ) -> Result<(), Mismatch> {
        self.line = line.number;
        let connection = &mut self.connections[at];
        let deadline = Instant::now() + self.settings.deadline;
        let problem = loop {
            let window = Window { from: self.from, until: clock() };
            match self.values.compare(line, index, connection.untaken(), window) {
                Match::Whole(length) => {
                    connection.take(length);
                    return Ok(());
                }
                Match::Wrong(problem) => break problem,
                Match::More if *reads_left == 0 => break "it did not come in one read".into(),
                Match::More => {}
            }
            match connection.receive(deadline) {
                Ok(0) => break "the server closed the connection".into(),
                Ok(_) => *reads_left -= 1,
                Err(error) => break said(&error, self.settings.deadline),
            }
        };
        let expected = self.values.expectation(line, index);
        Err(connection.mismatch(Some(line.number), expected, problem))
    }

    /// The server must end the connection, with no byte before that.
    fn closed(&mut self, at: usize) -> Result<(), Mismatch> {
        let connection = &mut self.connections[at];
        let deadline = Instant::now() + self.settings.deadline;
        let problem = if !connection.untaken().is_empty() {
            "bytes after the last reply".into()
        } else {
            match connection.receive(deadline) {
                Ok(0) => return Ok(()),
                Ok(_) => "bytes after the last reply".into(),
                Err(error) => said(&error, self.settings.deadline),
            }
        };
        Err(connection.mismatch(Some(self.line), "the end of the connection".into(), problem))
    }
}

/// A mismatch without an expectation: a socket failed.
fn fault(line: usize, error: &dyn std::error::Error) -> Mismatch {
    let (sent, got) = (Vec::new(), Vec::new());
    Mismatch {
        line: Some(line),
        sent,
        expected: "a connection".into(),
        got,
        problem: error.to_string(),
    }
}

/// A number that no other case and no other run has.
pub(super) fn random() -> Result<u64, getrandom::Error> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed)?;
    Ok(u64::from_ne_bytes(seed))
}

/// The time by our clock.
pub(super) fn clock() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
