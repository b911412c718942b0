//! Services that fail, in every way: the client gets its AT line all the same, and Google's word
//! for what happened.

use std::io::Write;
use std::net::TcpListener;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::asking::{PROVIDERS, ask, failure, nothing};
use crate::places_service::{Gate, PlacesService, answer, ok};

/// What every provider says of such bytes.
#[track_caller]
fn check(bytes: impl Into<Vec<u8>>, status: &str, message: &str) {
    let bytes = bytes.into();
    for provider in PROVIDERS {
        let bytes = bytes.clone();
        let service = PlacesService::start(move |_| bytes.clone());
        check_url(provider, &service.url(), "", status, message);
        assert_eq!(service.count(), 1, "{provider}: nothing is tried twice");
    }
}

#[track_caller]
fn check_url(provider: &str, url: &str, keys: &str, status: &str, message: &str) {
    let (said, why) = failure(&ask(provider, url, keys));
    assert_eq!(said, status, "{provider}: {why}");
    assert!(why.contains(message), "{provider}: {why}");
    let address = url.split("//").nth(1).unwrap();
    assert!(!why.contains(address), "{provider}: clients are not told where it is: {why}");
}

#[test]
fn each_status_has_googles_word() {
    for (status, word, message) in [
        ("400 Bad Request", "INVALID_REQUEST", "did not understand"),
        ("401 Unauthorized", "REQUEST_DENIED", "is its API key right?"),
        ("403 Forbidden", "REQUEST_DENIED", "is its API key right?"),
        ("404 Not Found", "UNKNOWN_ERROR", "(HTTP 404)"),
        ("429 Too Many Requests", "OVER_QUERY_LIMIT", "try again later"),
        ("500 Internal Server Error", "UNKNOWN_ERROR", "(HTTP 500)"),
        ("503 Service Unavailable", "UNKNOWN_ERROR", "(HTTP 503)"),
        ("204 No Content", "UNKNOWN_ERROR", "(HTTP 204)"),
    ] {
        check(answer(status, "", if status.starts_with('2') { "" } else { "{}" }), word, message);
    }
}

#[test]
fn a_redirect_is_not_followed() {
    for provider in PROVIDERS {
        let elsewhere = PlacesService::start(move |_| ok(nothing(provider)));
        let location = format!("Location: {}/x\r\n", elsewhere.url());
        for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
            let bytes = answer(status, &location, "");
            let service = PlacesService::start(move |_| bytes.clone());
            check_url(provider, &service.url(), "", "UNKNOWN_ERROR", "has moved");
        }
        assert_eq!(elsewhere.count(), 0, "{provider}");
    }
}

#[test]
fn a_service_that_hangs_is_given_up_after_the_timeout() {
    for provider in PROVIDERS {
        let (gate, _keeper) = Gate::new();
        let service = PlacesService::start(move |_| {
            gate.pass();
            Vec::new()
        });
        let silent = ask(provider, &service.url(), "timeout = \"300ms\"");
        for json in [silent, ask_held(provider)] {
            let (status, message) = failure(&json);
            assert_eq!(status, "UNKNOWN_ERROR");
            assert!(message.contains("did not answer"), "{provider}: {message}");
        }
    }
}

/// A service that sends the start of its answer and then keeps the connection open.
fn ask_held(provider: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let service = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").unwrap();
        let _ = held.recv();
    });
    let json = ask(provider, &format!("http://{address}"), "timeout = \"300ms\"");
    drop(release);
    service.join().unwrap();
    json
}

#[test]
fn a_service_that_is_not_there_is_said_so() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for provider in PROVIDERS {
        let url = format!("http://{address}");
        check_url(provider, &url, "", "UNKNOWN_ERROR", "refused the connection");
    }
}

#[test]
fn an_answer_that_is_cut_off_is_a_failure() {
    let head = "HTTP/1.1 200 OK\r\n";
    for cut in [
        String::new(),
        "HTTP/1.1 200".to_owned(),
        format!("{head}Content-Le"),
        format!("{head}Content-Length: 1000\r\n\r\n{{\"results\": ["),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n400\r\n{{\"results\": ["),
    ] {
        for provider in PROVIDERS {
            let bytes = cut.clone().into_bytes();
            let service = PlacesService::start(move |_| bytes.clone());
            let (status, message) = failure(&ask(provider, &service.url(), ""));
            assert_eq!(status, "UNKNOWN_ERROR", "{provider} {cut}");
            assert!(message.starts_with("the places service"), "{provider} {cut}: {message}");
        }
    }
}

#[test]
fn what_is_no_http_is_said_so() {
    check("SSH-2.0-OpenSSH_9.2\r\n\r\n", "UNKNOWN_ERROR", "does not speak HTTP as it should");
}

#[test]
fn what_is_no_answer_of_the_service_is_a_failure() {
    for body in [
        "",
        "\n",
        "<html>quota</html>",
        "[]",
        "null",
        "{",
        r#"{"places": {}, "results": {}, "elements": {}, "status": "OK"}"#,
        r#"{"places": [{"id": 1}], "results": [], "elements": [{"id": "x"}], "status": 1}"#,
        r#"{"places": [{"id": "x"}], "results": [], "elements": [{"type": "node"}]}"#,
    ] {
        check(ok(body), "UNKNOWN_ERROR", "the places service answered with");
    }
}

#[test]
fn an_answer_over_4_mib_is_a_failure_however_it_is_packed() {
    let valid = |bytes: usize| {
        let filler = " ".repeat(bytes);
        format!(r#"{{"results": [],{filler} "status": "OK", "elements": [], "places": []}}"#)
    };
    let long = valid(4 << 20);
    check(ok(&long), "UNKNOWN_ERROR", "more than 4 MiB");
    // A kilobyte for each megabyte.
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        packed.write_all(&[b' '; 1 << 20]).unwrap();
    }
    packed.write_all(valid(0).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 100_000);
    check(
        answer("200 OK", "Content-Encoding: gzip\r\n", packed),
        "UNKNOWN_ERROR",
        "more than 4 MiB",
    );
    // What is shorter goes through.
    for provider in PROVIDERS {
        let body = valid(3 << 20);
        let service = PlacesService::start(move |_| ok(&body));
        let json = ask(provider, &service.url(), "");
        assert!(!json.contains("UNKNOWN_ERROR"), "{provider}: {:.200}", json);
    }
}

#[test]
fn an_answer_that_is_packed_wrongly_is_a_failure() {
    for bytes in [&b"{}"[..], b"\x1f\x8b\x08\0\0\0\0\0\0\xff not deflated"] {
        let bytes = answer("200 OK", "Content-Encoding: gzip\r\n", bytes);
        check(bytes, "UNKNOWN_ERROR", "the places service");
    }
}

#[test]
fn a_failure_is_the_failure_of_one_look_up() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let calls = AtomicUsize::new(0);
    let service = PlacesService::start(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => answer("500 Oh", "", ""),
        _ => ok(nothing("overpass")),
    });
    let directory = tempfile::tempdir().unwrap();
    let sections = crate::asking::places(&directory, "overpass", &service.url(), "");
    let server = crate::embedded::Embedded::start_in(directory, &sections, "");
    let mut talk = crate::talk::Talk::to(server.address);
    talk.report("a");
    for expected in ["UNKNOWN_ERROR", "ZERO_RESULTS"] {
        assert!(talk.ask("WHATSAT a 1 1").starts_with("AT "));
        assert!(talk.places().contains(expected));
    }
}
