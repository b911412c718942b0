//! Lots, their inboxes, the workers that give them away, and the way back from a provider: every client
//! gets all its replies in order, and a stop ends every worker, whenever it comes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use herd::server::lot::{Door, Lot};
use herd::server::session::Session;
use herd::server::shared::Shared;
use herd::server::worker::Lots;
use shuttle::thread::{self, JoinHandle};

use crate::support::{ENDLESS, Slow, check, config, server, until};

/// A server of so many lots, as many calls at a time, and its workers.
struct Serving {
    shared: Arc<Shared>,
    lots: Arc<Lots>,
    workers: Vec<JoinHandle<()>>,
}

impl Serving {
    fn start(lots: usize, calls: usize) -> Self {
        let more = format!("[places]\nprovider = \"overpass\"\nworkers = {calls}\nqueue = 10\n");
        let (shared, _) = server("Ball", &config(&more), Arc::new(Slow));
        shared.records.merge(&crate::support::record("kiwi", 1));
        let places = (0..lots).map(|index| Lot::new(index, shared.limits.max_line).unwrap());
        let lots = Lots::new(places.collect(), lots + calls, ENDLESS);
        let work = || {
            let (shared, lots) = (Arc::clone(&shared), Arc::clone(&lots));
            thread::spawn(move || lots.work(&shared))
        };
        let workers = (0..lots.doors.len() + calls).map(|_| work()).collect();
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
        self.lots.doors.iter().for_each(Door::wake);
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
    for (lots, calls) in [(1, 1), (2, 1), (2, 2)] {
        check(600, move || {
            let serving = Serving::start(lots, calls);
            // Equal look-ups meet in flight.
            let clients = [COMMANDS, COMMANDS, COMMANDS].map(|commands| serving.admit(commands));
            until(|| serving.shared.connections.load(Ordering::SeqCst) == 0);
            serving.stop();
            clients.into_iter().for_each(|client| assert_eq!(replies(client), expected()));
        });
    }
}

#[test]
fn a_stop_at_any_time_ends_all_workers_and_cuts_no_reply_in_two() {
    for (lots, calls) in [(1, 1), (2, 2)] {
        check(1000, move || {
            let serving = Serving::start(lots, calls);
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
