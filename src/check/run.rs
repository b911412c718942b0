//! A case against a server. Blocking, on the caller's thread; every wait ends at a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::case::{Case, Line, Step};
use super::values::{Match, Values, Window};
use super::{Mismatch, Settings};
use crate::protocol::Nanos;

/// How long `pause` is: long enough that two writes arrive apart, short enough not to matter.
const PAUSE: Duration = Duration::from_millis(20);

/// Between two bytes that are sent byte by byte.
const BYTE_PAUSE: Duration = Duration::from_micros(500);

/// Longest single wait of a write, after which replies are read: who only writes can wait for ever
/// for a server that waits for its replies to be taken.
const WRITE_TURN: Duration = Duration::from_millis(10);

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
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| fault(case.line, &error))?;
    let seed = u64::from_ne_bytes(seed);
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
            connection.mismatch(self.line, "all that is sent to be taken".into(), problem)
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
                    connection.taken += length;
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
        Err(connection.mismatch(line.number, expected, problem))
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
        Err(connection.mismatch(self.line, "the end of the connection".into(), problem))
    }
}

/// A connection to the server.
struct Connection {
    name: String,
    stream: TcpStream,
    /// The last write, for the message.
    sent: Vec<u8>,
    /// What came; `taken` bytes of it are compared and done with.
    received: Vec<u8>,
    taken: usize,
    /// The server ended it, so nothing more can come.
    is_ended: bool,
}

impl Connection {
    fn open(name: &str, addr: SocketAddr, deadline: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, deadline)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_TURN))?;
        let (sent, received) = (Vec::new(), Vec::new());
        Ok(Self { name: name.into(), stream, sent, received, taken: 0, is_ended: false })
    }

    fn untaken(&self) -> &[u8] {
        &self.received[self.taken..]
    }

    /// Sends all, and takes replies meanwhile if the server would not read on without that. If the
    /// server has ended the connection, what is left is dropped: what was expected decides.
    fn send(&mut self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {
                    if Instant::now() >= deadline {
                        return Err(error);
                    }
                    self.take_what_is_there()?;
                }
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads until nothing is there for a moment.
    fn take_what_is_there(&mut self) -> io::Result<()> {
        loop {
            match self.receive(Instant::now()) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads once. 0 is the end of the connection.
    fn receive(&mut self, deadline: Instant) -> io::Result<usize> {
        if self.is_ended {
            return Ok(0);
        }
        let mut buffer = [0; 64 * 1024];
        loop {
            // std refuses a timeout of zero.
            let left = deadline.saturating_duration_since(Instant::now());
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            match self.stream.read(&mut buffer) {
                Ok(count) => {
                    self.is_ended = count == 0;
                    self.received.drain(..std::mem::take(&mut self.taken));
                    self.received.extend_from_slice(&buffer[..count]);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// An error here means that the connection is gone, which the next read tells.
    fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn mismatch(&mut self, line: usize, expected: String, problem: String) -> Mismatch {
        let problem = match self.name.as_str() {
            "" => problem,
            name => format!("connection `{name}`: {problem}"),
        };
        let sent = std::mem::take(&mut self.sent);
        Mismatch { line, sent, expected, got: self.untaken().to_vec(), problem }
    }
}

/// A mismatch without an expectation: a socket failed.
fn fault(line: usize, error: &dyn std::error::Error) -> Mismatch {
    let (sent, got) = (Vec::new(), Vec::new());
    Mismatch { line, sent, expected: "a connection".into(), got, problem: error.to_string() }
}

fn said(error: &io::Error, deadline: Duration) -> String {
    if is_timeout(error) {
        format!("nothing more came within {deadline:?}")
    } else {
        format!("the connection failed: {error}")
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
    )
}

fn clock() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
