//! Lots, their inboxes, the workers that give them away, and the way back from a provider: every client
//! gets all its replies in order, and a stop ends every worker, whenever it comes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herd::config::Durability;
use herd::places::{Failure, Lookup, Provider};
use herd::records::{Change, Records};
use herd::server::session::Session;
use herd::server::shared::Shared;
use herd::server::worker::Lots;
use herd::store::Store;
use herd::store::engine::{Engine, EngineError};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread::{self, JoinHandle};

use crate::support::{ENDLESS, Slow, check, config, log, server, server_with, until};

/// A server, its lots, and their workers.
struct Serving {
    shared: Arc<Shared>,
    lots: Arc<Lots>,
    workers: Vec<JoinHandle<()>>,
}

impl Serving {
    /// With so many lots, workers for each, and calls at a time.
    fn start(size: [usize; 3]) -> Self {
        Self::asking(Arc::new(Slow), size)
    }

    fn asking(provider: Arc<dyn Provider>, size: [usize; 3]) -> Self {
        let [_, _, calls] = size;
        let more = format!("[places]\nprovider = \"overpass\"\nworkers = {calls}\nqueue = 10\n");
        let (shared, _) = server("Ball", &config(&more), provider);
        shared.records.merge(&crate::support::record("kiwi", 1));
        Self::of(shared, size)
    }

    fn of(shared: Arc<Shared>, [lots, workers_each, calls]: [usize; 3]) -> Self {
        let lots = Lots::new(lots, workers_each, calls, ENDLESS).unwrap();
        let work = || {
            let (shared, lots) = (Arc::clone(&shared), Arc::clone(&lots));
            thread::spawn(move || lots.work(&shared))
        };
        let workers = (0..lots.workers()).map(|_| work()).collect();
        Self { shared, lots, workers }
    }

    /// A client that has said all it will, handed over as the listener does.
    fn admit(&self, commands: &str) -> UnixStream {
        let (mut client, stream) = UnixStream::pair().unwrap();
        client.write_all(commands.as_bytes()).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        client.set_nonblocking(true).unwrap();
        let session = Session::new("127.0.0.1:9".parse().unwrap());
        self.lots
            .admit(&self.shared, TcpStream::from(OwnedFd::from(stream)), session, None)
            .unwrap();
        client
    }

    /// As a stop of the pool does it; ends when all workers have.
    fn stop(self) {
        self.shared.is_stopping.store(true, Ordering::SeqCst);
        self.lots.wake();
        for worker in self.workers {
            worker.join().unwrap();
        }
        assert_eq!(self.shared.connections.load(Ordering::SeqCst), 0);
        assert_eq!(self.shared.lookups.load(), (0, 0));
    }
}

/// Asks for places, gets what is not valid copied, and asks again.
const COMMANDS: &str = "WHATSAT kiwi 1 1\nx\nWHATSAT kiwi 2 1\n";

fn expected() -> String {
    let at = "AT Ball +0.000000000 kiwi +1+1 1\n";
    let places = |radius| format!("{at}{{\"results\":[],\"status\":\"{radius}\"}}\n\n");
    format!("{}? x\n{}", places(1), places(2))
}

fn replies(mut client: UnixStream) -> String {
    let mut replies = String::new();
    client.read_to_string(&mut replies).unwrap();
    replies
}

#[test]
fn every_client_gets_all_its_replies_in_order_and_a_stop_ends_all_workers() {
    for size in [[1, 1, 1], [1, 2, 1], [2, 1, 1], [1, 2, 2]] {
        check(600, move || {
            let serving = Serving::start(size);
            // Equal look-ups meet in flight.
            let clients = [COMMANDS, COMMANDS, COMMANDS].map(|commands| serving.admit(commands));
            until(|| serving.shared.connections.load(Ordering::SeqCst) == 0);
            serving.stop();
            clients.into_iter().for_each(|client| assert_eq!(replies(client), expected()));
        });
    }
}

/// A provider that answers once the test says so.
struct Gate(Arc<AtomicBool>);

impl Provider for Gate {
    fn computes(&self) -> bool {
        false
    }

    fn nearby(&self, lookup: &Lookup) -> Result<Vec<u8>, Failure> {
        until(|| self.0.load(Ordering::SeqCst));
        Slow.nearby(lookup)
    }
}

