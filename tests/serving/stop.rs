//! Stops: on a signal, whatever clients do meanwhile.

use std::collections::HashSet;
use std::time::Duration;

use crate::embedded::{Mode, in_each_mode};
use crate::places_service::{Gate, NOTHING, PlacesService, ok};
use crate::served::{Served, Signal};
use crate::talk::{Talk, eventually};

#[track_caller]
fn ends_well(server: &mut Served) {
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr());
    assert!(server.log().contains(" server Ball stopped\n"), "{}", server.log());
    assert_eq!(server.stderr(), "");
}

#[test]
fn a_signal_stops_the_server_once_what_it_read_is_answered_and_logged() {
    in_each_mode(|mode| {
        for signal in [Signal::TERM, Signal::INT] {
            let mut server = Served::start(&mode.pool(""), "");
            let mut idle = Talk::to(server.address);
            idle.report("idle");
            let mut busy = Talk::to(server.address);
            let lines: String = (0..5000).map(|number| format!("busy {number}\n")).collect();
            busy.send(&lines);
            assert_eq!(busy.line(), "? busy 0");
            server.signal(signal);
            let replies = busy.rest();
            let count = replies.lines().count();
            let expected: String = (1..=count).map(|number| format!("? busy {number}\n")).collect();
            assert_eq!(replies, expected, "{mode:?}");
            assert_eq!(idle.rest(), "");
            drop((busy, idle));
            ends_well(&mut server);
            let log = server.log();
            let logged: HashSet<_> =
                log.lines().filter_map(|line| Some(line.split_once(" busy ")?.1)).collect();
            for number in 0..=count {
                let exchange = format!("{number} -> ? busy {number}");
                assert!(logged.contains(&*exchange), "{mode:?}: no {exchange}");
            }
            assert_eq!(log.matches(" -> ? busy ").count(), count + 1, "{mode:?}");
        }
    });
}

#[test]
fn a_client_that_sends_on_while_the_server_stops_gets_its_last_replies() {
    in_each_mode(|mode| {
        let mut server = Served::start(&mode.pool(""), "");
        let mut late = Talk::with_little_room(server.address);
        let lines: String = (0..1000).map(|number| format!("{number:0100}\n")).collect();
        late.send(&lines);
        eventually("it is read", || server.log().matches(" -> ? ").count() == 1000);
        server.signal(Signal::TERM);
        eventually("the server stops", || server.log().contains(" stops\n"));
        // Most of the replies are still on the server's side; a reset would lose them.
        std::thread::sleep(Duration::from_millis(200));
        late.send("one more\n");
        let replies = late.rest();
        let expected: String = lines.lines().map(|line| format!("? {line}\n")).collect();
        let rest = replies.strip_prefix(&expected);
        // A pinned thread may have read it before it saw the stop.
        assert!(matches!(rest, Some("" | "? one more\n")), "{mode:?}: {} bytes", replies.len());
        drop(late);
        ends_well(&mut server);
    });
}

#[test]
fn idle_clients_that_stay_do_not_keep_the_server() {
    in_each_mode(|mode| {
        let mut server = Served::start(&mode.pool(""), "");
        let mut idle: Vec<_> = (0..40).map(|_| Talk::to(server.address)).collect();
        if let Mode::Lots = mode {
            idle.iter_mut().for_each(|talk| talk.report("idle"));
        }
        server.signal(Signal::TERM);
        for talk in &mut idle {
            assert_eq!(talk.rest_or_reset(), b"", "{mode:?}");
        }
        ends_well(&mut server);
    });
}

#[test]
fn a_client_that_never_reads_does_not_keep_the_server() {
    in_each_mode(|mode| {
        let mut server = Served::start(&mode.pool(""), "traffic = false");
        let mut mute = Talk::to(server.address);
        mute.pump(&b"IAMAT mute +1+1 1\n".repeat(1000));
        server.signal(Signal::TERM);
        ends_well(&mut server);
    });
}

#[test]
fn a_provider_that_hangs_does_not_keep_the_server() {
    in_each_mode(|mode| {
        let (gate, _keeper) = Gate::new();
        let service = PlacesService::start(move |_| {
            gate.pass();
            ok(NOTHING)
        });
        let places = format!(
            "[places]\nprovider = \"overpass\"\nbase_url = \"{}\"\ntimeout = \"60s\"\nworkers = 1\n",
            service.url()
        );
        let mut server = Served::start(&(mode.pool("") + &places), "");
        let mut waiting: Vec<_> = (1..=4).map(|_| Talk::to(server.address)).collect();
        for (radius, talk) in waiting.iter_mut().enumerate() {
            talk.report("waiting");
            talk.send(format!("WHATSAT waiting {radius} 1\n"));
        }
        eventually("the service is asked", || service.count() == 1);
        server.signal(Signal::INT);
        ends_well(&mut server);
    });
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    in_each_mode(|mode| {
        let mut server = Served::start(&mode.pool(""), "traffic = false");
        // It takes no replies, so that a stop would take its time.
        let mut mute = Talk::to(server.address);
        mute.pump(&b"IAMAT mute +1+1 1\n".repeat(1000));
        // Two of a kind, sent at once, would be one.
        server.signal(Signal::INT);
        server.signal(Signal::TERM);
        let code = server.wait().code();
        assert!(matches!(code, Some(130 | 143)), "{mode:?}: {code:?}");
    });
}
