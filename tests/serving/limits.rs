//! Each limit exceeded, while others are served.

use std::io::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::embedded::{Embedded, in_each_mode};
use crate::places_service::{Gate, NOTHING, PlacesService, ok};
use crate::served::Served;
use crate::talk::{LIMIT, Talk, eventually};

const REFUSED: &str = "? too many connections\n";

/// Connects again and again until it is served.
#[track_caller]
fn admitted(address: SocketAddr) -> Talk {
    let mut talk = None;
    eventually("a place is free", || {
        let mut newcomer = Talk::to(address);
        newcomer.send("IAMAT late +1+1 1\n");
        let is_in = newcomer.line().starts_with("AT ");
        talk = is_in.then_some(newcomer);
        is_in
    });
    talk.unwrap()
}

#[test]
fn over_max_connections_a_client_is_told_so_whatever_it_has_sent() {
    in_each_mode(|mode| {
        let server = Embedded::start(&mode.pool("max_connections = 2"));
        let (mut first, mut second) = (Talk::to(server.address), Talk::to(server.address));
        first.report("a");
        second.report("b");
        let mut refused: Vec<_> = (0..5).map(|_| Talk::to(server.address)).collect();
        for talk in &mut refused {
            talk.send("IAMAT a +1+1 1\n".repeat(10_000));
        }
        for talk in &mut refused {
            assert_eq!(talk.rest(), REFUSED, "{mode:?}");
        }
        first.report("a");
        // Those refused hold no place, though they have not closed yet.
        drop(second);
        let third = admitted(server.address);
        drop((first, third));
        let log = server.stop();
        let said = "refused: 2 are open, as many as [pool] max_connections allows; 1 refused";
        assert_eq!(log.matches(said).count(), 1, "{log}");
        assert_eq!(log.matches(" refused: ").count(), 1, "said once in ten seconds: {log}");
    });
}

#[test]
fn a_client_that_went_over_a_limit_leaves_its_place_to_others() {
    in_each_mode(|mode| {
        let limits = "[limits]\ncommands_per_connection = 2\nmax_line = \"512B\"\n";
        let server = Embedded::start(&(mode.pool("max_connections = 2") + limits));
        let overdone = ["x\n".repeat(1000), "x".repeat(2000)];
        let mut over = overdone.map(|sent| {
            let mut talk = Talk::to(server.address);
            talk.send(sent);
            talk
        });
        for talk in &mut over {
            assert!(talk.rest().starts_with("? x"), "{mode:?}");
        }
        // They stay open until the server has had enough.
        let others = [admitted(server.address), admitted(server.address)];
        drop((over, others));
    });
}

#[test]
fn a_connection_without_a_command_is_closed_after_the_idle_timeout_and_no_other() {
    in_each_mode(|mode| {
        let server = Embedded::start(&mode.pool("idle_timeout = \"3s\""));
        let address = server.address;
        let idle = thread::spawn(move || {
            let begin = Instant::now();
            assert_eq!(Talk::to(address).rest(), "");
            begin.elapsed()
        });
        let mut active = Talk::to(address);
        while !idle.is_finished() {
            active.report("a");
            thread::sleep(Duration::from_millis(10));
        }
        active.report("a");
        assert!(idle.join().unwrap() >= Duration::from_secs(3), "{mode:?}");
        assert_eq!(
            server.stop().matches(" closed: idle for idle_timeout\n").count(),
            1,
            "{mode:?}"
        );
    });
}

