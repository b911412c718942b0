//! Neighbors that speak UPDATE only, on kept connections.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::neighbor::{Manner, Neighbor};
use crate::servers::{Herd, LIMIT, Plan, Server, eventually};

/// A and B, of which A has the neighbor, too.
fn herd_with(neighbor: &Neighbor, conf: &str) -> Herd {
    Plan::new(&[("A", "B"), ("A", "Other")])
        .other("Other", "plain", neighbor.addr)
        .conf(conf)
        .start()
}

/// The UPDATE line, without its LF, that A sends of an AT line.
fn update_of(at: &[u8]) -> String {
    let at = std::str::from_utf8(at).unwrap().trim_end();
    let [_, origin, skew, client, location, time] = at.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{at}")
    };
    format!("UPDATE {client} {origin} {time} {location} {skew} A")
}

/// Waits until the neighbor was told of a client so many times.
#[track_caller]
fn is_told(neighbor: &Neighbor, client: &str, times: usize) {
    eventually("the neighbor is told", || neighbor.told_of(client) >= times);
}

/// Reports a client, and waits until the neighbor is told of it, in the very bytes.
#[track_caller]
fn passes_on(server: &Server, neighbor: &Neighbor, client: &str) {
    let update = update_of(&server.report(client, "+34.068930-118.445127", "1479413884.392014450"));
    is_told(neighbor, client, 1);
    assert!(neighbor.lines().iter().any(|line| line.text == update), "{:?}", neighbor.lines());
}

#[test]
fn a_plain_neighbor_is_told_all_on_each_connect_and_what_comes_after() {
    let mut neighbor = Neighbor::start(Manner::Keeps);
    neighbor.down();
    let herd = herd_with(&neighbor, "");
    herd["A"].logs(1, &["link Other: ", "refused", "; redialing"]);
    herd["A"].report("early", "+1-2", "3");
    herd["B"].report("far", "+1-2", "3");
    herd.agree_on("far", |_| true);

    neighbor.up();
    is_told(&neighbor, "early", 1);
    is_told(&neighbor, "far", 1);
    passes_on(&herd["A"], &neighbor, "live");
    passes_on(&herd["B"], &neighbor, "live-from-afar");
    herd["A"].logs(1, &["link Other up: "]);

    neighbor.down();
    herd["A"].logs(1, &["link Other down: "]);
    herd["A"].report("missed", "+1-2", "3");
    neighbor.up();
    is_told(&neighbor, "missed", 1);
    for client in ["early", "far", "live", "live-from-afar"] {
        is_told(&neighbor, client, 2);
    }
    passes_on(&herd["A"], &neighbor, "after");
    assert_eq!((neighbor.connections(), neighbor.cut_short()), (2, 0));
    let of_second =
        |line: &crate::neighbor::Line| line.connection == 2 && line.text.contains(" early ");
    assert!(neighbor.lines().iter().any(of_second));
}

#[test]
fn what_a_plain_neighbor_sends_back_is_dropped() {
    let neighbor = Neighbor::start(Manner::TalksBack);
    let herd = herd_with(&neighbor, "");
    for number in 0..20 {
        passes_on(&herd["A"], &neighbor, &format!("client{number}"));
    }
    assert_eq!(neighbor.connections(), 1);
    assert_eq!(herd["A"].at("Nobody"), None);
}

/// Sends bytes on a connection of their own, ends it, and gives what is answered.
#[track_caller]
fn tell_once(addr: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn an_update_without_a_line_feed_goes_to_the_other_neighbors_with_its_skew_cut_to_nine_decimals() {
    let neighbor = Neighbor::start(Manner::Keeps);
    let herd = herd_with(&neighbor, "");
    passes_on(&herd["A"], &neighbor, "before");
    for (client, skew, canonical) in [
        ("cut", "0.1234567899", "+0.123456789"),
        ("cut-below-zero", "-1.9999999999", "-1.999999999"),
        ("short", "7", "+7.000000000"),
    ] {
        let update = format!("UPDATE {client} Other 1479413884.5 +1-2 {skew} Other");
        assert_eq!(tell_once(herd["A"].addr, &update), "");
        let at = format!("AT Other {canonical} {client} +1-2 1479413884.5\n");
        assert_eq!(herd.agree_on(client, |_| true), at.as_bytes());
    }
    // What came from it does not go back to it.
    passes_on(&herd["A"], &neighbor, "after");
    let told: Vec<_> =
        ["cut", "cut-below-zero", "short"].map(|client| neighbor.told_of(client)).into();
    assert_eq!(told, [0, 0, 0]);
}

#[track_caller]
fn check_that_no_idle_limit_closes_its_connection(mode: &str) {
    let neighbor = Neighbor::start(Manner::Keeps);
    // Long enough for the test's own clients to say something before, on a busy machine too.
    let herd = herd_with(&neighbor, &format!("[pool]\nmode = \"{mode}\"\nidle_timeout = \"2s\""));
    let mut kept = TcpStream::connect(herd["A"].addr).unwrap();
    kept.write_all(b"UPDATE first Other 1 +1-2 0.5 Other\n").unwrap();
    herd.agree_on("first", |_| true);
    // Clients that came later and say nothing are gone by now, one after the other.
    for _ in 0..2 {
        let mut idle = TcpStream::connect(herd["A"].addr).unwrap();
        idle.set_read_timeout(Some(LIMIT)).unwrap();
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    }
    kept.write_all(b"UPDATE second Other 1 +1-2 0.5 Other\n").unwrap();
    herd.agree_on("second", |_| true);
}

#[test]
fn no_idle_limit_closes_the_connection_of_a_plain_neighbor() {
    check_that_no_idle_limit_closes_its_connection("lots");
}

#[test]
fn no_idle_limit_closes_the_connection_of_a_plain_neighbor_in_pinned_mode() {
    check_that_no_idle_limit_closes_its_connection("pinned");
}
