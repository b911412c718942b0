//! Digest sync: what was missed is repaired, both ways, at a cost that grows with the difference.

use std::net::TcpListener;
use std::sync::Arc;

use herd::flood::sync::Message;
use herd::records::digest::{Digest, Place};
use rustix::process::Signal;

use crate::handshake::{Line, alone};
use crate::load::times_load;
use crate::relay::Relay;
use crate::servers::{Herd, Plan, Server, eventually};

/// A and B, each of which dials the other through a relay.
struct Pair {
    herd: Herd,
    relays: [Arc<Relay>; 2],
}

impl Pair {
    fn plan(conf: &str) -> (Plan, [Arc<Relay>; 2]) {
        let relays = [Relay::between("A", "B"), Relay::between("B", "A")];
        let plan = Plan::new(&[("A", "B")]).relayed(&relays[0]).relayed(&relays[1]);
        (plan.conf(conf), relays)
    }

    fn start(conf: &str) -> Self {
        let (plan, relays) = Self::plan(conf);
        let pair = Self { herd: plan.start(), relays };
        pair.herd.await_links();
        pair
    }

    /// Cuts the link both ways, and waits until both know.
    #[track_caller]
    fn cut(&self) {
        let known = ["A", "B"].map(|name| self.herd[name].logged(&[" down: "]));
        for relay in &self.relays {
            relay.cut();
        }
        for (name, known) in ["A", "B"].into_iter().zip(known) {
            self.herd[name].logs(known + 1, &[" down: "]);
        }
    }

    /// Heals it, and counts from here on.
    fn heal(&self) {
        for relay in &self.relays {
            relay.forget();
            relay.heal();
        }
    }

    fn said(&self, word: &str) -> [usize; 2] {
        self.relays.each_ref().map(|relay| relay.said(word).lines)
    }

    /// Waits until each has said so many lines of that kind at least.
    #[track_caller]
    fn await_said(&self, word: &str, times: usize) {
        eventually(word, || self.said(word).iter().all(|said| *said >= times));
    }

    fn bytes(&self) -> usize {
        self.relays.iter().map(|relay| relay.bytes()).sum()
    }
}

/// Reports many clients with long names, and gives these.
#[track_caller]
fn report_many(server: &Server, count: usize) -> Vec<String> {
    let clients: Vec<_> = (0..count).map(|number| format!("{}{number}", "x".repeat(200))).collect();
    let lines = clients.iter().map(|client| format!("IAMAT {client} +1-2 3"));
    server.client().pipeline(lines, |_| {}).unwrap();
    clients
}

#[test]
fn what_was_reported_on_both_sides_of_a_cut_is_on_both_after_it() {
    let pair = Pair::start("");
    pair.herd["A"].report("before", "+1-2", "3");
    pair.herd.agree_on("before", |_| true);
    pair.cut();
    let at_a = pair.herd["A"].report("on-a", "+1-2", "3");
    let at_b = pair.herd["B"].report("on-b", "+1-2", "3");
    pair.herd["A"].report("on-both", "+1-2", "3");
    let newer = pair.herd["B"].report("on-both", "+5-6", "4");
    assert_eq!((pair.herd["A"].at("on-b"), pair.herd["B"].at("on-a")), (None, None));
    pair.heal();
    assert_eq!(pair.herd.agree_on("on-a", |_| true), at_a);
    assert_eq!(pair.herd.agree_on("on-b", |_| true), at_b);
    assert_eq!(pair.herd.agree_on("on-both", |at| *at == newer), newer);
}

#[test]
fn updates_that_are_lost_while_the_link_is_up_are_repaired_by_the_next_sync() {
    // So long that the link stays up however slow the machine is.
    let pair = Pair::start("[links]\nsync_interval = \"1s\"\ntimeout = \"60s\"");
    for (relay, name) in pair.relays.iter().zip(["A", "B"]) {
        relay.loses_updates(true);
        let at = pair.herd[name].report(&format!("lost-by-{name}"), "+1-2", "3");
        eventually("the update is lost", || relay.said("UPDATE").lines > 0);
        relay.loses_updates(false);
        assert_eq!(pair.herd.agree_on(&format!("lost-by-{name}"), |_| true), at);
    }
    assert_eq!(pair.said("HELLO"), [1, 1], "the link stayed up");
}

