//! Links with keys, between real servers, and between one and a test that plays the neighbor B on sockets
//! of its own.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use herd::flood::handshake::VERSION;

use crate::noise::{Key, Sealed};
use crate::recorder::Recorder;
use crate::servers::{Herd, LIMIT, Plan, eventually};
use crate::shapes::{LINE, TRIANGLE};

const OLD: Key = Key(0x11);
const NEW: Key = Key(0x22);

/// A herd of which all have this key.
fn all_with(edges: &[(&str, &str)], keys: &str) -> Plan {
    let mut names: Vec<_> = edges.iter().flat_map(|(a, b)| [a, b]).collect();
    names.sort();
    names.dedup();
    names.into_iter().fold(Plan::new(edges), |plan, name| plan.key(name, keys))
}

/// A, which has a key, and no B.
fn alone() -> Herd {
    Plan::new(&[("A", "B")]).without("B").key("A", &OLD.line()).start()
}

fn hello(name: &str, instance: u64) -> String {
    format!("HELLO {name} {VERSION} {instance:x}\n")
}

fn update(client: &str) -> String {
    format!("UPDATE {client} B 3 +1-2 +0.500000000 B\n")
}

/// Dials A as B, and is welcome.
#[track_caller]
fn greet(herd: &Herd, key: Key) -> Sealed {
    let mut line = Sealed::dial(herd["A"].links, key);
    line.say(hello("B", 5));
    let answer = line.hear();
    assert!(answer.starts_with(&format!("HELLO A {VERSION} ")), "{answer}");
    line
}

/// A report to each server reaches all.
#[track_caller]
fn check_reports_pass(herd: &Herd, about: &str) {
    for server in herd.servers() {
        let client = format!("{about}-at-{}", server.name);
        let at = server.report(&client, "+34.068930-118.445127", "1479413884.3920144500");
        assert_eq!(herd.agree_on(&client, |_| true), at);
    }
}

#[test]
fn herds_with_a_key_agree_and_their_links_are_encrypted() {
    for edges in [LINE, TRIANGLE] {
        let herd = all_with(edges, &OLD.line()).start();
        check_reports_pass(&herd, "kiwi");
        herd["A"].logs(1, &["link B up: ", ", encrypted"]);
    }
}

/// Whether a client's name can be read between two servers.
#[track_caller]
fn can_be_read(plan: Plan) -> bool {
    let (there, back) = (Recorder::start(), Recorder::start());
    let herd = plan.through("A", "B", there.addr).through("B", "A", back.addr).start();
    there.lead_to(herd["B"].links);
    back.lead_to(herd["A"].links);
    check_reports_pass(&herd, "kiwi");
    let seen = [there, back].map(|recorder| recorder.has_seen(b"kiwi"));
    assert!(seen.iter().all(|(bytes, _)| *bytes > 100), "{seen:?}");
    assert_eq!(seen[0].1, seen[1].1);
    seen[0].1
}

#[test]
fn who_listens_between_servers_with_a_key_reads_no_name() {
    let edges = &[("A", "B")];
    assert!(!can_be_read(all_with(edges, &OLD.line())));
    assert!(can_be_read(Plan::new(edges)));
}

#[test]
fn a_message_that_is_changed_on_the_way_ends_the_link_which_comes_back_and_repairs() {
    let recorder = Recorder::start();
    let herd = all_with(&[("A", "B")], &OLD.line()).through("A", "B", recorder.addr).start();
    recorder.lead_to(herd["B"].links);
    herd.await_links();
    recorder.change_next();
    herd["B"].logs(1, &["link A: not heard any more: ", "a message was changed on the way"]);
    check_reports_pass(&herd, "kiwi");
}

#[test]
fn nothing_of_a_message_that_was_changed_or_cut_short_counts() {
    let changed: fn(&mut Vec<u8>) = |message| *message.last_mut().unwrap() ^= 1;
    let cut: fn(&mut Vec<u8>) = |message| message.truncate(message.len() - 1);
    for (spoil, logged) in [
        (changed, "a message was changed on the way"),
        (cut, "it closed in the middle of a message"),
    ] {
        let herd = alone();
        let mut line = greet(&herd, OLD);
        line.say(update("before"));
        let mut message = line.seal(update("bad"));
        spoil(&mut message);
        line.stream.write_all(&message).unwrap();
        line.finish();
        assert_eq!(line.hear(), "");
        herd["A"].logs(1, &["link B: not heard any more: ", logged]);
        herd.agree_on("before", |_| true);
        assert_eq!(herd["A"].at("bad"), None);
    }
}

#[test]
fn a_message_may_end_in_the_middle_of_a_line_and_be_as_long_as_noise_allows() {
    let herd = alone();
    let mut line = greet(&herd, OLD);
    let clients: Vec<_> = (0..3000).map(|number| format!("client{number}")).collect();
    let text: String = clients.iter().map(|client| update(client)).collect();
    for piece in text.as_bytes().chunks(65_519) {
        line.say(piece);
    }
    eventually("all of them count", || herd["A"].ats(&clients).iter().all(Option::is_some));
}

