//! Servers as short as they go, in this process, that can each have one fault: what the rules for
//! herds and neighbors are held to finding.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use herd::protocol::reply::{Fields, write_at, write_invalid, write_update};
use herd::protocol::{Command, Nanos, fields};
use herd::records::Record;

/// What can be wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    KeepsReportsToItself,
    LosesOneOfMany,
    IgnoresUpdates,
    LetsTheFirstWin,
    LetsTheFirstTieWin,
    LetsTheGreaterSkewWin,
    AnswersWithTheReportItself,
    RestampsEqualReports,
    AnswersTheOneBefore,
    NeverDials,
    DialsOnce,
    SendsOnlyWhatComesLater,
    GreetsItsNeighbor,
    TellsTheNeighborTwice,
    TellsTheNeighborWhatIsNotNewer,
    TellsTheNeighborOnlyOfItsOwnClients,
    TellsTheNeighborItsOwnUpdates,
    LeavesTheSender,
    LeavesTheSkew,
    Queues,
    QueuesNewestFirst,
}

/// Between servers an update takes so long, so that reports to several of them cross.
const ON_THE_WAY: Duration = Duration::from_millis(30);

/// A server that runs until it is dropped.
pub(crate) struct Faulty {
    pub(crate) addr: SocketAddr,
    pub(crate) name: &'static str,
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    fault: Option<Fault>,
    /// The record of each client, and the one before it.
    records: Mutex<HashMap<Vec<u8>, [Record; 2]>>,
    peers: Mutex<Vec<Sender<(Record, String)>>>,
    neighbor: Mutex<Option<&'static str>>,
    /// Lines for the neighbor, each under its client (and a number, where they queue); `None` while
    /// there is no connection.
    outbox: Mutex<Option<BTreeMap<Vec<u8>, Vec<u8>>>>,
    count: AtomicU64,
    is_over: AtomicBool,
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.addr);
    }
}

/// Servers A and B, linked, of which A dials the neighbor, if there is one.
pub(crate) fn pair(
    fault: Option<Fault>,
    neighbor: Option<(&'static str, SocketAddr)>,
) -> [Faulty; 2] {
    let pair = ["A", "B"].map(|name| Faulty::start(name, fault));
    for (from, to) in [(0, 1), (1, 0)] {
        let (send, updates) = channel::<(Record, String)>();
        pair[from].shared.peers.lock().unwrap().push(send);
        let to = Arc::clone(&pair[to].shared);
        thread::spawn(move || {
            while let Ok(first) = updates.recv() {
                thread::sleep(ON_THE_WAY);
                for (record, sender) in std::iter::once(first).chain(updates.try_iter()) {
                    to.accept(&record, &sender, None);
                }
            }
        });
    }
    if let Some((name, addr)) = neighbor.filter(|_| fault != Some(Fault::NeverDials)) {
        *pair[0].shared.neighbor.lock().unwrap() = Some(name);
        let shared = Arc::clone(&pair[0].shared);
        thread::spawn(move || shared.dials(addr));
    }
    pair
}

impl Faulty {
    fn start(name: &'static str, fault: Option<Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            name,
            fault,
            records: Mutex::default(),
            peers: Mutex::default(),
            neighbor: Mutex::default(),
            outbox: Mutex::default(),
            count: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let accepts = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if accepts.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&accepts);
                thread::spawn(move || shared.serves(&stream));
            }
        });
        Self { addr, name, shared }
    }
}

impl Shared {
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn serves(&self, stream: &TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut input = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(1..) = input.read_until(b'\n', &mut line) {
            let answer = self.answer(line.strip_suffix(b"\n").unwrap_or(&line));
            if (&mut &*stream).write_all(&answer).is_err() {
                return;
            }
            line.clear();
        }
    }

    fn answer(&self, line: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match Command::parse(line) {
            Some(Command::Iamat(iamat)) => {
                let skew = Nanos(clock().0 - iamat.time.0);
                let said = Record::new(&Fields {
                    client: iamat.client,
                    origin: self.name.as_bytes(),
                    location: iamat.location,
                    time_text: iamat.time_text,
                    time: iamat.time,
                    skew,
                });
                let held = self.accept(&said, self.name, None);
                let is_repeated = held.is_same_report(&said);
                let answers_itself = self.has(Fault::AnswersWithTheReportItself)
                    || self.has(Fault::RestampsEqualReports) && is_repeated;
                write_at(&if answers_itself { said } else { held }.fields(), &mut out);
            }
            Some(Command::Whatsat(whatsat)) => match self.look_up(whatsat.client) {
                Some(record) => {
                    write_at(&record.fields(), &mut out);
                    let places: &[u8] =
                        br#"{"html_attributions": [], "results": [], "status": "ZERO_RESULTS"}"#;
                    out.extend_from_slice(places);
                    out.extend_from_slice(b"\n\n");
                }
                None => write_invalid(line, &mut out),
            },
            Some(Command::Update(update)) if !self.has(Fault::IgnoresUpdates) => {
                let sender = String::from_utf8(update.sender.to_vec()).unwrap();
                self.accept(&Record::new(&update.fields()), &sender, Some(line));
            }
            Some(Command::Update(_)) => {}
            None => write_invalid(line, &mut out),
        }
        out
    }