#[test]
fn a_few_differences_cost_a_fiftieth_of_a_full_copy_at_most() {
    let (plan, relays) = Pair::plan("traffic = false");
    let mut pair = Pair { herd: plan.without("B").start(), relays };
    let clients = report_many(&pair.herd["A"], times_load(40_000));
    pair.heal();
    pair.herd.start("B");
    pair.herd.await_links();
    eventually("the empty server is filled", || pair.relays[0].said("REPAIRED").lines == 1);
    let full_copy = pair.bytes();
    assert_eq!(pair.relays[0].said("UPDATE").lines, clients.len());
    assert!(pair.relays[0].said("UPDATE").bytes > full_copy * 3 / 4, "of {full_copy}");
    assert_eq!(pair.said("REPAIR"), [0, 1], "nobody asks an empty server");

    pair.cut();
    for (number, client) in clients.iter().take(5).enumerate() {
        pair.herd["A"].report(&format!("missed-by-b-{number}"), "+1-2", "3");
        pair.herd["B"].report(client, "+7-8", "4");
    }
    pair.heal();
    pair.await_said("REPAIRED", 1);
    let repair = pair.bytes();
    println!("full copy: {full_copy} bytes; repair of 10 differences: {repair} bytes");
    assert!(repair < full_copy / 50, "{repair} of {full_copy}");
    let mut all = clients;
    all.extend((0..5).map(|number| format!("missed-by-b-{number}")));
    assert!(pair.herd.agree_on_all(&all).iter().all(Option::is_some));
}

#[test]
fn servers_that_agree_exchange_a_few_kib() {
    let pair = Pair::start("traffic = false\n[links]\nsync_interval = \"1s\"");
    let clients = report_many(&pair.herd["A"], times_load(2000));
    pair.herd.agree_on_all(&clients);
    pair.cut();
    pair.heal();
    // What the first were compared to is said by then, if there was a difference.
    pair.await_said("DIGESTS", 3);
    let syncs: usize = pair.said("DIGESTS").iter().sum();
    for word in ["BUCKETS", "REPAIR", "REPAIRED", "UPDATE"] {
        assert_eq!(pair.said(word), [0, 0], "{word}");
    }
    assert!(pair.bytes() < syncs * 6 * 1024, "{} for {syncs} DIGESTS", pair.bytes());
}

#[test]
fn an_empty_server_is_filled_by_one_neighbor_at_a_time() {
    let full = ["A", "B", "C"];
    let edges = [("A", "B"), ("B", "C"), ("A", "D"), ("B", "D"), ("C", "D")];
    let to = full.map(|name| Relay::between(name, "D"));
    let from = full.map(|name| Relay::between("D", name));
    let mut plan = Plan::new(&edges).without("D");
    for relay in to.iter().chain(&from) {
        plan = plan.relayed(relay);
    }
    // So long that nobody is taken for stuck, however slow the machine is.
    let mut herd = plan.conf("traffic = false\n[links]\ntimeout = \"60s\"").start();
    let clients = report_many(&herd["A"], times_load(3000));
    herd.agree_on_all(&clients);
    herd.start("D");
    herd.await_links();
    herd.agree_on_all(&clients);
    let lines = |relays: &[Arc<Relay>; 3], word: &str| -> usize {
        relays.iter().map(|relay| relay.said(word).lines).sum()
    };
    eventually("the server is filled", || lines(&to, "REPAIRED") == 1);
    // All three have said that they have more, and one of them was asked.
    assert_eq!(lines(&to, "DIGESTS"), 3);
    assert_eq!(lines(&from, "REPAIR"), 1);
    assert_eq!(lines(&to, "UPDATE"), clients.len());
}

/// The digests of a server that has nothing, or something that nobody else has.
fn digests(of_each: u128) -> Box<[Digest; 256]> {
    Box::new([Digest(of_each); 256])
}

fn line(message: &Message) -> Vec<u8> {
    let mut line = Vec::new();
    message.write(&mut line);
    line
}

/// Both directions of a link of A, with a test as the neighbor B.
struct Both {
    dialed: Line,
    heard: Line,
}

impl Both {
    #[track_caller]
    fn up(herd: &Herd, listener: &TcpListener, instance: u64) -> Self {
        let mut heard = Line::accept(listener);
        assert!(heard.hear().starts_with("HELLO A 2 "));
        heard.say(format!("HELLO B 2 {instance:x} expire_after=never\n"));
        let dialed = Line::greet_as(herd["A"].links, 2, instance);
        Self { dialed, heard }
    }

    fn say(&mut self, message: &Message) {
        self.dialed.say(line(message));
    }

    /// The next message that A says.
    #[track_caller]
    fn hear(&mut self) -> Message {
        let line = self.heard.hear_update();
        Message::parse(line.trim_end().as_bytes()).unwrap_or_else(|| panic!("{line}"))
    }

