//! As herd's `lots` do it: workers share an epoll; one leads and waits for it, the others rest until more is in
//! line than it serves alone in a while. Each has one connection at a time, a buffer that its connections share,
//! and makes one read and one write a turn.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use herd::waits::{Awaits, Condvar, Event, Mutex, Poller, Ready};
use slab::Slab;

use super::{say_not_accepted, say_ready};

/// Bytes of one read, at most, as in herd.
const READ_BYTES: usize = 64 * 1024;

/// Longest line that is echoed.
const LONGEST_LINE: usize = READ_BYTES / 2;

/// Workers that share a lot, at most, as in herd.
const WORKERS_A_LOT: usize = 8;

/// How long a worker serves a line alone, as in herd.
const ALONE: Duration = Duration::from_micros(200);

const FOR_EVER: Duration = Duration::from_secs(3600);

/// Connections that are waited on together.
struct Lot {
    poller: Poller,
    inside: Mutex<Inside>,
    /// Workers rest here while another leads.
    rest: Condvar,
}

#[derive(Default)]
struct Inside {
    connections: Slab<Slot>,
    /// Those that have a turn now.
    in_line: VecDeque<usize>,
    /// The last line took longer than [`ALONE`].
    is_busy: bool,
    has_leader: bool,
    resting: usize,
    /// One of them was called, and has not come yet.
    is_one_called: bool,
}

/// The place of a connection.
struct Slot {
    /// `None` while a worker has it.
    connection: Option<Box<Connection>>,
    is_in_line: bool,
    /// What was told of it while a worker had it.
    missed: Option<Event>,
}

/// A client.
struct Connection {
    stream: TcpStream,
    /// The start of a line.
    input: Vec<u8>,
    /// What the socket did not take yet.
    output: Vec<u8>,
    awaits: Awaits,
    /// Behind what can be read stands the end.
    has_ended: bool,
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
    let count = cores.div_ceil(WORKERS_A_LOT);
    let lots = (0..count).map(|_| Lot::new()).collect::<io::Result<Vec<_>>>()?;
    for lot in &lots {
        for _ in 0..cores.div_ceil(count) {
            let lot = Arc::clone(lot);
            thread::spawn(move || lot.work());
        }
    }
    say_ready(listener)?;
    for lot in lots.iter().cycle() {
        match listener.accept() {
            // A connection that fails is its client's loss alone.
            Ok((stream, _)) => drop(lot.take_in(stream)),
            Err(error) => say_not_accepted(&error),
        }
    }
    Ok(())
}

impl Lot {
    fn new() -> io::Result<Arc<Self>> {
        let (inside, rest) = (Mutex::new(Inside::default()), Condvar::new());
        Ok(Arc::new(Self { poller: Poller::new()?, inside, rest }))
    }

    fn take_in(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let awaits = Awaits::Readable;
        let (input, output) = (Vec::new(), Vec::new());
        let connection = Connection { stream, input, output, awaits, has_ended: false };
        let mut inside = self.inside.lock();
        let entry = inside.connections.vacant_entry();
        self.poller.add(&connection.stream, entry.key(), awaits)?;
        let connection = Some(Box::new(connection));
        entry.insert(Slot { connection, is_in_line: false, missed: None });
        Ok(())
    }

    fn work(&self) {
        let (mut ready, mut buffer) = (Ready::default(), vec![0; READ_BYTES]);
        loop {
            self.serve_line(&mut buffer);
            if let Err(error) = self.wait(&mut ready) {
                eprintln!("herd-bench: cannot wait for connections: {error}");
                return;
            }
        }
    }

    fn serve_line(&self, buffer: &mut [u8]) {
        let began = Instant::now();
        let mut next = self.next_in_line(began);
        if next.is_none() {
            return;
        }
        while let Some((key, connection)) = next {
            self.serve_one(key, connection, buffer);
            next = self.next_in_line(began);
        }
        self.inside.lock().is_busy = began.elapsed() > ALONE;
    }

    fn wait(&self, ready: &mut Ready) -> io::Result<()> {
        let mut inside = self.inside.lock();
        if inside.has_leader {
            if inside.in_line.is_empty() {
                inside.resting += 1;
                self.rest.wait_for(&mut inside, FOR_EVER);
                inside.resting -= 1;
                inside.is_one_called = false;
            }
            return Ok(());
        }
        inside.has_leader = true;
        drop(inside);
        let waited = self.poller.wait(ready, FOR_EVER);
        let mut inside = self.inside.lock();
        inside.has_leader = false;
        waited?;
        ready.iter().for_each(|event| inside.becomes_ready(event));
        if inside.is_busy && inside.in_line.len() > 1 {
            self.call_one(&mut inside);
        }
        Ok(())
    }

    fn call_one(&self, inside: &mut Inside) {
        if inside.resting > 0 && !inside.is_one_called {
            inside.is_one_called = true;
            self.rest.notify_one();
        }
    }

    fn next_in_line(&self, began: Instant) -> Option<(usize, Box<Connection>)> {
        let mut inside = self.inside.lock();
        let key = inside.in_line.pop_front()?;
        if !inside.in_line.is_empty() && (inside.is_busy || began.elapsed() > ALONE) {
            self.call_one(&mut inside);
        }
        let slot = &mut inside.connections[key];
        slot.is_in_line = false;
        Some((key, slot.connection.take().expect("it is in line only while nobody has it")))
    }

    /// Serves a connection that is ready, until it has to be waited for. An error ends it.
    fn serve_one(&self, key: usize, mut connection: Box<Connection>, buffer: &mut [u8]) {
        let served = connection.serve(buffer).and_then(|awaits| {
            if connection.awaits != awaits {
                connection.awaits = awaits;
                self.poller.modify(&connection.stream, key, awaits)?;
            }
            Ok(())
        });
        let mut inside = self.inside.lock();
        match served {
            Ok(()) => inside.put_back(key, connection),
            Err(_) => drop(inside.connections.remove(key)),
        }
    }
}

impl Inside {
    fn becomes_ready(&mut self, event: Event) {
        // It may be gone since.
        let Some(slot) = self.connections.get_mut(event.key) else { return };
        let Some(connection) = &mut slot.connection else {
            slot.missed = Some(event);
            return;
        };
        connection.has_ended |= event.has_ended;
        if !std::mem::replace(&mut slot.is_in_line, true) {
            self.in_line.push_back(event.key);
        }
    }

    fn put_back(&mut self, key: usize, connection: Box<Connection>) {
        let slot = &mut self.connections[key];
        slot.connection = Some(connection);
        if let Some(event) = slot.missed.take() {
            self.becomes_ready(event);
        }
    }
}

impl Connection {
    /// Turns, until there is nothing more to do: what to wait for then.
    fn serve(&mut self, buffer: &mut [u8]) -> io::Result<Awaits> {
        loop {
            match self.turn(buffer)? {
                Turn::Full => {}
                Turn::Done if self.has_ended => {}
                Turn::Done => return Ok(Awaits::Readable),
                Turn::Untaken => return Ok(Awaits::Writable),
            }
        }
    }

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