#[test]
fn a_line_that_comes_byte_by_byte_is_not_waited_for_beyond_the_line_timeout() {
    in_each_mode(|mode| {
        let server = Embedded::start(&(mode.pool("") + "[limits]\nline_timeout = \"500ms\"\n"));
        let mut drip = Talk::to(server.address);
        drip.report("a");
        let mut other = Talk::to(server.address);
        let begin = Instant::now();
        // The server says that it is over, and then takes no more.
        while drip.stream.write_all(b"x").is_ok() {
            assert!(begin.elapsed() < LIMIT, "{mode:?}: still waited for");
            other.report("b");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(server.stop().contains(" closed: a line that was not whole within line_timeout\n"));
    });
}

#[test]
fn a_line_that_stood_behind_slow_places_has_its_whole_time() {
    let (gate, keeper) = Gate::new();
    let service = PlacesService::start(move |_| {
        gate.pass();
        ok(NOTHING)
    });
    let sections = format!(
        "[places]\nprovider = \"overpass\"\nbase_url = \"{}\"\ntimeout = \"60s\"\n\
         [limits]\nline_timeout = \"3s\"\n",
        service.url()
    );
    let server = Embedded::start(&sections);
    let mut talk = Talk::to(server.address);
    talk.report("a");
    talk.send("WHATSAT a 1 1\nIAMAT b");
    // Longer than the line may take; nobody reads it meanwhile.
    thread::sleep(Duration::from_millis(3100));
    keeper.open();
    assert!(talk.line().starts_with("AT "));
    talk.places();
    // Time for the server to look at its clocks, and less than the line has now.
    thread::sleep(Duration::from_millis(1200));
    talk.send(" +1+1 1\n");
    assert!(talk.line().ends_with(" b +1+1 1"));
}

#[test]
fn a_client_that_takes_no_replies_costs_bounded_memory_and_is_closed() {
    const SILENT: usize = 6;
    in_each_mode(|mode| {
        let limits = "[limits]\nwrite_timeout = \"1s\"\n";
        let server = Served::start(&(mode.pool("") + limits), "traffic = false");
        let mut other = Talk::to(server.address);
        other.report("a");
        // Replies of some kilobytes each.
        let command = "WHATSAT a 50 20\n".repeat(100);
        let before = server.resident_kib();
        let mut most = before;
        thread::scope(|scope| {
            let silent: Vec<_> = (0..SILENT)
                .map(|_| {
                    scope.spawn(|| Talk::to(server.address).pump_until_closed(command.as_bytes()))
                })
                .collect();
            while !silent.iter().all(thread::ScopedJoinHandle::is_finished) {
                other.report("a");
                most = most.max(server.resident_kib());
            }
        });
        let grown = most - before;
        assert!(grown < 16 * 1024, "{mode:?}: {grown} KiB for {SILENT} clients");
        eventually("all are said to be closed", || {
            server.log().matches(": took no replies").count() == SILENT
        });
    });
}

#[test]
fn a_line_over_max_line_and_all_that_follows_it_is_no_load_on_others() {
    in_each_mode(|mode| {
        let server = Embedded::start(&mode.pool(""));
        let address = server.address;
        let mut other = Talk::to(address);
        let rude = thread::spawn(move || {
            let mut talk = Talk::to(address);
            // More than the server discards before it closes.
            let mut sending = talk.stream.try_clone().unwrap();
            let sender =
                thread::spawn(move || while sending.write_all(&[b'x'; 64 * 1024]).is_ok() {});
            let reply = talk.rest_or_reset();
            sender.join().unwrap();
            reply
        });
        while !rude.is_finished() {
            other.report("a");
        }
        let reply = rude.join().unwrap();
        assert_eq!(reply.len(), 2 + 8192 + 1, "{mode:?}");
    });
}

#[test]
fn a_line_may_be_as_long_as_max_line_allows_in_either_mode() {
    in_each_mode(|mode| {
        let server = Embedded::start(&(mode.pool("") + "[limits]\nmax_line = \"1MiB\"\n"));
        let mut talk = Talk::to(server.address);
        for length in [64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 100_000, 1 << 20] {
            let line = "x".repeat(length);
            assert_eq!(talk.ask(&line), format!("? {line}"), "{mode:?} {length}");
        }
        talk.send("y".repeat((1 << 20) + 1));
        assert_eq!(talk.rest(), format!("? {}\n", "y".repeat(1 << 20)), "{mode:?}");
    });
}
