//! Flooding and repair, simulated in memory from seeds: the product's own records, merge, flood rule,
//! outboxes and digest sync, on links that reorder, repeat, lose, are cut and heal. However it went, once
//! all links are up and quiet all servers hold the same bytes: the newest report of every client.

use std::time::{Duration, Instant};

use fastrand::Rng;
use herd::flood::filling::Filling;
use herd::flood::flooder::pass_on;
use herd::flood::outbox::{Outbox, Taken};
use herd::flood::repair::{Heard, Repair};
use herd::flood::speaker::{Said, Speaker};
use herd::flood::sync::Message;
use herd::flood::{Accepted, NeighborId};
use herd::protocol::Nanos;
use herd::protocol::reply::Fields;
use herd::records::{Merged, Record, Records};

/// What can happen next.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// A client reports to some server.
    Report,
    /// Some writer says what it has to say, and a few records of its outbox.
    Send,
    /// Something on some connection arrives: of records not always the oldest.
    Deliver,
    /// Some record on some connection arrives and stays there to arrive again.
    Repeat,
    /// Some record on some connection is lost, and nobody knows.
    Lose,
    /// Some link is cut: what is on it, and waits for it, is lost.
    Cut,
    /// Some link that is down comes up.
    Heal,
    /// Time goes by: some digests become due.
    Wait,
}

use Operation::{Cut, Deliver, Heal, Lose, Repeat, Report, Send, Wait};

/// How often digests are said, in the time of the simulation.
const SYNC_INTERVAL: Duration = Duration::from_secs(30);

/// How links repair what they missed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repairs {
    /// By digests.
    Digests,
    /// Every other link only sends all records when it comes up, as version 1 does.
    Mixed,
}

struct Server {
    records: Records,
    neighbors: Vec<usize>,
    /// In the order of `neighbors`, as the flood rule expects.
    outboxes: Vec<Outbox>,
    repairs: Vec<Repair>,
    filling: Filling,
}

/// What is on its way.
#[derive(Clone, Debug)]
enum Sent {
    Record(Record),
    Message(Message),
}

/// One direction of a link.
struct Line<'a> {
    from: usize,
    /// Place of the receiver among the sender's neighbors.
    out: usize,
    to: usize,
    /// Place of the sender among the receiver's neighbors.
    back: NeighborId,
    says_digests: bool,
    /// While it is up.
    speaker: Option<Speaker<'a>>,
    on_the_way: Vec<Sent>,
}

struct Simulation<'a> {
    rng: Rng,
    servers: &'a [Server],
    lines: Vec<Line<'a>>,
    now: Instant,
    /// Everything that was accepted anywhere, merged in one place.
    expected: Records,
    clock: i64,
}

impl Server {
    fn of_each(size: usize, edges: &[(usize, usize)]) -> Vec<Self> {
        let neighbors_of = |server: usize| -> Vec<usize> {
            let both_ways = edges.iter().flat_map(|&(a, b)| [(a, b), (b, a)]);
            both_ways.filter(|(from, _)| *from == server).map(|(_, to)| to).collect()
        };
        let server = |neighbors: Vec<usize>| Self {
            records: Records::default(),
            outboxes: neighbors.iter().map(|_| Outbox::default()).collect(),
            repairs: neighbors.iter().map(|_| Repair::default()).collect(),
            filling: Filling::new(2 * SYNC_INTERVAL),
            neighbors,
        };
        (0..size).map(|at| server(neighbors_of(at))).collect()
    }
}

impl<'a> Simulation<'a> {
    fn new(seed: u64, servers: &'a [Server], edges: &[(usize, usize)], repairs: Repairs) -> Self {
        let place = |of: usize, among: usize| {
            let mut neighbors = servers[among].neighbors.iter();
            neighbors.position(|&neighbor| neighbor == of).expect("an edge goes both ways")
        };
        let line = |from, to, edge: usize| Line {
            from,
            out: place(to, from),
            to,
            back: NeighborId(place(from, to)),
            says_digests: repairs == Repairs::Digests || edge.is_multiple_of(2),
            speaker: None,
            on_the_way: vec![],
        };
        let both = |(edge, &(a, b))| [line(a, b, edge), line(b, a, edge)];
        Self {
            rng: Rng::with_seed(seed),
            servers,
            lines: edges.iter().enumerate().flat_map(both).collect(),
            now: Instant::now(),
            expected: Records::default(),
            clock: 0,
        }
    }

