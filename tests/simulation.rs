//! Flooding, simulated in memory from seeds: the product's own records, merge, flood rule and
//! outboxes, on links that reorder, repeat, are cut and heal. However it went, once all links are
//! up and quiet all servers hold the same bytes: the newest report of every client.

use std::time::Duration;

use fastrand::Rng;
use herd::flood::flooder::pass_on;
use herd::flood::outbox::{Outbox, Taken};
use herd::flood::{Accepted, NeighborId};
use herd::protocol::Nanos;
use herd::protocol::reply::Fields;
use herd::records::{Merged, Record, Records};

/// What can happen next.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// A client reports to some server.
    Report,
    /// Some outbox gives a few records to its connection.
    Send,
    /// Some record on some connection arrives, not always the oldest.
    Deliver,
    /// Some record on some connection arrives and stays there to arrive again.
    Repeat,
    /// Some link is cut: what is on it, and waits for it, is lost.
    Cut,
    /// Some link that is down comes up: all records are sent.
    Heal,
}

use Operation::{Cut, Deliver, Heal, Repeat, Report, Send};

#[derive(Default)]
struct Server {
    records: Records,
    neighbors: Vec<usize>,
    /// In the order of `neighbors`, as the flood rule expects.
    outboxes: Vec<Outbox>,
}

/// One direction of a link.
struct Line {
    from: usize,
    /// Place of the receiver among the sender's neighbors.
    out: usize,
    to: usize,
    /// Place of the sender among the receiver's neighbors.
    back: NeighborId,
    is_up: bool,
    on_the_way: Vec<Record>,
}

struct Simulation {
    rng: Rng,
    servers: Vec<Server>,
    lines: Vec<Line>,
    /// Everything that was accepted anywhere, merged in one place.
    expected: Records,
    clock: i64,
}

impl Simulation {
    fn new(seed: u64, size: usize, edges: &[(usize, usize)]) -> Self {
        let mut servers: Vec<Server> = (0..size).map(|_| Server::default()).collect();
        let directions = || edges.iter().flat_map(|&(a, b)| [(a, b), (b, a)]);
        for (from, to) in directions() {
            servers[from].neighbors.push(to);
            servers[from].outboxes.push(Outbox::default());
        }
        let place = |of: usize, among: usize| {
            let mut neighbors = servers[among].neighbors.iter();
            neighbors.position(|&neighbor| neighbor == of).expect("an edge goes both ways")
        };
        let line = |(from, to)| Line {
            from,
            out: place(to, from),
            to,
            back: NeighborId(place(from, to)),
            is_up: false,
            on_the_way: vec![],
        };
        let lines = directions().map(line).collect();
        Self { rng: Rng::with_seed(seed), servers, lines, expected: Records::default(), clock: 0 }
    }

    fn run(&mut self, operation: Operation) {
        let line = self.rng.usize(..self.lines.len());
        match operation {
            Report => self.report(),
            Send => self.send(line),
            Deliver => self.deliver(line, false),
            Repeat => self.deliver(line, true),
            Cut => self.cut(line),
            Heal => self.heal(line),
        }
    }

    /// Few clients, and times that often collide, so that ties of every kind come up.
    fn report(&mut self) {
        self.clock += self.rng.i64(0..3);
        let server = self.rng.usize(..self.servers.len());
        let time = self.clock - self.rng.i64(0..4);
        let record = Record::new(&Fields {
            client: format!("client{}", self.rng.u8(..8)).as_bytes(),
            origin: format!("server{server}").as_bytes(),
            location: format!("+{}-{}", self.rng.u8(..3), self.rng.u8(..3)).as_bytes(),
            time_text: time.to_string().as_bytes(),
            time: Nanos(time),
            skew: Nanos(self.clock - time),
        });
        if matches!(self.servers[server].records.report(&record, usize::MAX), Merged::Stored { .. })
        {
            self.expected.merge(&record);
            self.flood(server, Accepted { record, from: None });
        }
    }

    fn flood(&self, server: usize, accepted: Accepted) {
        pass_on(&[accepted], self.servers[server].outboxes.iter());
    }

    fn send(&mut self, line: usize) {
        let limit = self.rng.usize(1..4);
        let line = &mut self.lines[line];
        let outbox = &self.servers[line.from].outboxes[line.out];
        if let Taken::Records(records) = outbox.take(limit, Duration::ZERO) {
            line.on_the_way.extend(records);
        }
    }

