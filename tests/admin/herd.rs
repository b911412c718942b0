//! What servers of a real herd say of each other.

use std::time::Duration;

use ::herd::admin::Status;
use ::herd::admin::status::LinkStatus;
use ::herd::client::{StatusError, status};
use rustix::process::Signal;

use crate::exposition::Scrape;
use crate::pages;
use crate::servers::{Herd, LIMIT, Plan, eventually};

#[track_caller]
pub(crate) fn link<'a>(status: &'a Status, neighbor: &str) -> &'a LinkStatus {
    status.links.iter().find(|link| link.neighbor == neighbor).unwrap()
}

/// Waits until all servers have so many records and the same digest.
#[track_caller]
pub(crate) fn are_equal(herd: &Herd, records: usize) -> String {
    let mut digests = Vec::new();
    eventually("all servers hold the same", || {
        let seen: Vec<_> = herd.servers().iter().map(|server| server.status()).collect();
        digests = seen.iter().map(|status| status.digest.clone()).collect();
        seen.iter().all(|status| status.records == records)
            && digests.iter().all(|d| *d == digests[0])
    });
    digests.swap_remove(0)
}

#[test]
fn links_are_shown_with_every_key_while_they_are_up_and_down_and_up_again() {
    let mut herd = Plan::new(&[("A", "B")]).start();
    herd.await_links();
    herd["A"].report("kiwi", "+1+1", "1");
    are_equal(&herd, 1);
    let json = pages::status(herd["A"].admin);
    let keys = [
        "neighbor",
        "state",
        "since",
        "last_error",
        "outbox",
        "lag_seconds",
        "sent",
        "received",
        "last_sync",
    ];
    pages::has_keys(&json["links"][0], &keys);
    let since = json["links"][0]["since"].as_str().unwrap();
    assert!(humantime::parse_rfc3339(since).is_ok() && since.ends_with('Z'), "{since}");
    let (a, b) = (herd["A"].status(), herd["B"].status());
    let up = link(&a, "B").clone();
    assert_eq!((up.state.as_str(), up.outbox, up.lag), ("up", 0, Duration::ZERO));
    assert_eq!(up.sent, link(&b, "A").received);
    assert!(up.sent >= 1, "{up:?}");

    herd.kill("B");
    eventually("the link is down", || link(&herd["A"].status(), "B").state == "down");
    let down = link(&herd["A"].status(), "B").clone();
    assert!(down.last_error.is_some() && down.since > up.since, "{down:?}");
    let metrics = Scrape::parse(&crate::ask::page(herd["A"].admin, "/metrics"));
    assert!(metrics.value("herd_link_up{neighbor=\"B\"}") < 0.5);
    assert_eq!(metrics.values_of("neighbor"), ["B"].into());

    herd.start("B");
    eventually("the link is up again, and synced", || {
        let link = link(&herd["A"].status(), "B").clone();
        link.state == "up" && link.last_sync.is_some_and(|at| at > down.since)
    });
    assert!(link(&herd["A"].status(), "B").since > down.since);
    let metrics = Scrape::parse(&crate::ask::page(herd["A"].admin, "/metrics"));
    assert!(metrics.value("herd_link_up{neighbor=\"B\"}") > 0.5);
}

#[test]
fn digests_differ_while_records_do_and_are_equal_when_they_are() {
    let mut herd = Plan::new(&[("A", "B"), ("B", "C")]).start();
    herd.await_links();
    for client in 0..50 {
        herd["A"].report(&format!("client{client}"), "+1+1", "1");
    }
    let before = are_equal(&herd, 50);
    herd.kill("B");
    herd["A"].report("kiwi", "+1+1", "1");
    herd["C"].report("client7", "+2+2", "2");
    let (a, c) = (herd["A"].status(), herd["C"].status());
    // The same number of records with one that differs makes another digest too.
    assert_eq!((a.records, c.records), (51, 50));
    assert!(a.digest != before && c.digest != before && a.digest != c.digest);
    herd.start("B");
    let after = are_equal(&herd, 51);
    assert!(after != before && after != a.digest && after != c.digest);
}

#[test]
fn asking_says_why_there_is_no_status() {
    let mut herd = Plan::new(&[("A", "B")]).start();
    let clients_port = herd["A"].addr.to_string();
    let foreign = status(&clients_port, LIMIT).unwrap_err();
    assert!(matches!(foreign, StatusError::Foreign(..)), "{foreign}");
    herd["B"].signal(Signal::STOP);
    let late = status(&herd["B"].admin.to_string(), Duration::from_millis(200)).unwrap_err();
    assert!(matches!(late, StatusError::Timeout(..)), "{late}");
    herd["B"].signal(Signal::CONT);
    let admin = herd["A"].admin.to_string();
    herd.kill("A");
    let refused = status(&admin, LIMIT).unwrap_err();
    assert_eq!(refused.to_string(), format!("nobody listens on {admin}"));
}

#[test]
fn a_server_is_ready_when_a_neighbor_has_synced_with_it() {
    let herd = Plan::new(&[("A", "B")]).start();
    let early = crate::ask::get(herd["A"].admin, "/readyz");
    assert!([200, 503].contains(&early.status), "{early:?}");
    eventually("both are ready", || {
        herd.servers().iter().all(|server| crate::ask::get(server.admin, "/readyz").status == 200)
    });
    let seen = herd["A"].status();
    // Else it may be ready because it has waited for long enough.
    if seen.uptime < Duration::from_secs(10) {
        assert!(link(&seen, "B").last_sync.is_some(), "{seen:?}");
    }
}
