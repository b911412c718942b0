//! Two servers: what each accepts while their link comes up, goes down and comes up again is at both in
//! the end. The dialer's loop, the digests, the reader and the flooder are the product's; what is on the
//! wire when the link is cut is lost.

use std::io;
use std::sync::Arc;

use herd::flood::dial::{Dialer, Talk};
use herd::flood::handshake::VERSION;
use herd::flood::peer::Reader;
use herd::flood::{Accepted, Flood, FloodSender, NeighborId, flooder};
use herd::places::gazetteer::Gazetteer;
use herd::protocol::reply::write_update;
use herd::records::Merged;
use herd::waits::{Receiver, Sender, bounded};
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::thread::{self, JoinHandle};

use crate::support::{check, config, record, server, until};

/// Of the other one: each has one neighbor.
const NEIGHBOR: NeighborId = NeighborId(0);

/// One server of the two.
struct Node {
    flood: Arc<Flood>,
    sender: FloodSender,
    flooder: JoinHandle<()>,
}

impl Node {
    fn start(name: &str) -> Self {
        let (shared, batches) = server(name, &config(""), Arc::new(Gazetteer::default()));
        let flood = Arc::clone(&shared.flood);
        let sender = shared.flooder.clone();
        let outboxes = Arc::clone(&flood);
        let flooder = thread::spawn(move || {
            flooder::run(&batches, || Box::new(outboxes.links.iter().map(|link| &link.outbox)));
        });
        Self { flood, sender, flooder }
    }

    /// A client's report, as a worker takes it.
    fn accept(flood: &Flood, sender: &FloodSender, client: &str, time: i64) {
        let record = record(client, time);
        if let Merged::Stored { .. } = flood.records.report(&record, usize::MAX) {
            thread::yield_now();
            sender.send(vec![Accepted { record, from: None }]).unwrap();
        }
    }
}

/// The thread that dials: one connection, until its outbox closes or the wire is cut.
fn write_to(
    node: &Node,
    wire: Sender<Vec<u8>>,
    version: u32,
    ended: &Arc<AtomicUsize>,
) -> JoinHandle<()> {
    let (flood, ended) = (Arc::clone(&node.flood), Arc::clone(ended));
    thread::spawn(move || {
        let link = &flood.links[NEIGHBOR.0];
        link.outbox.open();
        let dialer = Dialer { flood: &flood, id: NEIGHBOR, link };
        let put = |lines: Vec<u8>| wire.send(lines).map_err(|_| io::Error::other("cut"));
        let _ = dialer.feed(2, dialer.speaker(version), |talk| match talk {
            Talk::Records(records) => {
                let mut lines = Vec::new();
                let me = flood.me.name.as_bytes();
                records.iter().for_each(|record| write_update(&record.fields(), me, &mut lines));
                put(lines)
            }
            Talk::Lines(lines) => put(lines.to_vec()),
            Talk::Idle => Ok(()),
        });
        link.repair.cut();
        flood.end_filling(NEIGHBOR);
        link.outbox.close();
        ended.fetch_add(1, Ordering::SeqCst);
    })
}

/// The thread that reads: until the wire ends.
fn read_from(node: &Node, wire: Receiver<Vec<u8>>, version: u32) -> JoinHandle<()> {
    let (flood, sender) = (Arc::clone(&node.flood), node.sender.clone());
    // Before either side has the link for up.
    flood.links[NEIGHBOR.0].repair.dialed(version);
    thread::spawn(move || {
        flood.links[NEIGHBOR.0].outbox.poke();
        let reader = Reader { flood: &flood, id: NEIGHBOR, sender: &sender, key: None };
        while let Ok(lines) = wire.recv() {
            assert_eq!(reader.merge_lines(&lines).unwrap(), lines.len());
        }
        flood.end_filling(NEIGHBOR);
    })
}

/// Reports come at both while the link comes up as often as `ups` says, and is cut between.
fn copies_are_equal(ups: usize, version: u32) {
    let nodes = [Node::start("Ball"), Node::start("Welsh")];
    // Before there is a link.
    Node::accept(&nodes[0].flood, &nodes[0].sender, "early", 1);
    let clients = nodes.iter().map(|node| {
        let (flood, sender) = (Arc::clone(&node.flood), node.sender.clone());
        let time = if flood.me.name.as_str() == "Ball" { 5 } else { 7 };
        thread::spawn(move || {
            Node::accept(&flood, &sender, "kiwi", time);
            Node::accept(&flood, &sender, &format!("of-{time}"), 1);
        })
    });
    let mut clients: Vec<_> = clients.collect();
    for up in 1..=ups {
        let (there, heard_there) = bounded(4);
        let (here, heard_here) = bounded(4);
        let readers =
            [read_from(&nodes[0], heard_here, version), read_from(&nodes[1], heard_there, version)];
        let ended = Arc::new(AtomicUsize::new(0));
        let writers = [
            write_to(&nodes[0], there, version, &ended),
            write_to(&nodes[1], here, version, &ended),
        ];
        if up == ups {
            let [ours, theirs] = nodes.each_ref().map(|node| &node.flood.records);
            clients.drain(..).for_each(|client| client.join().unwrap());
            until(|| ours.len() == 4 && ours.digest() == theirs.digest());
            assert_eq!(ours.get(b"kiwi"), Some(record("kiwi", 7)));
        }
        // Closing it may come before it is open.
        until(|| {
            nodes.iter().for_each(|node| node.flood.links[NEIGHBOR.0].outbox.close());
            ended.load(Ordering::SeqCst) == 2
        });
        for thread in writers.into_iter().chain(readers) {
            thread.join().unwrap();
        }
    }
    for Node { flood, sender, flooder } in nodes {
        drop((flood, sender));
        flooder.join().unwrap();
    }
}

#[test]
fn what_is_accepted_while_a_link_comes_up_gets_to_the_neighbor() {
    check(600, || copies_are_equal(1, VERSION));
}

#[test]
fn what_is_accepted_while_a_link_is_cut_and_comes_up_again_gets_to_the_neighbor() {
    check(600, || copies_are_equal(2, VERSION));
}

#[test]
fn what_is_accepted_while_a_link_to_an_older_server_is_cut_gets_there_too() {
    check(600, || copies_are_equal(2, 1));
}
