//! Herds of every shape: a report to any server is seen on all, byte for byte.

use crate::servers::Plan;

pub(crate) const PAIR: &[(&str, &str)] = &[("A", "B")];

pub(crate) const LINE: &[(&str, &str)] = &[("A", "B"), ("B", "C"), ("C", "D"), ("D", "E")];

/// The seed herd.
const RING: &[(&str, &str)] = &[
    ("Alford", "Hamilton"),
    ("Alford", "Welsh"),
    ("Ball", "Holiday"),
    ("Ball", "Welsh"),
    ("Hamilton", "Holiday"),
];

pub(crate) const TRIANGLE: &[(&str, &str)] = &[("A", "B"), ("B", "C"), ("A", "C")];

pub(crate) const FULL_MESH: &[(&str, &str)] =
    &[("A", "B"), ("A", "C"), ("A", "D"), ("B", "C"), ("B", "D"), ("C", "D")];

/// A report to each server reaches all, as its origin stamped it.
#[track_caller]
fn check(plan: &Plan) {
    let herd = plan.start();
    for server in herd.servers() {
        let client = format!("client-of-{}", server.name);
        let at = server.report(&client, "+34.068930-118.445127", "1479413884.3920144500");
        assert!(at.starts_with(format!("AT {} +", server.name).as_bytes()), "{at:?}");
        assert_eq!(herd.agree_on(&client, |_| true), at);
    }
}

#[test]
fn a_report_to_each_server_of_a_line_is_seen_on_all() {
    check(&Plan::new(LINE));
}

#[test]
fn a_report_to_each_server_of_the_seed_ring_is_seen_on_all() {
    check(&Plan::new(RING));
}

#[test]
fn a_report_to_each_server_of_a_triangle_is_seen_on_all() {
    check(&Plan::new(TRIANGLE));
}

#[test]
fn a_report_to_each_server_of_a_full_mesh_is_seen_on_all() {
    check(&Plan::new(FULL_MESH));
}

#[test]
fn a_neighbor_that_is_listed_on_one_side_only_hears_and_is_heard() {
    check(&Plan::new(&[("A", "B")]).listed_on_one_side());
}

#[test]
fn an_update_goes_round_a_triangle_no_more_than_once_a_link() {
    let mut herd = Plan::new(TRIANGLE).conf("[links]\ntimeout = \"60s\"").start();
    herd.await_links();
    herd["A"].report("kiwi", "+1-2", "3");
    herd.agree_on("kiwi", |_| true);
    for name in ["A", "B", "C"] {
        assert!(herd.terminate(name).success());
    }
    // Six ways, each of which may carry it live and, when the link has only just come up, among
    // all records too.
    let sent: usize =
        herd.servers().iter().map(|server| server.logged(&[" to ", " UPDATE kiwi "])).sum();
    assert!((2..=12).contains(&sent), "{sent}");
}
