//! `max_records`.

use crate::embedded::{Embedded, in_each_mode};
use crate::talk::Talk;

#[test]
fn over_max_records_new_clients_are_refused_known_ones_go_on_and_updates_are_taken() {
    in_each_mode(|mode| {
        let server = Embedded::start(&(mode.pool("") + "[limits]\nmax_records = 3\n"));
        let mut talk = Talk::to(server.address);
        for known in ["a", "b", "c"] {
            talk.report(known);
        }
        let new = "IAMAT d +1+1 1700000000";
        for _ in 0..3 {
            assert_eq!(talk.ask(new), format!("? {new}"), "{mode:?}");
        }
        assert_eq!(talk.ask("WHATSAT d 0 0"), "? WHATSAT d 0 0");
        assert!(talk.ask("IAMAT a +2+2 1700000000").ends_with(" a +2+2 1700000000"), "{mode:?}");
        talk.send("UPDATE e Alford 1700000000 +3+3 +1.000000000 Alford\n");
        assert!(talk.ask("WHATSAT e 0 0").ends_with(" e +3+3 1700000000"), "{mode:?}");
        talk.places();
        // Known now, wherever it came from.
        assert!(talk.ask("IAMAT e +4+4 1700000001").ends_with(" e +4+4 1700000001"), "{mode:?}");
        assert_eq!(talk.ask(new), format!("? {new}"), "{mode:?}");
        assert_eq!(server.counters().refused_records.get(), 4, "{mode:?}");
        let log = server.stop();
        assert_eq!(log.matches(" limit reached: [limits] max_records = 3: ").count(), 1, "{log}");
    });
}