    fn deliver(&mut self, line: usize, stays: bool) {
        let line = &mut self.lines[line];
        if line.on_the_way.is_empty() {
            return;
        }
        let at = self.rng.usize(..line.on_the_way.len());
        let record =
            if stays { line.on_the_way[at].clone() } else { line.on_the_way.swap_remove(at) };
        let (to, from) = (line.to, Some(line.back));
        if matches!(self.servers[to].records.merge(&record), Merged::Stored { .. }) {
            self.flood(to, Accepted { record, from });
        }
    }

    /// Both directions of a link go together: they stand side by side.
    fn both(line: usize) -> [usize; 2] {
        [line & !1, line | 1]
    }

    fn cut(&mut self, line: usize) {
        for line in Self::both(line) {
            let line = &mut self.lines[line];
            line.is_up = false;
            line.on_the_way.clear();
            self.servers[line.from].outboxes[line.out].close();
        }
    }

    fn heal(&mut self, line: usize) {
        for line in Self::both(line) {
            let line = &mut self.lines[line];
            if !line.is_up {
                line.is_up = true;
                let server = &self.servers[line.from];
                server.outboxes[line.out].open();
                line.on_the_way.extend(server.records.iter());
            }
        }
    }

    fn settle(&mut self) {
        for line in 0..self.lines.len() {
            self.heal(line);
        }
        let is_waiting = |server: &Server| server.outboxes.iter().any(|outbox| !outbox.is_empty());
        loop {
            for line in 0..self.lines.len() {
                self.send(line);
                while !self.lines[line].on_the_way.is_empty() {
                    self.deliver(line, false);
                }
            }
            if !self.servers.iter().any(is_waiting) {
                return;
            }
        }
    }
}

fn contents(records: &Records) -> Vec<String> {
    let mut all: Vec<_> = records.iter().map(|record| format!("{record:?}")).collect();
    all.sort();
    all
}

/// Runs operations, each as often as its weight says, on a herd of that shape, from many seeds.
#[track_caller]
fn check(size: usize, edges: &[(usize, usize)], weights: &[(Operation, usize)]) {
    let deck: Vec<Operation> =
        weights.iter().flat_map(|&(operation, times)| vec![operation; times]).collect();
    for seed in 0..60 {
        let mut simulation = Simulation::new(seed, size, edges);
        for _ in 0..400 {
            let operation = deck[simulation.rng.usize(..deck.len())];
            simulation.run(operation);
        }
        simulation.settle();
        let expected = contents(&simulation.expected);
        assert!(!expected.is_empty(), "seed {seed} reported nothing");
        for (at, server) in simulation.servers.iter().enumerate() {
            assert_eq!(contents(&server.records), expected, "server {at} with seed {seed}");
        }
    }
}

const ALL: [(Operation, usize); 6] =
    [(Report, 6), (Send, 8), (Deliver, 12), (Repeat, 3), (Cut, 1), (Heal, 2)];

const SEED_HERD: [(usize, usize); 5] = [(0, 2), (0, 4), (1, 3), (1, 4), (2, 3)];

#[test]
fn a_ring_of_five_converges_whatever_happens_to_its_links() {
    check(5, &SEED_HERD, &ALL);
}

#[test]
fn a_line_of_five_converges_whatever_happens_to_its_links() {
    check(5, &[(0, 1), (1, 2), (2, 3), (3, 4)], &ALL);
}

#[test]
fn a_triangle_converges_whatever_happens_to_its_links() {
    check(3, &[(0, 1), (1, 2), (2, 0)], &ALL);
}

#[test]
fn a_full_mesh_of_five_converges_whatever_happens_to_its_links() {
    let edges: Vec<_> = (0..5).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
    check(5, &edges, &ALL);
}

#[test]
fn a_herd_that_is_cut_apart_more_often_than_it_heals_converges_in_the_end() {
    check(5, &SEED_HERD, &[(Report, 6), (Send, 4), (Deliver, 4), (Cut, 3), (Heal, 1)]);
}

#[test]
fn servers_that_never_spoke_before_converge_when_they_meet() {
    check(5, &SEED_HERD, &[(Report, 1)]);
}
