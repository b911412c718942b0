//! Many clients at all servers at once: no server gets stuck, and all end up with the same.

use crate::load::{Walkers, newest, shared_clients, times_load};
use crate::servers::Plan;
use crate::shapes::{FULL_MESH, LINE, TRIANGLE};

/// Several connections to each server pipeline reports of few clients; afterwards all servers hold
/// the newest of each that was answered, byte for byte.
#[track_caller]
fn check(plan: &Plan) {
    let herd = plan.start();
    let reports = times_load(4000);
    let mut walkers = Walkers::new();
    for server in herd.servers() {
        for _ in 0..3 {
            walkers.pipeline(server.addr, reports);
        }
    }
    let answers = walkers.join();
    assert_eq!(answers.len(), reports * 3 * herd.servers().len());
    let newest = newest(&answers);
    let clients = shared_clients();
    let expected: Vec<_> = clients.iter().map(|client| newest.get(client).cloned()).collect();
    assert!(expected.iter().all(Option::is_some));
    // That all agree can come about before the last update has arrived.
    crate::servers::eventually("all servers hold the newest", || {
        herd.agree_on_all(&clients) == expected
    });
}

#[test]
fn a_triangle_converges_under_load() {
    check(&Plan::new(TRIANGLE));
}

#[test]
fn a_full_mesh_converges_under_load() {
    check(&Plan::new(FULL_MESH));
}

#[test]
fn a_line_converges_under_load() {
    check(&Plan::new(LINE));
}

#[test]
fn a_herd_with_a_thread_for_each_client_converges_under_load() {
    check(&Plan::new(TRIANGLE).conf("[pool]\nmode = \"pinned\"\nworkers = 16"));
}