    /// Waits until it is asked, whatever for.
    #[track_caller]
    fn is_asked(&mut self, number: u64) {
        while self.hear() != Message::Repair(number) {}
    }

    /// Asks for all of some shards.
    fn ask(&mut self, shards: impl IntoIterator<Item = usize>, number: u64) {
        for shard in shards {
            self.say(&Message::Buckets { shard, digests: digests(0) });
        }
        self.say(&Message::Repair(number));
    }
}

#[test]
fn a_neighbor_gets_the_records_that_it_asks_for_and_no_others() {
    let herd = alone();
    let clients: Vec<_> = (0..50).map(|number| format!("client{number}")).collect();
    for client in &clients {
        herd["A"].report(client, "+1-2", "3");
    }
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    let mut b = Both::up(&herd, &listener, 7);
    let Message::Digests(theirs) = b.hear() else { panic!("A says its digests first") };
    let shard = Place::of(b"client0").shard;
    assert_ne!(theirs[shard], Digest::default());
    b.ask([shard], 41);
    let in_shard = |client: &&String| Place::of(client.as_bytes()).shard == shard;
    for _ in clients.iter().filter(in_shard) {
        let update = b.heard.hear_update();
        let client = update.split(' ').nth(1).unwrap().to_owned();
        assert_eq!(Place::of(client.as_bytes()).shard, shard, "{update}");
    }
    assert_eq!(b.hear(), Message::Repaired(41));
}

#[test]
fn a_server_asks_for_what_it_lacks_and_asks_again_when_the_answer_was_cut_off() {
    let herd = alone();
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    let asked = |b: &mut Both, number| {
        let Message::Digests(_) = b.hear() else { panic!("A says its digests first") };
        b.say(&Message::Digests(digests(1)));
        for shard in 0..256 {
            assert_eq!(b.hear(), Message::Buckets { shard, digests: digests(0) });
        }
        assert_eq!(b.hear(), Message::Repair(number));
    };
    let mut b = Both::up(&herd, &listener, 7);
    asked(&mut b, 1);
    drop(b);
    let mut b = Both::up(&herd, &listener, 8);
    asked(&mut b, 2);
    // The answer to an asking that is over says nothing: what is asked for now is still waited for.
    b.say(&Message::Repaired(1));
    b.say(&Message::Digests(digests(2)));
    b.dialed.say("UPDATE kiwi B 3 +1-2 +0.500000000 B\n");
    herd.agree_on("kiwi", |_| true);
    herd["A"].report("plum", "+1-2", "3");
    assert!(b.heard.hear_update().starts_with("UPDATE plum "));
    b.say(&Message::Repaired(2));
    b.is_asked(3);
}

#[test]
fn a_neighbor_that_is_asked_and_sends_nothing_does_not_keep_others_from_being_asked() {
    let relays = [Relay::between("A", "C"), Relay::between("C", "A")];
    let plan = Plan::new(&[("A", "B"), ("A", "C")]).without("B");
    let plan = plan.relayed(&relays[0]).relayed(&relays[1]);
    for relay in &relays {
        relay.cut();
    }
    // It is waited for so long, and its link is down if it says nothing at all for so long.
    let herd = plan.conf("[links]\ntimeout = \"5s\"").start();
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    let mut b = Both::up(&herd, &listener, 7);
    b.say(&Message::Digests(digests(1)));
    b.is_asked(1);
    herd["C"].report("kiwi", "+1-2", "3");
    for relay in &relays {
        relay.heal();
    }
    eventually("C is asked, too", || {
        b.dialed.say("BEAT\n");
        herd["A"].at("kiwi").is_some()
    });
    assert_eq!(herd["A"].logged(&["link B", " down: "]), 0);
}

#[test]
fn a_stop_in_the_middle_of_a_repair_sends_what_was_reported_and_not_all_the_rest() {
    // So long that the link stays up however slow the machine is.
    let plan = Plan::new(&[("A", "B")]).without("B");
    let mut herd = plan.conf("traffic = false\n[links]\ntimeout = \"60s\"").start();
    let clients = report_many(&herd["A"], 60_000);
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    let mut b = Both::up(&herd, &listener, 7);
    let Message::Digests(_) = b.hear() else { panic!("A says its digests first") };
    b.ask(0..256, 1);
    // The repair is under way, and soon waits for room, since nobody reads.
    b.heard.hear_update();
    herd["A"].report("live", "+1-2", "3");
    herd["A"].signal(Signal::TERM);
    herd["A"].logs(1, &["server A stops"]);
    let (mut has_live, mut updates) = (false, 1);
    loop {
        let update = b.heard.hear_update();
        if update.is_empty() {
            break;
        }
        has_live |= update.starts_with("UPDATE live ");
        updates += 1;
    }
    assert!(herd.ended("A").success());
    assert!(has_live);
    assert!(updates < clients.len(), "{updates}");
}

