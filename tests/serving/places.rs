//! Places that are slow to come: who waits for them, who does not, and at what cost.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;

use crate::embedded::{Embedded, MODES};
use crate::places_service::{Gate, Keeper, NOTHING, PlacesService, ok};
use crate::served::Served;
use crate::talk::{LIMIT, Talk, eventually};

const NO_PLACES: &str = r#"{"html_attributions": [], "results": [], "status": "ZERO_RESULTS"}"#;

/// A service that answers nothing until its gate opens.
fn slow_service() -> (PlacesService, Keeper) {
    let (gate, keeper) = Gate::new();
    let service = PlacesService::start(move |_| {
        gate.pass();
        ok(NOTHING)
    });
    (service, keeper)
}

/// `[places]` that asks this service, patiently.
fn places(service: &PlacesService, workers: usize, queue: usize) -> String {
    format!(
        "[places]\nprovider = \"overpass\"\nbase_url = \"{}\"\ntimeout = \"60s\"\n\
         workers = {workers}\nqueue = {queue}\nwhatsat_per_second = 1000000\n",
        service.url()
    )
}

/// A client that is known, and asks what is within so many meters.
fn asking(address: SocketAddr, meters: usize) -> Talk {
    let mut talk = Talk::to(address);
    talk.send(format!("IAMAT a +1+1 1\nWHATSAT a 0.{meters:03} 5\n"));
    // It is written at the end of the turn in which the WHATSAT is read too.
    assert!(talk.line().starts_with("AT "));
    talk
}

#[track_caller]
fn gets_its_places(talk: &mut Talk) {
    assert!(talk.line().ends_with(" a +1+1 1"));
    assert_eq!(talk.places(), NO_PLACES);
}

#[test]
fn while_places_are_slow_other_clients_are_answered_and_replies_stay_in_order() {
    for mode in MODES {
        let (service, keeper) = slow_service();
        let server = Embedded::start(&(mode.pool("") + &places(&service, 2, 100)));
        let mut waiting: Vec<_> = (1..=8).map(|meters| asking(server.address, meters)).collect();
        for talk in &mut waiting {
            talk.send("IAMAT b +2+2 2\nx\n");
        }
        eventually("the service is asked by all workers", || service.count() == 2);
        // As many as there are lots, and more.
        let mut others: Vec<_> = (0..8).map(|_| Talk::to(server.address)).collect();
        for _ in 0..20 {
            for other in &mut others {
                other.report("other");
                assert!(other.ask("WHATSAT other 1 0").starts_with("AT "));
                assert_eq!(other.places(), NO_PLACES);
            }
        }
        assert_eq!(service.count(), 2, "{mode:?}: at most as many calls as workers");
        keeper.open();
        for talk in &mut waiting {
            gets_its_places(talk);
            assert!(talk.line().ends_with(" b +2+2 2"));
            assert_eq!(talk.line(), "? x");
        }
        assert_eq!(service.count(), 8, "{mode:?}");
    }
}

#[test]
fn who_waits_for_places_holds_no_thread() {
    let (service, keeper) = slow_service();
    let server = Served::start(&places(&service, 2, 200), "");
    let threads = server.threads();
    let mut waiting: Vec<_> = (1..=100).map(|meters| asking(server.address, meters)).collect();
    eventually("the service is asked by all workers", || service.count() == 2);
    for _ in 0..8 {
        Talk::to(server.address).report("other");
    }
    eventually("there are as many threads as before", || server.threads() == threads);
    keeper.open();
    waiting.iter_mut().for_each(gets_its_places);
    assert_eq!(service.count(), 100);
}

#[test]
fn over_the_queue_a_look_up_is_refused_at_once() {
    for mode in MODES {
        let (service, keeper) = slow_service();
        let server = Embedded::start(&(mode.pool("") + &places(&service, 1, 1)));
        let mut first = asking(server.address, 1);
        eventually("the service is asked", || service.count() == 1);
        // One of these waits, and which one is chance.
        let (send, refused) = mpsc::channel();
        let others: Vec<_> = (2..=4)
            .map(|meters| {
                let (send, mut talk) = (send.clone(), asking(server.address, meters));
                thread::spawn(move || {
                    assert!(talk.line().ends_with(" a +1+1 1"));
                    let json = talk.places();
                    if json != NO_PLACES {
                        send.send(json).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            let json = refused.recv_timeout(LIMIT).unwrap();
            assert!(json.contains(r#""status": "OVER_QUERY_LIMIT""#), "{mode:?}: {json}");
        }
        keeper.open();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(server.counters().refused_lookups.get(), 2, "{mode:?}");
        eventually("the log says so", || {
            server.log().contains(" limit reached: [places] queue = 1: ")
        });
        drop(send);
        assert!(refused.recv().is_err(), "{mode:?}: the third waited for its places");
        gets_its_places(&mut first);
        assert_eq!(service.count(), 2, "{mode:?}");
    }
}

#[test]
fn equal_look_ups_in_flight_are_made_once() {
    let (service, keeper) = slow_service();
    let server = Embedded::start(&places(&service, 2, 100));
    let mut waiting: Vec<_> = (0..10).map(|_| asking(server.address, 1)).collect();
    // Once the lots have gone on to others, all those of before are asked for.
    for _ in 0..8 {
        let mut others: Vec<_> = (0..8).map(|_| Talk::to(server.address)).collect();
        others.iter_mut().for_each(|other| other.report("other"));
    }
    eventually("the service is asked", || service.count() == 1);
    keeper.open();
    waiting.iter_mut().for_each(gets_its_places);
    assert_eq!(service.count(), 1);
    gets_its_places(&mut asking(server.address, 1));
    assert_eq!(service.count(), 2, "what is not in flight any more is asked again");
}

#[test]
fn a_client_that_goes_away_while_it_waits_for_places_harms_nobody() {
    for mode in MODES {
        let (service, keeper) = slow_service();
        let pool = mode.pool("max_connections = 8");
        let server = Embedded::start(&(pool + &places(&service, 2, 100)));
        let mut gone: Vec<_> = (1..=5).map(|meters| asking(server.address, meters)).collect();
        let mut stays = asking(server.address, 6);
        eventually("the service is asked by all workers", || service.count() == 2);
        gone.pop().unwrap().end();
        gone.into_iter().for_each(Talk::reset);
        Talk::to(server.address).report("other");
        keeper.open();
        gets_its_places(&mut stays);
        assert!(stays.ask("IAMAT b +2+2 2").ends_with(" b +2+2 2"));
        // Their places are free again.
        let mut others = Vec::new();
        eventually("seven others are served", || {
            let mut other = Talk::to(server.address);
            if other.ask("IAMAT b +2+2 2").starts_with("AT ") {
                others.push(other);
            }
            others.len() == 7
        });
    }
}