#[test]
fn a_lot_is_served_by_another_worker_while_a_provider_is_asked() {
    check(1000, || {
        let is_open = Arc::new(AtomicBool::new(false));
        let serving = Serving::asking(Arc::new(Gate(Arc::clone(&is_open))), [1, 1, 1]);
        let asks = serving.admit(COMMANDS);
        let mut does_not_ask = serving.admit("x\n");
        let mut reply = [0; 4];
        until(|| does_not_ask.read_exact(&mut reply).is_ok());
        assert_eq!(&reply, b"? x\n");
        is_open.store(true, Ordering::SeqCst);
        until(|| serving.shared.connections.load(Ordering::SeqCst) == 0);
        serving.stop();
        assert_eq!(replies(asks), expected());
    });
}

#[test]
fn a_stop_at_any_time_ends_all_workers_and_cuts_no_reply_in_two() {
    for size in [[1, 1, 1], [1, 2, 1], [2, 1, 2]] {
        check(1000, move || {
            let serving = Serving::start(size);
            let clients = [COMMANDS, COMMANDS].map(|commands| serving.admit(commands));
            serving.stop();
            for replies in clients.map(replies) {
                let expected = expected();
                let whole = ["", &expected[..expected.find("? x").unwrap()], &expected];
                let whole =
                    [&whole[..], &[&expected[..expected.find("? x").unwrap() + 4]]].concat();
                assert!(whole.contains(&replies.as_str()), "{replies}");
            }
        });
    }
}

/// A disk that is done only when the test says so.
struct Disk {
    is_done: Arc<AtomicBool>,
}

impl Engine for Disk {
    fn commit(&mut self, _: &[Change], is_safe: bool) -> Result<(), EngineError> {
        assert!(is_safe);
        until(|| self.is_done.load(Ordering::SeqCst));
        Ok(())
    }
}

/// A server whose replies wait for commits, with its store and the thread that writes it.
struct Keeping {
    serving: Serving,
    store: Arc<Store>,
    writer: JoinHandle<()>,
}

impl Keeping {
    /// Commits end once `is_done` says so.
    fn start(more: &str, is_done: &Arc<AtomicBool>) -> Self {
        let mut config = config(&format!("{more}[places]\nprovider = \"overpass\"\n"));
        config.data.durability = Durability::Always;
        config.data.commit_timeout = ENDLESS;
        let records = Arc::new(Records::kept());
        let store = Store::unwritten(Arc::clone(&records), &config.data, log(), Arc::default());
        let (shared, _) =
            server_with(records, Some(Arc::clone(&store)), "Ball", &config, Arc::new(Slow));
        let serving = Serving::of(shared, [1, 2, 1]);
        // As a start does it.
        let lots = Arc::clone(&serving.lots);
        store.on_commit(move || lots.wake());
        let disk = Disk { is_done: Arc::clone(is_done) };
        let writer = {
            let store = Arc::clone(&store);
            thread::spawn(move || store.write(Box::new(disk)))
        };
        Self { serving, store, writer }
    }

    /// Once all clients are gone.
    fn stop(self) {
        until(|| self.serving.shared.connections.load(Ordering::SeqCst) == 0);
        self.serving.stop();
        self.store.end_by(Instant::now() + Duration::from_secs(3600));
        self.writer.join().unwrap();
    }
}

#[test]
fn with_durability_always_no_reply_comes_before_its_commit_and_all_come_after_it() {
    check(1000, || {
        let is_done = Arc::new(AtomicBool::new(false));
        let keeping = Keeping::start("", &is_done);
        let mut clients = ["IAMAT kiwi +1+1 5\n", "IAMAT plum +1+1 5\nWHATSAT plum 1 1\n"]
            .map(|commands| keeping.serving.admit(commands));
        for at in 0..20 {
            let client = &mut clients[at % 2];
            thread::yield_now();
            let read = client.read(&mut [0]);
            assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        }
        is_done.store(true, Ordering::SeqCst);
        keeping.stop();
        let [kiwi, plum] = clients.map(replies);
        assert!(kiwi.starts_with("AT Ball +") && kiwi.ends_with(" kiwi +1+1 5\n"), "{kiwi}");
        assert!(plum.matches(" plum +1+1 5\n").count() == 2 && plum.ends_with("}\n\n"), "{plum}");
    });
}

#[test]
fn a_commit_that_ends_just_as_a_reply_begins_to_wait_for_it_is_seen() {
    check(4000, || {
        let is_done = Arc::new(AtomicBool::new(true));
        let keeping = Keeping::start("[limits]\nmax_untaken = \"4KiB\"\n", &is_done);
        // The turn is full before the report, whose own turn is one in line: no look at commits comes after it. One
        // round, which nothing later would make up for.
        let fills = format!("{}\n", "x".repeat(4096));
        let client = keeping.serving.admit(&format!("{fills}IAMAT kiwi +1+1 5\n"));
        keeping.stop();
        assert!(replies(client).contains("\nAT Ball +"));
    });
}
