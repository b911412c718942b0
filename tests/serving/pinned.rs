//! Pinned mode: as many connections at a time as there are workers.

use crate::embedded::Embedded;
use crate::talk::Talk;

#[test]
fn the_pool_size_is_the_number_served_at_a_time_and_the_others_get_their_turn() {
    let pool = "[pool]\nmode = \"pinned\"\nworkers = 3\n";
    let server = Embedded::start(pool);
    let mut served: Vec<_> = (0..3).map(|_| Talk::to(server.address)).collect();
    served.iter_mut().for_each(|talk| talk.report("served"));
    let mut waiting: Vec<_> = (0..6).map(|_| Talk::to(server.address)).collect();
    for talk in &mut waiting {
        talk.send("IAMAT waiting +1+1 1\n");
    }
    for _ in 0..20 {
        served.iter_mut().for_each(|talk| talk.report("served"));
    }
    for talk in &mut waiting {
        talk.stream.set_nonblocking(true).unwrap();
        let error = talk.stream.peek(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "nobody serves it yet");
        talk.stream.set_nonblocking(false).unwrap();
    }
    // Each that leaves makes room for the one that has waited longest.
    for mut talk in waiting {
        drop(served.remove(0));
        assert!(talk.line().ends_with(" waiting +1+1 1"));
        served.push(talk);
    }
}

#[test]
fn who_waits_for_a_worker_counts_as_a_connection() {
    let pool = "[pool]\nmode = \"pinned\"\nworkers = 1\nmax_connections = 3\n";
    let server = Embedded::start(pool);
    let mut served = Talk::to(server.address);
    served.report("served");
    let waiting = [Talk::to(server.address), Talk::to(server.address)];
    assert_eq!(Talk::to(server.address).rest(), "? too many connections\n");
    served.report("served");
    drop(served);
    for mut talk in waiting {
        talk.report("waiting");
    }
}
