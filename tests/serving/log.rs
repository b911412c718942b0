//! What the log says of connections and exchanges.

use std::net::SocketAddr;

use crate::embedded::{Embedded, MODES};
use crate::talk::{Talk, eventually};

/// `2026-11-22T11:46:28.123456Z INFO  ` with digits as `0`.
const STAMP: &str = "0000-00-00T00:00:00.000000Z INFO  ";

/// The texts of the lines of a client, without their stamps, which are checked.
#[track_caller]
fn lines_of(log: &str, peer: SocketAddr) -> Vec<String> {
    let peer = peer.to_string();
    let of_peer = log.lines().filter(|line| line.contains(&peer));
    of_peer
        .map(|line| {
            let (stamp, text) = line.split_at(STAMP.len());
            let digits: String =
                stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
            assert_eq!(digits, STAMP, "{line}");
            text.to_owned()
        })
        .collect()
}

#[test]
fn a_connection_is_opened_has_a_line_for_each_exchange_and_is_closed() {
    for mode in MODES {
        let server = Embedded::start(&mode.pool(""));
        let mut talk = Talk::to(server.address);
        let peer = talk.stream.local_addr().unwrap();
        let at = talk.ask("IAMAT kiwi +34.068930-118.445127 1479413884.392014450");
        talk.ask(" hello ");
        talk.ask("WHATSAT kiwi 10 5");
        let places = talk.places().len();
        talk.ask("WHATSAT kiwi 10 0");
        let none = talk.places().len();
        talk.end();
        assert_eq!(talk.rest(), "");
        let expected = [
            format!("connection {peer} opened"),
            format!("{peer} IAMAT kiwi +34.068930-118.445127 1479413884.392014450 -> {at}"),
            format!("{peer}  hello  -> ?  hello "),
            format!("{peer} WHATSAT kiwi 10 5 -> {at} + {places} bytes of places"),
            format!("{peer} WHATSAT kiwi 10 0 -> {at} + {none} bytes of places"),
            format!("connection {peer} closed: the client ended it"),
        ];
        assert_eq!(lines_of(&server.stop(), peer), expected, "{mode:?}");
    }
}

#[test]
fn at_debug_places_are_logged_whole() {
    let server = Embedded::start_logging("", "level = \"debug\"");
    let mut talk = Talk::to(server.address);
    talk.report("kiwi");
    let at = talk.ask("WHATSAT kiwi 10 5");
    let places = talk.places().replace('\\', r"\\");
    drop(talk);
    let log = server.stop();
    assert!(places.is_ascii(), "this test does not escape");
    assert!(log.contains(&format!(" WHATSAT kiwi 10 5 -> {at} {places}\n")), "{log}");
}

#[test]
fn no_client_forges_a_line() {
    for mode in MODES {
        let server = Embedded::start(&mode.pool(""));
        let mut talk = Talk::to(server.address);
        let forged = "2026-11-22T11:46:28.123456Z ERROR forged";
        let mut sent =
            format!("a\r{forged}\x1b[2K\\n{forged}\t\0\x7f\x0b\x0c\u{2028}").into_bytes();
        sent.extend_from_slice(b"\xff\xfe\n");
        sent.extend_from_slice(format!("IAMAT \x1b]0;\u{85}{forged}\r +1+1 1\n").as_bytes());
        sent.extend_from_slice(b"IAMAT \x1b\x07\xff\x85 +1+1 1\n");
        talk.send(&sent);
        talk.end();
        talk.rest_or_reset();
        let log = server.stop();
        assert!(log.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{log}");
        assert!(log.lines().all(|line| !line.starts_with(forged)), "{log}");
        let escaped = r"a\r2026-11-22T11:46:28.123456Z ERROR forged\x1b[2K\\n2026-11-22T11:46:28.123456Z ERROR forged\t\x00\x7f\x0b\x0c\xe2\x80\xa8\xff\xfe";
        assert!(log.contains(&format!(" {escaped} -> ? {escaped}\n")), "{log}");
        assert!(log.contains(r" IAMAT \x1b\x07\xff\x85 +1+1 1 -> AT Ball "), "{log}");
    }
}

#[test]
fn without_traffic_only_connections_and_the_server_itself_are_logged() {
    for mode in MODES {
        let server = Embedded::start_logging(&mode.pool(""), "traffic = false");
        let mut talk = Talk::to(server.address);
        let peer = talk.stream.local_addr().unwrap();
        talk.report("kiwi");
        talk.ask("x");
        talk.end();
        assert_eq!(talk.rest(), "");
        let log = server.stop();
        let expected = [
            format!("connection {peer} opened"),
            format!("connection {peer} closed: the client ended it"),
        ];
        assert_eq!(lines_of(&log, peer), expected, "{mode:?}");
        assert!(!log.contains("kiwi"), "{log}");
    }
}

#[test]
fn a_log_over_max_size_is_rotated_and_only_so_many_are_kept() {
    let log = "max_size = \"4KiB\"\nkeep = 2\n";
    let server = Embedded::start_logging("", log);
    let mut talk = Talk::to(server.address);
    for number in 0..2000 {
        talk.ask(&format!("number {number}"));
    }
    drop(talk);
    let directory = server.log_path().parent().unwrap().to_owned();
    eventually("it is written", || {
        // Between two files there is none of that name.
        let log = std::fs::read_to_string(server.log_path()).unwrap_or_default();
        log.contains(" closed: ")
    });
    let files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 3, "the current one and two: {files:?}");
    assert!(files.iter().all(|file| file.metadata().unwrap().len() <= 4096), "{files:?}");
}

#[test]
fn a_full_disk_does_not_stop_serving() {
    for mode in MODES {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        std::fs::create_dir(&logs).unwrap();
        std::os::unix::fs::symlink("/dev/full", logs.join("Ball.log")).unwrap();
        let server = Embedded::start_in(directory, &mode.pool(""), "");
        let mut talk = Talk::to(server.address);
        for _ in 0..1000 {
            talk.report("kiwi");
        }
        Talk::to(server.address).report("newcomer");
    }
}
