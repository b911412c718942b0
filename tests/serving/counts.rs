//! What is counted of commands.

use crate::embedded::{Embedded, in_each_mode};
use crate::talk::Talk;

#[test]
fn commands_are_counted_by_what_became_of_them() {
    in_each_mode(|mode| {
        let server = Embedded::start(&mode.pool(""));
        let mut talk = Talk::to(server.address);
        let iamat = "IAMAT a +1+1 1\n".repeat(3000);
        let whatsat = "WHATSAT a 0 0\n".repeat(20);
        let update = "UPDATE b Alford 1700000000 +3+3 +1.000000000 Alford\n".repeat(50);
        let invalid = "x\n\nWHATSAT nobody 1 1\nIAMAT a +91+1 1\n".repeat(10);
        talk.send(iamat + &whatsat + &update + &invalid + "without an end");
        talk.end();
        talk.rest();
        Talk::to(server.address).report("c");
        let counters = server.counters();
        let counted = [&counters.iamat, &counters.whatsat, &counters.update, &counters.invalid]
            .map(herd::counters::Count::get);
        assert_eq!(counted, [3001, 20, 50, 41], "{mode:?}");
        assert_eq!(counters.connections.get(), 2, "{mode:?}");
        assert_eq!(counters.panics.get(), 0, "{mode:?}");
    });
}