    fn run(&mut self, operation: Operation) {
        let line = self.rng.usize(..self.lines.len());
        match operation {
            Report => self.report(),
            Send => self.send(line),
            Deliver => self.deliver(line, false),
            Repeat => self.deliver(line, true),
            Lose => self.lose(line),
            Cut => self.cut(line),
            Heal => self.heal(line),
            Wait => self.now += SYNC_INTERVAL / 3,
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

    /// As a link's writer does: a piece of what is to be said, then one of the outbox.
    fn send(&mut self, line: usize) {
        let limit = self.rng.usize(1..4);
        let line = &mut self.lines[line];
        let Some(speaker) = &mut line.speaker else { return };
        match speaker.next(limit, self.now) {
            Some(Said::Records(records)) => {
                line.on_the_way.extend(records.into_iter().map(Sent::Record));
            }
            Some(Said::Lines(lines)) => {
                let messages = lines.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
                let parsed = messages.map(|line| Message::parse(line).expect("a message"));
                line.on_the_way.extend(parsed.map(Sent::Message));
            }
            Some(Said::Synced) | None => {}
        }
        let outbox = &self.servers[line.from].outboxes[line.out];
        if let Taken::Records(records) = outbox.take(limit, Duration::ZERO) {
            line.on_the_way.extend(records.into_iter().map(Sent::Record));
        }
    }

    /// A record among those before the first message, which none overtakes.
    fn some_record(&mut self, line: usize) -> Option<usize> {
        let on_the_way = &self.lines[line].on_the_way;
        let is_message = |sent: &Sent| matches!(sent, Sent::Message(_));
        let before = on_the_way.iter().position(is_message).unwrap_or(on_the_way.len());
        (before > 0).then(|| self.rng.usize(..before))
    }

    fn deliver(&mut self, line: usize, stays: bool) {
        let at = match self.some_record(line) {
            Some(at) => at,
            None if stays || self.lines[line].on_the_way.is_empty() => return,
            None => 0,
        };
        let line = &mut self.lines[line];
        let sent = if stays { line.on_the_way[at].clone() } else { line.on_the_way.remove(at) };
        let (to, from) = (line.to, line.back);
        let server = &self.servers[to];
        match sent {
            Sent::Record(record) => {
                server.filling.moved(from, self.now);
                if matches!(server.records.merge(&record), Merged::Stored { .. }) {
                    self.flood(to, Accepted { record, from: Some(from) });
                }
            }
            Sent::Message(message) => {
                let heard = server.repairs[from.0].hear(message, &server.records);
                if heard.expect("a sound neighbor") == Heard::Repaired {
                    server.filling.end(from);
                }
            }
        }
    }

    /// Links that send all records once have nothing that would repair this.
    fn lose(&mut self, line: usize) {
        if self.lines[line].says_digests
            && let Some(at) = self.some_record(line)
        {
            self.lines[line].on_the_way.remove(at);
        }
    }

    /// Both directions of a link go together: they stand side by side.
    fn both(line: usize) -> [usize; 2] {
        [line & !1, line | 1]
    }

    fn cut(&mut self, line: usize) {
        for line in Self::both(line) {
            let line = &mut self.lines[line];
            line.speaker = None;
            line.on_the_way.clear();
            let server = &self.servers[line.from];
            server.outboxes[line.out].close();
            server.repairs[line.out].cut();
            server.filling.end(NeighborId(line.out));
        }
    }

    fn heal(&mut self, line: usize) {
        let both = Self::both(line);
        if self.lines[line].speaker.is_some() {
            return;
        }
        for line in both.map(|line| &self.lines[line]) {
            self.servers[line.to].repairs[line.back.0].dialed(2);
        }
        for line in both {
            let line = &mut self.lines[line];
            let Server { records, outboxes, repairs, filling, .. } = &self.servers[line.from];
            let (id, repair) = (NeighborId(line.out), &repairs[line.out]);
            outboxes[line.out].open();
            line.speaker = Some(if line.says_digests {
                Speaker::digests(records, repair, filling, id, SYNC_INTERVAL, self.now)
            } else {
                Speaker::everything(records)
            });
        }
    }

    /// All links come up, and all that is to be said is said and heard.
    fn settle(&mut self) {
        for line in 0..self.lines.len() {
            self.heal(line);
        }
        // What the last sync of one link repairs may be what another one lacks.
        for _ in 0..self.servers.len() {
            self.now += SYNC_INTERVAL;
            self.run_dry();
        }
    }

    fn run_dry(&mut self) {
        let mut is_quiet = false;
        while !is_quiet {
            is_quiet = true;
            for line in 0..self.lines.len() {
                self.send(line);
                is_quiet &= self.lines[line].on_the_way.is_empty();
                while !self.lines[line].on_the_way.is_empty() {
                    self.deliver(line, false);
                }
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
    check_with(Repairs::Digests, size, edges, weights);
}

#[track_caller]
fn check_with(
    repairs: Repairs,
    size: usize,
    edges: &[(usize, usize)],
    weights: &[(Operation, usize)],
) {
    let deck: Vec<Operation> =
        weights.iter().flat_map(|&(operation, times)| vec![operation; times]).collect();
    for seed in 0..40 {
        let servers = Server::of_each(size, edges);
        let mut simulation = Simulation::new(seed, &servers, edges, repairs);
        for _ in 0..400 {
            let operation = deck[simulation.rng.usize(..deck.len())];
            simulation.run(operation);
        }
        simulation.settle();
        let expected = contents(&simulation.expected);
        assert!(!expected.is_empty(), "seed {seed} reported nothing");
        for (at, server) in servers.iter().enumerate() {
            assert_eq!(contents(&server.records), expected, "server {at} with seed {seed}");
            assert_eq!(server.records.digest(), simulation.expected.digest());
        }
    }
}

const ALL: [(Operation, usize); 8] = [
    (Report, 6),
    (Send, 12),
    (Deliver, 12),
    (Repeat, 3),
    (Lose, 2),
    (Cut, 1),
    (Heal, 2),
    (Wait, 2),
];

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

#[test]
fn servers_of_which_some_say_no_digests_converge_whatever_happens_to_their_links() {
    check_with(Repairs::Mixed, 5, &SEED_HERD, &ALL);
    check_with(Repairs::Mixed, 4, &[(0, 1), (1, 2), (2, 3)], &ALL);
}

#[test]
fn updates_that_are_lost_on_links_that_stay_up_are_repaired() {
    let lossy = [(Report, 6), (Send, 8), (Deliver, 4), (Lose, 4)];
    check(5, &SEED_HERD, &[&lossy[..], &[(Heal, 1)]].concat());
}
