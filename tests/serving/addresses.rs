//! Limits per address, over an address that counts.

use crate::embedded::{Embedded, in_each_mode};
use crate::outside;
use crate::talk::{Talk, eventually};

#[test]
fn over_max_connections_per_address_an_address_is_refused_and_this_machine_is_not() {
    in_each_mode(|mode| {
        let server = Embedded::start_everywhere(&mode.pool("max_connections_per_address = 2"));
        let Some(outside) = outside::address(server.address.port()) else { return };
        let (mut first, mut second) = (Talk::to(outside), Talk::to(outside));
        first.report("a");
        second.report("b");
        let mut refused: Vec<_> = (0..3).map(|_| Talk::to(outside)).collect();
        for talk in &mut refused {
            talk.send("IAMAT a +1+1 1\n".repeat(10_000));
        }
        for talk in &mut refused {
            assert_eq!(talk.rest(), "? too many connections\n", "{mode:?}");
        }
        let mut here: Vec<_> = (0..5).map(|_| Talk::to(server.address)).collect();
        here.iter_mut().for_each(|talk| talk.report("here"));
        first.report("a");
        assert_eq!(server.counters().refused_per_address.get(), 3);
        assert_eq!(server.counters().refused_connections.get(), 0);
        drop(second);
        eventually("the address has room again", || {
            Talk::to(outside).ask("IAMAT late +1+1 1").starts_with("AT ")
        });
        drop((first, here));
        let log = server.stop();
        let said = " limit reached: [pool] max_connections_per_address = 2: ";
        assert_eq!(log.matches(said).count(), 1, "{log}");
    });
}
