//! How often WHATSAT may ask a provider that costs.

use std::time::Instant;

use crate::embedded::{Embedded, Mode, in_each_mode};
use crate::outside;
use crate::places_service::{NOTHING, PlacesService, ok};
use crate::talk::Talk;

/// More than a slow machine lets through before all are read.
const ASKED: usize = 100;

fn service() -> PlacesService {
    PlacesService::start(|_| ok(NOTHING))
}

/// A server that asks this service so often.
fn server(mode: Mode, service: &PlacesService, in_all: u32, per_address: u32) -> Embedded {
    let places = format!(
        "[places]\nprovider = \"overpass\"\nbase_url = \"{}\"\ntimeout = \"60s\"\n\
         whatsat_per_second = {in_all}\nwhatsat_per_second_per_address = {per_address}\n",
        service.url()
    );
    Embedded::start_everywhere(&(mode.pool("") + &places))
}

/// Asks again and again at once, each time for something else; how many were refused.
#[track_caller]
fn refusals(talk: &mut Talk) -> usize {
    talk.report("a");
    talk.send((0..ASKED).map(|at| format!("WHATSAT a 0.{at:03} 5\n")).collect::<String>());
    let refused = |_: &usize| {
        assert!(talk.line().ends_with(" a +34.068930-118.445127 1479413884.392014450"));
        let json = talk.places();
        let is_refused = json.contains(r#""status": "OVER_QUERY_LIMIT""#);
        assert!(is_refused || json.contains("ZERO_RESULTS"), "{json}");
        assert!(!is_refused || json.contains(r#""results": []"#), "{json}");
        is_refused
    };
    (0..ASKED).filter(refused).count()
}

#[test]
fn over_the_rate_in_all_whatsat_gets_its_at_line_and_a_status_word_and_nobody_is_asked() {
    in_each_mode(|mode| {
        let service = service();
        let server = server(mode, &service, 1, 1000);
        let mut talk = Talk::to(server.address);
        let begin = Instant::now();
        let refused = refusals(&mut talk);
        let answered = ASKED - refused;
        assert_eq!(service.count(), answered, "{mode:?}");
        // One at once, and one a second.
        let allowed = 1 + begin.elapsed().as_secs() as usize + 1;
        assert!((1..=allowed).contains(&answered), "{mode:?}: {answered} of {allowed}");
        assert_eq!(server.counters().refused_whatsat.get(), refused as u64, "{mode:?}");
        // Who asks nobody is not refused.
        for _ in 0..ASKED {
            assert!(talk.ask("WHATSAT a 1 0").starts_with("AT "));
            assert!(talk.places().contains("ZERO_RESULTS"));
        }
        assert_eq!(server.counters().refused_whatsat.get(), refused as u64, "{mode:?}");
        let log = server.stop();
        assert!(log.contains(" WARN  limit reached: [places] whatsat_per_second = 1: "), "{log}");
    });
}

#[test]
fn over_the_rate_of_an_address_others_are_answered() {
    in_each_mode(|mode| {
        let service = service();
        let server = server(mode, &service, 1_000_000, 1);
        let Some(outside) = outside::address(server.address.port()) else { return };
        let refused = refusals(&mut Talk::to(outside));
        assert!(refused > 0, "{mode:?}");
        assert_eq!(server.counters().refused_whatsat.get(), refused as u64, "{mode:?}");
        assert_eq!(refusals(&mut Talk::to(server.address)), 0, "{mode:?}: this machine's");
        let log = server.stop();
        assert!(log.contains(" [places] whatsat_per_second_per_address = 1: "), "{log}");
    });
}

#[test]
fn places_that_are_computed_have_no_rate() {
    in_each_mode(|mode| {
        let places = "[places]\nwhatsat_per_second = 1\nwhatsat_per_second_per_address = 1\n";
        let server = Embedded::start_everywhere(&(mode.pool("") + places));
        let outside = outside::address(server.address.port());
        for address in [Some(server.address), outside].into_iter().flatten() {
            let mut talk = Talk::to(address);
            talk.report("a");
            talk.send("WHATSAT a 10 5\n".repeat(ASKED));
            for _ in 0..ASKED {
                assert!(talk.line().starts_with("AT "));
                assert!(talk.places().contains(r#""status":"OK""#), "{mode:?}");
            }
        }
    });
}
