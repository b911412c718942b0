//! The listener of a neighbor that the tool plays: takes the connections that a server dials, and
//! remembers the UPDATE lines that concern us.
//!
//! One thread looks at all of it in turn, and only when it is told to: so a rule can leave unread
//! what the server sends.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::fact::Fact;
use crate::listening;

/// Between two looks at sockets that had nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Bytes that the kernel takes for a connection while nobody reads: few, so that what a server
/// keeps for a slow neighbor is soon its own.
const KERNEL_BYTES: usize = 16 << 10;

/// Longest line that is looked at, in bytes; an UPDATE has 512 at most.
const MAX_LINE: usize = 1024;

/// Lines that are kept, ten times what a rule brings about: a server may say more than it is told.
const MOST_HEARD: usize = 200_000;

/// Bytes that are read of one connection before the others have their turn.
const TURN_BYTES: usize = 1 << 20;

/// What hears a server.
pub(super) struct Player {
    pub(super) addr: SocketAddr,
    /// `None` while connections are refused.
    listener: Option<TcpListener>,
    ears: Vec<Ear>,
    /// Connections that were accepted since the start.
    pub(super) connections: usize,
    /// Lines about clients whose name begins so, in the order in which they came.
    pub(super) heard: Vec<Heard>,
    prefix: Vec<u8>,
    /// The first line that is no UPDATE in the contract's form.
    pub(super) wrong_line: Option<Vec<u8>>,
}

/// An UPDATE that a server sent.
#[derive(Debug)]
pub(super) struct Heard {
    /// The number of its connection, from 1.
    pub(super) connection: usize,
    pub(super) fact: Fact,
    pub(super) sender: Vec<u8>,
}

/// One accepted connection.
struct Ear {
    number: usize,
    stream: TcpStream,
    /// A line that is not whole yet.
    rest: Vec<u8>,
}

impl Player {
    /// Listens at `HOST:PORT`, and keeps what is said of clients whose name begins with `prefix`.
    pub(super) fn listen(address: &str, prefix: &str) -> io::Result<Self> {
        let listener = bind(address)?;
        Ok(Self {
            addr: listener.local_addr()?,
            listener: Some(listener),
            ears: Vec::new(),
            connections: 0,
            heard: Vec::new(),
            prefix: prefix.into(),
            wrong_line: None,
        })
    }

    /// Ends all connections; new ones are welcome.
    pub(super) fn hang_up(&mut self) {
        // Those that wait to be accepted are from before, too.
        self.hear();
        self.ears.clear();
    }

    /// Ends all connections and refuses new ones.
    pub(super) fn go_away(&mut self) {
        self.hear();
        self.listener = None;
        self.ears.clear();
    }

    /// Listens again.
    pub(super) fn come_back(&mut self) -> io::Result<()> {
        if self.listener.is_none() {
            self.listener = Some(bind(&self.addr.to_string())?);
        }
        Ok(())
    }

    /// Hears what comes until there is an answer or the deadline is over.
    pub(super) fn hear_until<T>(
        &mut self,
        deadline: Instant,
        answer: impl Fn(&Self) -> Option<T>,
    ) -> Option<T> {
        loop {
            let any_heard = self.hear();
            if let Some(answer) = answer(self) {
                return Some(answer);
            }
            if Instant::now() >= deadline {
                return None;
            }
            if !any_heard {
                sleep(LOOK_AGAIN);
            }
        }
    }

    /// Takes what is there, without waiting; true if there was anything.
    pub(super) fn hear(&mut self) -> bool {
        let mut any_heard = self.accept();
        let mut ears = std::mem::take(&mut self.ears);
        ears.retain_mut(|ear| self.read(ear, &mut any_heard));
        self.ears = ears;
        any_heard
    }

    fn accept(&mut self) -> bool {
        let before = self.connections;
        // Any error is one of this moment: the next look tries again.
        while let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) {
            self.connections += 1;
            if stream.set_nonblocking(true).is_ok() {
                self.ears.push(Ear { number: self.connections, stream, rest: Vec::new() });
            }
        }
        self.connections > before
    }

    /// Reads what is there, up to a turn. False once the connection has ended.
    fn read(&mut self, ear: &mut Ear, any_heard: &mut bool) -> bool {
        let mut buffer = [0; 64 * 1024];
        let mut left = TURN_BYTES;
        while left > 0 {
            match ear.stream.read(&mut buffer) {
                Ok(0) => {
                    self.end(ear);
                    return false;
                }
                Ok(count) => {
                    *any_heard = true;
                    left = left.saturating_sub(count);
                    ear.rest.extend_from_slice(&buffer[..count]);
                    if !self.take_lines(ear) {
                        return false;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }

    /// Notes the whole lines. False if one is so long that nothing behind it can be understood.
    fn take_lines(&mut self, ear: &mut Ear) -> bool {
        let mut taken = 0;
        while let Some(length) = ear.rest[taken..].iter().position(|&byte| byte == b'\n') {
            let line = &ear.rest[taken..=taken + length];
            taken += line.len();
            self.note(ear.number, line);
        }
        ear.rest.drain(..taken);
        if ear.rest.len() > MAX_LINE {
            self.wrong_line.get_or_insert_with(|| ear.rest.clone());
            return false;
        }
        true
    }

    /// The end of the input ends the last line.
    fn end(&mut self, ear: &mut Ear) {
        if !ear.rest.is_empty() {
            ear.rest.push(b'\n');
            self.note(ear.number, &ear.rest);
        }
    }

    fn note(&mut self, connection: usize, line: &[u8]) {
        match Fact::of_update(line) {
            None => drop(self.wrong_line.get_or_insert_with(|| line.to_vec())),
            Some((fact, sender)) if fact.client.starts_with(&self.prefix) => {
                if self.heard.len() < MOST_HEARD {
                    self.heard.push(Heard { connection, fact, sender });
                }
            }
            Some(_) => {}
        }
    }
}

fn bind(address: &str) -> io::Result<TcpListener> {
    let listener = listening::bind(address)?;
    // Connections have what their listener has.
    SockRef::from(&listener).set_recv_buffer_size(KERNEL_BYTES)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
