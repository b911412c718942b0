//! Each limit exceeded, while others are served.

use std::io::{Read, Write};
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
        assert_eq!(server.counters().connections.get(), 2);
        assert_eq!(server.counters().refused_connections.get(), 5);
        // Those refused hold no place, though they have not closed yet.
        drop(second);
        let third = admitted(server.address);
        drop((first, third));
        let log = server.stop();
        assert!(log.contains(" WARN  limit reached: [pool] max_connections = 2: "), "{log}");
        assert_eq!(log.matches("; 1 since the start; raise it ").count(), 1, "{log}");
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
        assert_eq!(server.counters().closed_idle.get(), 1, "{mode:?}");
        let log = server.stop();
        assert_eq!(log.matches(" closed: idle for idle_timeout\n").count(), 1, "{mode:?}");
        assert_eq!(log.matches(" limit reached: [pool] idle_timeout = 3s: ").count(), 1, "{log}");
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
        assert_eq!(server.counters().closed_slow_line.get(), 1, "{mode:?}");
        let log = server.stop();
        assert!(log.contains(" closed: a line that was not whole within line_timeout\n"), "{log}");
        assert!(log.contains(" limit reached: [limits] line_timeout = 500ms: "), "{log}");
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
        let log = server.log();
        assert!(log.contains(" limit reached: [limits] write_timeout = 1s: "), "{log}");
    });
}

#[test]
fn a_client_that_takes_its_replies_bit_by_bit_holds_them_no_longer_than_one_that_takes_none() {
    in_each_mode(|mode| {
        // As much as a turn can bring; all of it would take this client a minute.
        let limits = "[limits]\nwrite_timeout = \"2s\"\nmax_untaken = \"16MiB\"\n";
        let server = Embedded::start_logging(&(mode.pool("") + limits), "traffic = false");
        let mut drip = Talk::with_little_room(server.address);
        drip.report("a");
        drip.send("WHATSAT a 50 20\n".repeat(3000));
        let begin = Instant::now();
        let mut taken = 0;
        while server.counters().closed_untaken.get() == 0 {
            assert!(begin.elapsed() < LIMIT, "{mode:?}: still served after {taken} bytes");
            taken += drip.stream.read(&mut [0; 8 * 1024]).unwrap();
            thread::sleep(Duration::from_millis(40));
        }
        assert!(taken > 32 * 1024, "{mode:?}: {taken}");
    });
}

#[test]
fn no_more_is_handled_for_a_client_than_it_may_leave_untaken() {
    in_each_mode(|mode| {
        let handled = |untaken: &str| {
            let limits = format!("[limits]\nmax_untaken = \"{untaken}\"\n");
            let server = Embedded::start_logging(&(mode.pool("") + &limits), "traffic = false");
            let mut talk = Talk::with_little_room(server.address);
            talk.report("a");
            talk.send("WHATSAT a 50 20\n".repeat(3000));
            let mut count = 0;
            // It is over once a second goes by without more.
            let mut since = Instant::now();
            while since.elapsed() < Duration::from_secs(1) {
                let now = server.counters().whatsat.get();
                if now != count {
                    (count, since) = (now, Instant::now());
                }
                thread::sleep(Duration::from_millis(5));
            }
            count
        };
        let (few, many) = (handled("4KiB"), handled("16MiB"));
        // Those are some that the kernel takes, of 4 KiB each, and these a whole turn.
        assert!(few < 200 && many >= 1000, "{mode:?}: {few} and {many}");
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
        assert_eq!(server.counters().closed_long_line.get(), 1, "{mode:?}");
        assert!(server.stop().contains(" limit reached: [limits] max_line = 8192 B: "), "{mode:?}");
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
