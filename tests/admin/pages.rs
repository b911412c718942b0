//! The pages of one server.

use std::collections::BTreeSet;
use std::thread;

use serde_json::Value;

use crate::ask::{get, page, send, watched};
use crate::embedded::{Embedded, Mode, NAME, in_each_mode};
use crate::exposition::Scrape;
use crate::places_service::{Gate, NOTHING, PlacesService, ok};
use crate::talk::{Talk, eventually};

#[track_caller]
pub(crate) fn status(server: std::net::SocketAddr) -> Value {
    serde_json::from_str(&page(server, "/status")).unwrap()
}

#[track_caller]
pub(crate) fn has_keys(value: &Value, keys: &[&str]) {
    let found: BTreeSet<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, keys.iter().copied().collect());
}

fn metrics(server: std::net::SocketAddr) -> Scrape {
    Scrape::parse(&page(server, "/metrics"))
}

#[track_caller]
fn is_number(found: f64, wanted: usize) {
    assert!((found - wanted as f64).abs() < 0.5, "{found} where {wanted} is right");
}

#[test]
fn the_status_has_the_keys_of_the_contract_and_says_what_is_there() {
    in_each_mode(|mode| {
        let (server, admin) = watched(&mode.pool(""));
        let empty = status(admin);
        let keys = [
            "name",
            "version",
            "uptime_seconds",
            "records",
            "digest",
            "links",
            "connections",
            "pool",
            "places",
        ];
        has_keys(&empty, &keys);
        has_keys(
            &empty["connections"],
            &["open", "served", "waiting_for_places", "waiting_for_worker"],
        );
        has_keys(&empty["pool"], &["mode", "lots", "workers", "busy", "queued"]);
        has_keys(&empty["places"], &["calls", "queued"]);
        assert_eq!((&empty["name"], &empty["links"]), (&NAME.into(), &Value::Array(Vec::new())));
        assert_eq!(empty["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(empty["digest"], "0".repeat(32));
        assert_eq!(empty["pool"]["mode"], format!("{mode:?}").to_lowercase());

        let mut talk = Talk::to(server.address);
        talk.report("kiwi");
        talk.report("plum");
        let filled = status(admin);
        assert_eq!(filled["records"], 2);
        assert_ne!(filled["digest"], empty["digest"]);
        assert_eq!(filled["connections"]["open"], 1);
        assert_eq!(filled["connections"]["served"], 1);
        eventually("it gets older", || {
            status(admin)["uptime_seconds"].as_f64() > empty["uptime_seconds"].as_f64()
        });
        drop(talk);
        eventually("it is closed", || status(admin)["connections"]["open"] == 0);
    });
}

#[test]
fn a_path_that_is_not_there_and_a_method_that_is_not_get_are_told_so() {
    let (_server, admin) = watched("");
    for path in ["/", "/statusx", "/status/", "//status", "*"] {
        let answer = get(admin, path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("/healthz, /readyz, /status and /metrics"), "{answer:?}");
    }
    for method in ["POST", "HEAD", "PUT", "OPTIONS", "get"] {
        let answer = send(admin, format!("{method} /status HTTP/1.1\r\n\r\n").as_bytes());
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("\r\nAllow: GET"), "{answer:?}");
    }
    assert_eq!(page(admin, "/healthz?verbose=1"), "ok\n");
    assert_eq!(send(admin, b"GET /healthz HTTP/1.0\n\n").body, "ok\n");
}

#[test]
fn a_server_without_neighbors_is_ready_at_once_and_no_longer_when_it_stops() {
    let (server, admin) = watched("");
    assert_eq!(page(admin, "/readyz"), "ready\n");
    // It does not close when the server does, so the stop takes its time.
    let mut idle = Talk::to(server.address);
    idle.report("kiwi");
    let stop = thread::spawn(move || server.stop());
    let mut said = get(admin, "/readyz");
    eventually("it is not ready", || {
        said = get(admin, "/readyz");
        said.status == 503
    });
    assert_eq!(said.body, "not ready: the server stops\n");
    assert_eq!(page(admin, "/healthz"), "ok\n");
    drop(idle);
    stop.join().unwrap();
    assert!(std::net::TcpStream::connect(admin).is_err());
}

#[test]
fn metrics_are_well_formed_count_what_was_done_and_name_no_client() {
    in_each_mode(|mode| {
        let (server, admin) = watched(&mode.pool(""));
        let before = metrics(admin);
        is_number(before.value("herd_records"), 0);
        let mut talk = Talk::to(server.address);
        for client in ["a-secret-client", "another-secret-client"] {
            talk.report(client);
        }
        talk.ask("WHATSAT a-secret-client 10 0");
        talk.places();
        talk.ask("nonsense-that-is-secret");
        let text = page(admin, "/metrics");
        assert!(!text.contains("secret"), "{text}");
        assert!(!page(admin, "/status").contains("secret"));
        let after = Scrape::parse(&text);
        for (sample, wanted) in [
            ("herd_records", 2),
            ("herd_connections{state=\"served\"}", 1),
            ("herd_connections_accepted_total", 1),
            ("herd_commands_total{command=\"IAMAT\"}", 2),
            ("herd_commands_total{command=\"WHATSAT\"}", 1),
            ("herd_commands_invalid_total", 1),
            ("herd_log_lines_dropped_total", 0),
        ] {
            is_number(after.value(sample), wanted);
        }
        assert!(after.value("herd_uptime_seconds") > before.value("herd_uptime_seconds"));
        // The admin's own two are among them, the one that answers and the one that accepts.
        assert!(after.value("herd_threads") >= 2.0);
        let labels = ["command", "limit", "name", "state", "version"];
        assert_eq!(after.labels(), labels.into_iter().collect());
        let type_line = get(admin, "/metrics").head;
        assert!(type_line.contains("\r\nContent-Type: text/plain; version=0.0.4"), "{type_line}");
    });
}

#[test]
fn connections_that_wait_for_places_are_told_from_those_that_are_served() {
    in_each_mode(|mode| {
        let (gate, keeper) = Gate::new();
        let service = PlacesService::start(move |_| {
            gate.pass();
            ok(NOTHING)
        });
        let places = format!(
            "[places]\nprovider = \"overpass\"\nbase_url = \"{}\"\ntimeout = \"60s\"\nworkers = 1\n",
            service.url()
        );
        let (server, admin) = watched(&(mode.pool("") + &places));
        let mut waiting: Vec<_> = (1..=3).map(|_| Talk::to(server.address)).collect();
        for (meters, talk) in waiting.iter_mut().enumerate() {
            talk.report("kiwi");
            talk.send(format!("WHATSAT kiwi 0.00{} 5\n", meters + 1));
        }
        let served = Talk::to(server.address);
        eventually("one calls, and two wait", || {
            let status = status(admin);
            status["places"] == serde_json::json!({"calls": 1, "queued": 2})
                && status["connections"]
                    == serde_json::json!({
                        "open": 4, "served": 1, "waiting_for_places": 3, "waiting_for_worker": 0
                    })
        });
        is_number(metrics(admin).value("herd_places_queued"), 2);
        drop(keeper);
        eventually("all are served", || status(admin)["connections"]["waiting_for_places"] == 0);
        drop((waiting, served));
    });
}

#[test]
fn pinned_connections_that_no_worker_is_free_for_are_told() {
    let (server, admin) = watched("[pool]\nmode = \"pinned\"\nworkers = 1\n");
    let mut first = Talk::to(server.address);
    first.report("kiwi");
    let waiting = [Talk::to(server.address), Talk::to(server.address)];
    eventually("two wait", || {
        let status = status(admin);
        status["connections"]["waiting_for_worker"] == 2
            && status["connections"]["open"] == 3
            && status["pool"]
                == serde_json::json!({
                    "mode": "pinned", "lots": 0, "workers": 1, "busy": 1, "queued": 2
                })
    });
    drop((first, waiting));
}

#[test]
fn who_watches_is_answered_when_no_client_gets_in() {
    in_each_mode(|mode| {
        let (server, admin) = watched(&mode.pool("max_connections = 2\n"));
        let mut held: Vec<_> = (0..2).map(|_| Talk::to(server.address)).collect();
        held.iter_mut().for_each(|talk| talk.report("kiwi"));
        let mut refused = Talk::to(server.address);
        assert_eq!(refused.line(), "? too many connections");
        let limit = "herd_connections_refused_total{limit=\"max_connections\"}";
        eventually("it is counted", || metrics(admin).value(limit) > 0.5);
        assert_eq!(status(admin)["connections"]["open"], 2);
    });
}

#[test]
fn many_scrapes_at_a_time_are_all_answered_while_clients_are_too() {
    let (server, admin) = watched("");
    thread::scope(|scope| {
        let address = server.address;
        scope.spawn(move || {
            let mut talk = Talk::to(address);
            for number in 0..2000 {
                talk.report(&format!("client{number}"));
            }
        });
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..40 {
                    metrics(admin);
                    status(admin);
                }
            });
        }
    });
    assert_eq!(status(admin)["records"], 2000);
}

#[test]
fn the_metrics_of_a_server_with_a_store_say_what_is_not_on_disk_yet() {
    let (_without, admin) = watched("");
    assert!(!page(admin, "/metrics").contains("herd_store_unsaved_records"));
    let data = tempfile::tempdir().unwrap();
    let (server, admin) =
        watched(&format!("[data]\ndir = '{}'\ninterval = \"10ms\"\n", data.path().display()));
    Talk::to(server.address).report("kiwi");
    eventually("it is on disk", || {
        let scrape = metrics(admin);
        scrape.value("herd_records_stored_total") > 0.5
            && scrape.value("herd_store_unsaved_records") < 0.5
    });
    let scrape = metrics(admin);
    is_number(scrape.value("herd_store_lag_seconds"), 0);
    is_number(scrape.value("herd_store_failing"), 0);
}

#[test]
fn without_an_admin_in_the_conf_there_is_none() {
    let server = Embedded::start(&Mode::Lots.pool(""));
    assert_eq!(server.admin, None);
    assert!(!server.stop().contains("admin"));
}