#[test]
fn what_was_recorded_and_is_played_again_gets_nowhere_and_disturbs_nobody() {
    let herd = alone();
    let mut line = greet(&herd, OLD);
    line.say(update("once"));
    let mut player = TcpStream::connect(herd["A"].links).unwrap();
    player.write_all(&line.written).unwrap();
    player.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    player.set_read_timeout(Some(LIMIT)).unwrap();
    // The answer to the handshake, and why not, which the player cannot read.
    let _ = player.read_to_end(&mut answer);
    assert!(answer.starts_with(&[0, 48]), "{}", answer.escape_ascii());
    herd["A"].logs(1, &["links: ", " refused: its HELLO was changed on the way, or is an old one"]);
    line.say(update("after"));
    herd.agree_on("after", |_| true);
    assert_eq!(herd["A"].logged(&["it dialed us from"]), 1);
}

/// Who dials A and says these bytes is told why not, in clear.
#[track_caller]
fn check_refused(first: &[u8], why: &str) {
    let herd = alone();
    let mut stream = TcpStream::connect(herd["A"].links).unwrap();
    stream.write_all(first).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, format!("? {why}\n"));
    herd["A"].logs(1, &["links: ", " refused: ", why]);
}

#[test]
fn garbage_is_refused_where_a_key_is_wanted() {
    let why = "what it says first is not the handshake of a link";
    check_refused(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", why);
    check_refused(&[0, 47, 1, 2, 3], why);
    check_refused(&[0xff; 3000], why);
    check_refused(
        &[[0, 48].as_slice(), &[0x5a; 48]].concat(),
        "the key of who dialed is not in the key file of who was dialed: bring the same file to both",
    );
}

#[test]
fn who_stalls_in_the_handshake_or_behind_it_is_given_up() {
    let herd = alone();
    let mut stalled = TcpStream::connect(herd["A"].links).unwrap();
    stalled.write_all(&[0, 48, 1]).unwrap();
    stalled.set_read_timeout(Some(LIMIT)).unwrap();
    let mut shaken = Sealed::dial(herd["A"].links, OLD);
    assert_eq!(stalled.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(shaken.hear(), "");
    herd["A"].logs(1, &["links: ", " refused: no whole HELLO within 5 s"]);
}

#[test]
fn strangers_who_dial_and_say_nothing_do_not_keep_a_neighbor_out() {
    let herd = alone();
    let dial = || TcpStream::connect(herd["A"].links).unwrap();
    let mut line = greet(&herd, OLD);
    // More than there is room for, twice.
    let mut strangers: Vec<_> = (0..150).map(|_| dial()).collect();
    line.say(update("before"));
    herd.agree_on("before", |_| true);
    herd["A"].logs(1, &["links: ", " refused: 65 connections of neighbors are open already"]);
    let mut line = greet(&herd, OLD);
    line.say(update("after"));
    herd.agree_on("after", |_| true);
    strangers[0].set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(strangers[0].read(&mut [0]).unwrap_or(0), 0);
}

#[test]
fn the_name_and_the_version_in_an_encrypted_hello_have_to_be_right_too() {
    let herd = alone();
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    let mut its_own = Sealed::accept(&listener, OLD);
    for (hello, why) in [
        (hello("Nobody", 5), "Nobody is no neighbor of A in its conf"),
        ("HELLO B 99 5\n".into(), "it speaks version 99 of links"),
        ("IAMAT kiwi +1-2 3\n".into(), "its first line is not `HELLO"),
        (its_own.hear(), "it is A itself: correct its neighbors' addresses"),
    ] {
        let mut line = Sealed::dial(herd["A"].links, OLD);
        line.say(hello);
        let answer = line.hear();
        assert!(answer.starts_with(&format!("? {why}")), "{answer}");
        assert_eq!(line.hear(), "");
        herd["A"].logs(1, &["links: ", " refused: ", why]);
    }
}

#[test]
fn who_is_refused_all_the_time_does_not_fill_the_log() {
    let herd = alone();
    for _ in 0..40 {
        let mut line = Sealed::dial(herd["A"].links, OLD);
        line.say(hello("Nobody", 5));
        assert!(line.hear().starts_with("? "));
    }
    // One of another kind is said at once all the same.
    let mut line = Sealed::dial(herd["A"].links, OLD);
    line.say("HELLO B 99 5\n");
    herd["A"].logs(1, &["refused: it speaks version 99"]);
    let logged = herd["A"].logged(&["refused: Nobody is no neighbor"]);
    assert!((1..20).contains(&logged), "{logged}");
}

#[test]
fn servers_with_different_keys_say_so_and_link_up_once_the_file_is_mended() {
    let plan = Plan::new(&[("A", "B")]).key("A", &OLD.line()).key("B", &NEW.line());
    let herd = plan.start();
    let why = "the key of who dialed is not in the key file of who was dialed";
    for (name, other) in [("A", "B"), ("B", "A")] {
        herd[name].logs(1, &["links: ", " refused: ", why]);
        herd[name].logs(1, &[&format!("link {other}: "), "it refused us: ", why]);
    }
    herd["B"].set_keys(&OLD.line());
    check_reports_pass(&herd, "kiwi");
}

#[test]
fn a_key_on_one_side_only_is_said_on_both() {
    let herd = Plan::new(&[("A", "B")]).key("A", &OLD.line()).start();
    let (in_clear, with_key) = (
        "one without a key dialed one with a key: set [links] key_file on both",
        "one with a key dialed one without a key: set [links] key_file on both",
    );
    herd["A"].logs(1, &["links: ", " refused: ", in_clear]);
    herd["B"].logs(1, &["link A: ", "it refused us: ", in_clear]);
    herd["B"].logs(1, &["links: ", " refused: ", with_key]);
    herd["A"].logs(1, &["link B: ", "it refused us: ", with_key]);
}

#[test]
fn an_update_of_a_client_is_not_valid_where_links_have_a_key() {
    let herd = alone();
    let (mut sender, mut receiver) = herd["A"].client().split();
    let line = update("kiwi");
    sender.send(line.trim_end()).unwrap();
    sender.finish().unwrap();
    let reply = receiver.receive_raw().unwrap().unwrap();
    assert_eq!(reply.as_bytes(), format!("? {line}").as_bytes());
    assert_eq!(herd["A"].at("kiwi"), None);
}

#[test]
fn a_key_is_exchanged_for_another_without_a_stop() {
    let ways = [("A", "B"), ("B", "A"), ("B", "C"), ("C", "B")];
    let proxies = ways.map(|_| Recorder::start());
    let plan = ways.iter().zip(&proxies).fold(
        all_with(&[("A", "B"), ("B", "C")], &OLD.line()).conf("traffic = false"),
        |plan, ((from, to), proxy)| plan.through(from, to, proxy.addr),
    );
    let herd = plan.start();
    for ((_, to), proxy) in ways.iter().zip(&proxies) {
        proxy.lead_to(herd[to].links);
    }
    herd.await_links();
    let steps = [("added", OLD.line() + &NEW.line()), ("first", NEW.line() + &OLD.line())];
    for (step, keys) in steps.into_iter().chain([("alone", NEW.line())]) {
        for name in ["A", "B", "C"] {
            herd[name].set_keys(&keys);
            // Each link is dialed anew, with the keys as the files are in the midst of the step.
            let ups = |(from, to): (&str, &str)| herd[from].logged(&[&format!("link {to} up: ")]);
            let before = ways.map(ups);
            proxies.iter().for_each(Recorder::cut);
            for ((from, to), before) in ways.iter().zip(before) {
                herd[from].logs(before + 1, &[&format!("link {to} up: ")]);
            }
            check_reports_pass(&herd, &format!("{step}-in-{name}"));
        }
    }
    for name in ["A", "B", "C"] {
        assert_eq!(herd[name].logged(&["the key of who dialed"]), 0, "{name}");
    }
    // The old one is worth nothing any more.
    let mut stream = TcpStream::connect(herd["A"].links).unwrap();
    stream.write_all(&Sealed::first_message(OLD)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("? the key of who dialed is not in the key file"), "{answer}");
}

#[test]
fn a_link_whose_key_is_removed_is_closed_and_dialed_with_the_new_one() {
    let herd = all_with(&[("A", "B")], &OLD.line()).start();
    herd.await_links();
    for keys in [NEW.line() + &OLD.line(), NEW.line()] {
        for name in ["A", "B"] {
            herd[name].set_keys(&keys);
        }
    }
    for (name, other) in [("A", "B"), ("B", "A")] {
        let lost = format!("link {other}: not heard any more: ");
        herd[name].logs(1, &[&lost, "its key is not in the key file any more"]);
        herd[name].logs(2, &[&format!("link {other} up: ")]);
    }
    check_reports_pass(&herd, "kiwi");
}

#[test]
fn a_key_file_that_has_become_unreadable_changes_nothing_and_is_said() {
    let herd = alone();
    for spoil in [
        |path: &std::path::Path| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
        },
        |path: &std::path::Path| std::fs::remove_file(path).unwrap(),
    ] {
        spoil(herd["A"].key_file());
        let mut line = greet(&herd, OLD);
        line.say(update("kiwi"));
        herd.agree_on("kiwi", |_| true);
    }
    herd["A"].logs(1, &["the keys read before stay in force: [links] key_file: ", "chmod 600"]);
    assert!(!herd["A"].log().contains(OLD.line().trim_end()));
}
