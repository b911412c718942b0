//! Replies that wait for the disk, in both modes, over an engine that commits when it is told to.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use crossbeam_channel::{Receiver, Sender};
use tempfile::TempDir;

use super::connection::Connection;
use super::open::Open;
use super::session::Session;
use super::*;
use crate::store::told::{Commit, told};
use crate::waits::atomic::AtomicUsize;

/// Longest wait; no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose store commits when it is told to.
struct Rig {
    server: Option<ServerHandle>,
    say: Sender<bool>,
    commits: Receiver<Commit>,
    _dir: TempDir,
}

struct Client(BufReader<TcpStream>);

/// A server without neighbors.
pub(super) fn lone(directory: &Path) -> ServerHandle {
    let text = format!(
        "[[server]]\nname = \"Ball\"\nlisten = \"127.0.0.1:0\"\n[log]\ndir = '{}'\n",
        directory.display()
    );
    let config = Config::parse(Path::new("herd.toml"), &text).unwrap();
    let name = ServerName::parse(b"Ball").unwrap();
    Server::bind(&config, &name).unwrap().start(&config).unwrap()
}

/// A connection of no server, and its client.
pub(super) fn connected(count: &Arc<AtomicUsize>) -> (Box<Connection>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (stream, peer) = listener.accept().unwrap();
    let open = Open::count([Arc::clone(count)], None);
    (Box::new(Connection::new(stream, Session::new(peer), open).unwrap()), client)
}

fn in_each_mode(data: &str, rest: &str, check: impl Fn(&Rig) + Sync) {
    std::thread::scope(|scope| {
        for mode in ["lots", "pinned"] {
            let check = &check;
            scope.spawn(move || check(&Rig::start(mode, data, rest)));
        }
    });
}

impl Rig {
    fn start(mode: &str, data: &str, rest: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "[[server]]\nname = \"Ball\"\nlisten = \"127.0.0.1:0\"\n\
             [pool]\nmode = \"{mode}\"\nworkers = 16\n\
             [data]\ndurability = \"always\"\ninterval = \"1h\"\n{data}\n{rest}\n\
             [log]\ndir = '{}'\n",
            dir.path().display()
        );
        let config = Config::parse(Path::new("herd.toml"), &text).unwrap();
        let name = ServerName::parse(b"Ball").unwrap();
        let (engine, say, commits) = told();
        let engine = std::cell::Cell::new(Some(engine as Box<dyn Engine>));
        let open = |_: &Records, _: &Log, _: &Counters| Ok(engine.take().expect("opened once"));
        let server =
            Server::bind(&config, &name).unwrap().start_with(&config, Some(&open)).unwrap();
        Self { server: Some(server), say, commits, _dir: dir }
    }

    fn server(&self) -> &ServerHandle {
        self.server.as_ref().unwrap()
    }

    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.server().address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(BufReader::new(stream))
    }

    /// Waits until a commit is under way, and returns how many changes it has.
    #[track_caller]
    fn commit_begins(&self) -> usize {
        self.commits.recv_timeout(PATIENCE).unwrap().0.len()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Commits fail from here on, and nothing is left to say.
        (self.say, _) = crossbeam_channel::unbounded();
        let Some(server) = self.server.take() else { return };
        // Not for its 30 s: what is not stored here is meant to be lost.
        server.stop_within(Duration::ZERO);
    }
}

impl Client {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    #[track_caller]
    fn expect(&mut self, start: &str) {
        let line = self.line();
        assert!(line.starts_with(start), "{line:?} is not {start:?}");
    }