    fn look_up(&self, client: &[u8]) -> Option<Record> {
        let records = self.records.lock().unwrap();
        let [now, before] = records.get(client)?;
        let is_third = self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
        let goes_back = self.has(Fault::AnswersTheOneBefore) && is_third;
        Some(if goes_back { before } else { now }.clone())
    }

    /// Merges what came from a sender, tells the others of it if it is newer, and gives what is held.
    fn accept(&self, said: &Record, sender: &str, line: Option<&[u8]>) -> Record {
        let mut records = self.records.lock().unwrap();
        let held = records.get(said.client());
        let is_newer = held.is_none_or(|[held, _]| self.is_newer(said, held));
        if is_newer {
            let before = held.map_or(said, |[held, _]| held).clone();
            records.insert(said.client().to_vec(), [said.clone(), before]);
            self.tell_peers(said, sender);
        }
        let held = records[said.client()][0].clone();
        drop(records);
        if is_newer || self.has(Fault::TellsTheNeighborWhatIsNotNewer) {
            self.tell_neighbor(said, sender, line);
        }
        held
    }

    fn is_newer(&self, said: &Record, held: &Record) -> bool {
        match self.fault {
            Some(Fault::LetsTheFirstWin) => false,
            Some(Fault::LetsTheFirstTieWin) => said.time() > held.time(),
            Some(Fault::LetsTheGreaterSkewWin) if said.time() == held.time() => {
                said.skew() > held.skew()
            }
            _ => said.is_newer_than(held),
        }
    }

    fn tell_peers(&self, said: &Record, sender: &str) {
        let is_lost = self.has(Fault::LosesOneOfMany)
            && self.count.fetch_add(1, Ordering::Relaxed) % 40 >= 38;
        let is_from_peer = ["A", "B"].contains(&sender) && sender != self.name;
        if is_lost || is_from_peer || self.has(Fault::KeepsReportsToItself) {
            return;
        }
        for peer in &*self.peers.lock().unwrap() {
            let _ = peer.send((said.clone(), self.name.to_owned()));
        }
    }

    fn tell_neighbor(&self, said: &Record, sender: &str, line: Option<&[u8]>) {
        let is_back = Some(sender) == *self.neighbor.lock().unwrap();
        let is_of_others = sender != self.name;
        if is_back && !self.has(Fault::TellsTheNeighborItsOwnUpdates)
            || is_of_others && self.has(Fault::TellsTheNeighborOnlyOfItsOwnClients)
        {
            return;
        }
        let mut update = self.update(said);
        if let Some(line) = line {
            let mut fields: Vec<_> = fields(line).collect();
            match self.fault {
                Some(Fault::LeavesTheSender) => {
                    update.clear();
                    write_update(&said.fields(), fields[6], &mut update);
                }
                Some(Fault::LeavesTheSkew) => {
                    fields[6] = self.name.as_bytes();
                    update = [&fields.join(&b' '), &b"\n"[..]].concat();
                }
                _ => {}
            }
        }
        if self.has(Fault::TellsTheNeighborTwice) {
            update.extend_from_within(..);
        }
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let number = match self.fault {
            Some(Fault::Queues) => &number.to_be_bytes()[..],
            Some(Fault::QueuesNewestFirst) => &(u64::MAX - number).to_be_bytes()[..],
            _ => &[],
        };
        if let Some(outbox) = &mut *self.outbox.lock().unwrap() {
            outbox.insert([said.client(), number].concat(), update);
        }
    }

    fn update(&self, record: &Record) -> Vec<u8> {
        let mut update = Vec::new();
        write_update(&record.fields(), self.name.as_bytes(), &mut update);
        update
    }

    /// Keeps a connection to the neighbor.
    fn dials(&self, addr: SocketAddr) {
        while !self.is_over.load(Ordering::Relaxed) {
            if let Ok(stream) = TcpStream::connect(addr) {
                let _ = self.tells(&stream);
                *self.outbox.lock().unwrap() = None;
                if self.has(Fault::DialsOnce) {
                    return;
                }
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn tells(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        if self.has(Fault::GreetsItsNeighbor) {
            stream.write_all(b"HELLO A 1 0123456789abcdef\n")?;
        }
        {
            let records = self.records.lock().unwrap();
            let all = records.iter().map(|(client, [now, _])| (client.clone(), self.update(now)));
            let is_told_all = !self.has(Fault::SendsOnlyWhatComesLater);
            *self.outbox.lock().unwrap() = Some(all.filter(|_| is_told_all).collect());
        }
        while !self.is_over.load(Ordering::Relaxed) {
            let taken = self.outbox.lock().unwrap().as_mut().map(std::mem::take);
            for line in taken.unwrap_or_default().values() {
                stream.write_all(line)?;
            }
            stream.set_nonblocking(true)?;
            let peeked = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            match peeked {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => return Ok(()),
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

fn clock() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Nanos(i64::try_from(since.as_nanos()).unwrap())
}
