//! Who asks an admin address badly is told so, and harms nobody.

use std::io::Write as _;
use std::net::Shutdown;

use crate::ask::{Answer, answer, connect, page, send, watched};
use crate::exposition::Scrape;
use crate::talk::eventually;

#[track_caller]
fn refused(said: &Answer, status: u16, words: &str) {
    assert_eq!(said.status, status, "{said:?}");
    assert!(said.body.contains(words) && said.body.ends_with('\n'), "{said:?}");
}

#[test]
fn a_request_that_is_too_large_or_no_request_is_refused_with_the_reason() {
    let (_server, admin) = watched("");
    let with =
        |headers: &str| send(admin, format!("GET /healthz HTTP/1.1\r\n{headers}\r\n").as_bytes());
    refused(&with(&format!("X: {}\r\n", "x".repeat(8192))), 431, "over 8 KiB");
    refused(&with(&"X: y\r\n".repeat(65)), 431, "over 64 header lines");
    assert_eq!(with(&"X: y\r\n".repeat(64)).status, 200);
    // The line of the request, this header, and the empty line are 8 KiB to the byte.
    assert_eq!(with(&format!("X: {}\r\n", "x".repeat(8192 - 23 - 2 - 5))).status, 200);
    refused(&send(admin, b"\x16\x03\x01\x02\x00 this is TLS\r\n\r\n"), 400, "no HTTP request");
    refused(&send(admin, b"IAMAT kiwi +1+1 1\n\n"), 400, "no HTTP request");
    refused(&send(admin, &[b'x'; 9000]), 431, "over 8 KiB");
    assert_eq!(page(admin, "/healthz"), "ok\n");
}

#[test]
fn what_comes_behind_a_request_does_not_lose_its_answer() {
    let (_server, admin) = watched("");
    let mut stream = connect(admin);
    stream.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").unwrap();
    stream.write_all(&[b'x'; 30_000]).unwrap();
    assert_eq!(answer(stream).body, "ok\n");
}

#[test]
fn a_request_that_does_not_come_is_ended_and_dripping_does_not_extend_its_time() {
    let (_server, admin) = watched("");
    let silent = connect(admin);
    let mut dripping = connect(admin);
    let mut begun = connect(admin);
    begun.write_all(b"GET /hea").unwrap();
    begun.shutdown(Shutdown::Write).unwrap();
    dripping.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
    // Until the server has had enough of it.
    eventually("dripping ends", || {
        let mut answered = [0];
        let _ = dripping.write_all(b"X: y\r\n");
        dripping.set_nonblocking(true).unwrap();
        let has_answer = dripping.peek(&mut answered).is_ok();
        dripping.set_nonblocking(false).unwrap();
        has_answer
    });
    let said = answer(dripping);
    // Slow machines drip less than 64 lines until then.
    assert!([408, 431].contains(&said.status), "{said:?}");
    refused(&answer(silent), 408, "within 2 seconds");
    let mut nothing = String::new();
    std::io::Read::read_to_string(&mut begun, &mut nothing).unwrap();
    assert_eq!(nothing, "");
    assert_eq!(page(admin, "/healthz"), "ok\n");
}

#[test]
fn connections_that_do_not_ask_keep_nobody_out() {
    let (server, admin) = watched("");
    let held: Vec<_> = (0..200).map(|_| connect(admin)).collect();
    for _ in 0..5 {
        assert_eq!(page(admin, "/healthz"), "ok\n");
    }
    let scrape = Scrape::parse(&page(admin, "/metrics"));
    assert!(scrape.value("herd_admin_cut_total") >= 1.0, "{scrape:?}");
    // A place for each of the most that there may be, and the few threads of the server.
    assert!(scrape.value("herd_threads") < 200.0, "{scrape:?}");
    drop(held);
    assert!(server.stop().contains(" admin: 64 connections are open, so the oldest was cut off"));
}

#[test]
fn who_does_not_read_its_answer_keeps_nobody_out() {
    let (_server, admin) = watched("");
    let held: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = connect(admin);
            stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
            stream
        })
        .collect();
    assert_eq!(page(admin, "/healthz"), "ok\n");
    drop(held);
}