    /// Nothing has come so far. A server that answers too early may not have done so yet, so this can miss
    /// that, and it never sees what is not there.
    #[track_caller]
    fn has_nothing(&self) {
        let stream = self.0.get_ref();
        stream.set_nonblocking(true).unwrap();
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        assert!(peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
    }
}

#[test]
fn a_reply_waits_for_its_commit_and_others_of_its_lot_are_served_meanwhile() {
    in_each_mode("", "", |rig| {
        // More than there are lots, or few cores: some share a lot.
        let mut clients: Vec<_> = (0..8).map(|_| rig.client()).collect();
        clients[0].send("IAMAT kiwi +1+1 1\n");
        assert_eq!(rig.commit_begins(), 1);
        for (at, client) in clients.iter_mut().enumerate().skip(1) {
            client.send(&format!("x{at}\n"));
            client.expect(&format!("? x{at}\n"));
        }
        clients[0].has_nothing();
        rig.say.send(true).unwrap();
        clients[0].expect("AT Ball +");
    });
}

#[test]
fn a_reply_that_shows_a_held_record_waits_for_that_records_commit() {
    in_each_mode("", "", |rig| {
        let (mut first, mut same, mut older, mut asks) =
            (rig.client(), rig.client(), rig.client(), rig.client());
        first.send("IAMAT kiwi +1+1 2\n");
        assert_eq!(rig.commit_begins(), 1);
        same.send("IAMAT kiwi +1+1 2\n");
        older.send("IAMAT kiwi +2+2 1\n");
        asks.send("WHATSAT kiwi 1 0\n");
        // All were handled once this is: it goes last to each.
        for client in [&mut same, &mut older, &mut asks] {
            client.send("x\n");
        }
        let mut last = rig.client();
        last.send("x\n");
        last.expect("? x\n");
        for client in [&first, &same, &older, &asks] {
            client.has_nothing();
        }
        rig.say.send(true).unwrap();
        for client in [&mut first, &mut same, &mut older, &mut asks] {
            let line = client.line();
            assert!(line.starts_with("AT Ball ") && line.ends_with(" kiwi +1+1 2\n"), "{line}");
        }
        assert!(rig.commits.is_empty(), "what they show needed no further commit");
    });
}

#[test]
fn replies_keep_their_order_and_become_denials_when_the_commit_is_late() {
    in_each_mode("commit_timeout = \"100ms\"", "", |rig| {
        let mut client = rig.client();
        client.send("x\nIAMAT kiwi +1+1 1\ny\nWHATSAT kiwi 1 0\nz\n");
        assert_eq!(rig.commit_begins(), 1);
        for line in ["x", "IAMAT kiwi +1+1 1", "y", "WHATSAT kiwi 1 0", "z"] {
            assert_eq!(client.line(), format!("? {line}\n"));
        }
        let counters = &rig.server().shared.counters;
        assert_eq!(counters.late_commits.get(), 2);
        // The record is held, and goes to the disk all the same.
        rig.say.send(true).unwrap();
        let store = rig.server().shared.store.clone().unwrap();
        while store.want().is_some() {
            std::thread::yield_now();
        }
        client.send("IAMAT kiwi +1+1 1\nx\n");
        client.expect("AT Ball +");
        client.expect("? x\n");
        assert_eq!(counters.late_commits.get(), 2);
    });
}

#[test]
fn a_look_up_that_blocks_waits_for_the_commit_too() {
    // Nobody listens at that port, so the provider fails at once.
    let places = "[places]\nprovider = \"overpass\"\nbase_url = \"http://127.0.0.1:1\"";
    in_each_mode("", places, |rig| {
        let mut client = rig.client();
        client.send("IAMAT kiwi +1+1 1\nWHATSAT kiwi 1 1\nx\n");
        assert_eq!(rig.commit_begins(), 1);
        client.has_nothing();
        rig.say.send(true).unwrap();
        client.expect("AT Ball +");
        client.expect("AT Ball +");
        client.expect("{\"html_attributions\"");
        client.expect("\n");
        client.expect("? x\n");
    });
}

#[test]
fn a_client_that_leaves_while_its_reply_waits_is_no_harm() {
    in_each_mode("", "", |rig| {
        let mut leaves = rig.client();
        leaves.send("IAMAT kiwi +1+1 1\n");
        assert_eq!(rig.commit_begins(), 1);
        drop(leaves);
        let mut half_closes = rig.client();
        half_closes.send("IAMAT plum +1+1 1");
        half_closes.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        rig.say.send(true).unwrap();
        rig.say.send(true).unwrap();
        half_closes.expect("AT Ball +");
        assert_eq!(half_closes.line(), "", "its end");
    });
}

#[test]
fn many_replies_share_a_commit() {
    in_each_mode("", "", |rig| {
        let mut clients: Vec<_> = (0..10).map(|_| rig.client()).collect();
        clients[0].send("IAMAT client0 +1+1 1\n");
        assert_eq!(rig.commit_begins(), 1);
        for (at, client) in clients.iter_mut().enumerate().skip(1) {
            client.send(&format!("IAMAT client{at} +1+1 1\n"));
        }
        while rig.server().records().len() < 10 {
            std::thread::yield_now();
        }
        rig.say.send(true).unwrap();
        clients[0].expect("AT Ball +");
        assert_eq!(rig.commit_begins(), 9);
        rig.say.send(true).unwrap();
        for client in &mut clients[1..] {
            client.expect("AT Ball +");
        }
    });
}
