//! As herd's `lots` do it: a thread a core, each with an epoll of its own and a buffer that its connections
//! share, and one read and one write a turn.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use herd::waits::{Awaits, Event, Mutex, Poller, Ready};
use slab::Slab;

use super::{say_not_accepted, say_ready};

/// Bytes of one read, at most, as in herd.
const READ_BYTES: usize = 64 * 1024;

/// Longest line that is echoed.
const LONGEST_LINE: usize = READ_BYTES / 2;

const FOR_EVER: Duration = Duration::from_secs(3600);

/// Where the listener leaves what it accepted.
struct Door {
    poller: Poller,
    arrivals: Mutex<Vec<TcpStream>>,
}

/// A client.
struct Connection {
    stream: TcpStream,
    /// The start of a line.
    input: Vec<u8>,
    /// What the socket did not take yet.
    output: Vec<u8>,
    awaits: Awaits,
}

/// How a turn of a connection ended.
enum Turn {
    /// All that there was is sent back.
    Done,
    /// There may be more to read.
    Full,
    /// The client is to take its replies first.
    Untaken,
}

pub(super) fn serve(listener: &TcpListener) -> io::Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut doors = Vec::new();
    for _ in 0..cores {
        let door = Arc::new(Door { poller: Poller::new()?, arrivals: Mutex::new(Vec::new()) });
        doors.push(Arc::clone(&door));
        thread::spawn(move || serve_lot(&door));
    }
    say_ready(listener)?;
    for door in doors.iter().cycle() {
        match listener.accept() {
            Ok((stream, _)) => {
                door.arrivals.lock().push(stream);
                door.poller.notify()?;
            }
            Err(error) => say_not_accepted(&error),
        }
    }
    Ok(())
}

fn serve_lot(door: &Door) {
    let mut connections: Slab<Connection> = Slab::new();
    let (mut ready, mut buffer) = (Ready::default(), vec![0; READ_BYTES]);
    loop {
        if let Err(error) = door.poller.wait(&mut ready, FOR_EVER) {
            eprintln!("herd-bench: cannot wait for connections: {error}");
            return;
        }
        for stream in std::mem::take(&mut *door.arrivals.lock()) {
            // A connection that fails is its client's loss alone.
            let _ = take_in(door, stream, &mut connections);
        }
        for event in ready.iter() {
            if let Some(connection) = connections.get_mut(event.key)
                && serve_one(door, connection, event, &mut buffer).is_err()
            {
                connections.remove(event.key);
            }
        }
    }
}

fn take_in(door: &Door, stream: TcpStream, connections: &mut Slab<Connection>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let entry = connections.vacant_entry();
    door.poller.add(&stream, entry.key(), Awaits::Readable)?;
    let awaits = Awaits::Readable;
    entry.insert(Connection { stream, input: Vec::new(), output: Vec::new(), awaits });
    Ok(())
}

/// Serves a connection that is ready, until it has to be waited for. An error ends it.
fn serve_one(
    door: &Door,
    connection: &mut Connection,
    event: Event,
    buffer: &mut [u8],
) -> io::Result<()> {
    let awaits = loop {
        match connection.turn(buffer)? {
            Turn::Full => {}
            Turn::Done if event.has_ended => {}
            Turn::Done => break Awaits::Readable,
            Turn::Untaken => break Awaits::Writable,
        }
    };
    if connection.awaits != awaits {
        connection.awaits = awaits;
        door.poller.modify(&connection.stream, event.key, awaits)?;
    }
    Ok(())
}

impl Connection {
    /// Writes what waits, reads once, and sends whole lines back as they came.
    fn turn(&mut self, buffer: &mut [u8]) -> io::Result<Turn> {
        let output = std::mem::take(&mut self.output);
        if !self.write(&output)? {
            return Ok(Turn::Untaken);
        }
        let carried = self.input.len();
        if carried > LONGEST_LINE {
            return Err(ErrorKind::InvalidData.into());
        }
        buffer[..carried].copy_from_slice(&self.input);
        let length = match self.stream.read(&mut buffer[carried..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Turn::Done),
            Err(error) => return Err(error),
        };
        let input = &buffer[..carried + length];
        let lines = memchr::memrchr(b'\n', input).map_or(0, |last| last + 1);
        self.input.clear();
        self.input.extend_from_slice(&input[lines..]);
        if !self.write(&input[..lines])? {
            return Ok(Turn::Untaken);
        }
        Ok(if carried + length == buffer.len() { Turn::Full } else { Turn::Done })
    }

    /// Writes what the socket takes, and keeps the rest: false if there is some.
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.output.extend_from_slice(bytes);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