/// What neighbors of the version before say, and are told.
#[test]
fn a_neighbor_of_version_1_is_told_all_records_and_no_digests() {
    let conf = "[links]\nsync_interval = \"1s\"";
    let herd = Plan::new(&[("A", "B")]).without("B").conf(conf).start();
    herd["A"].report("kiwi", "+1-2", "3");
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    let mut refused = Line::accept(&listener);
    assert!(refused.hear().starts_with("HELLO A 2 "));
    refused.say("? it speaks version 2 of links, and we 1 to 1: upgrade one version at a time\n");
    drop(refused);
    let mut heard = Line::accept(&listener);
    assert!(heard.hear().starts_with("HELLO A 1 "));
    heard.say("HELLO B 1 7\n");
    let mut dialed = Line::greet_as(herd["A"].links, 1, 7);
    assert!(heard.hear_update().starts_with("UPDATE kiwi "));
    // There was nothing more.
    assert_eq!(heard.hear(), "BEAT\n");
    dialed.say("UPDATE plum B 3 +1-2 +0.500000000 B\n");
    herd.agree_on("plum", |_| true);
    // For longer than from one sync to the next there are only heartbeats, one a second.
    for _ in 0..3 {
        dialed.say("BEAT\n");
        assert_eq!(heard.hear(), "BEAT\n");
    }
    assert_eq!(herd["A"].logged(&["link B down"]), 0);
    // It may have been upgraded since.
    drop((heard, dialed));
    let mut upgraded = Line::accept(&listener);
    assert!(upgraded.hear().starts_with("HELLO A 2 "));
}

#[track_caller]
fn check_closes(version: u32, said: &[Message], bad: &[u8], logged: &str) {
    let herd = alone();
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    let mut b = Both::up(&herd, &listener, 7);
    let Message::Digests(_) = b.hear() else { panic!("A says its digests first") };
    if version == 1 {
        b.dialed = Line::greet_as(herd["A"].links, 1, 7);
    }
    for message in said {
        b.say(message);
    }
    b.dialed.say([bad, b"UPDATE after B 3 +1-2 +0.5 B\n"].concat());
    b.dialed.has_ended();
    herd["A"].logs(1, &["link B: not heard any more: ", logged]);
    assert_eq!(herd["A"].at("after"), None);
}

#[test]
fn a_sync_line_that_is_not_whole_or_says_what_cannot_be_closes_the_link() {
    let buckets = Message::Buckets { shard: 255, digests: digests(0) };
    let good = String::from_utf8(line(&buckets)).unwrap();
    let out_of_range = good.replace("BUCKETS 255", "BUCKETS 256");
    let not_base64 = good.replace("255 AAAA", "255 A*AA");
    let too_long = good.replace("255 AAAA", "255 AAAAAAAA");
    let endless = "DIGESTS ".to_owned() + &"A".repeat(10_000);
    let words = ["DIGESTS AAAA\n", "REPAIR x\n", "REPAIRED -1\n", "BUCKETS 1\n"];
    for bad in [&out_of_range, &not_base64, &too_long, &endless] {
        check_closes(2, &[], bad.as_bytes(), "a line that is no UPDATE");
    }
    for bad in words {
        check_closes(2, &[], bad.as_bytes(), "a line that is no UPDATE");
    }
}

#[test]
fn a_sync_line_that_does_not_belong_there_closes_the_link() {
    let repair = line(&Message::Repair(1));
    check_closes(2, &[], &repair, "REPAIR without BUCKETS");
    let buckets = Message::Buckets { shard: 1, digests: digests(0) };
    let asked = [buckets, Message::Repair(1)];
    check_closes(2, &asked, &repair, "REPAIR without BUCKETS");
    let digests = line(&Message::Digests(digests(0)));
    check_closes(1, &[], &digests, "digests from a server that said version 1");
}

#[test]
fn buckets_that_nobody_asked_for_close_the_link() {
    // Of a link that is up one way only, nobody has said digests.
    let herd = alone();
    let mut b = Line::greet_as(herd["A"].links, 2, 7);
    b.say(line(&Message::Buckets { shard: 1, digests: digests(0) }));
    b.has_ended();
    herd["A"].logs(1, &["link B: not heard any more: BUCKETS, and we have said no DIGESTS"]);
}
