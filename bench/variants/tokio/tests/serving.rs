//! The process: how it starts and ends, what it logs, and what one client costs the others.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Output;
use std::time::Duration;

use support::{Conf, LIMIT, command};

fn connect(address: std::net::SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

#[track_caller]
fn refused(name: &str, conf: &Conf, code: i32, said: &str) {
    let Output { status, stdout, stderr } = command(name, &conf.path()).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(said), "{stderr}");
    assert!(stdout.is_empty());
}

#[test]
fn it_ends_well_on_a_signal_and_with_its_input_and_its_log_is_whole() {
    let conf = Conf::alone("");
    let server = conf.start("Ball");
    server.report("kiwi", "+34.068930-118.445127");
    assert!(server.terminate().success());
    assert!(conf.log("Ball").contains(" IAMAT kiwi +34.068930-118.445127 "));

    let server = conf.start("Ball");
    server.report("plum", "+1+1");
    assert!(server.close_its_input().success());
    assert!(conf.log("Ball").contains(" IAMAT plum +1+1 "));
}

#[test]
fn the_log_has_each_connection_and_each_exchange() {
    let conf = Conf::alone("");
    let server = conf.start("Ball");
    let mut stream = connect(server.address);
    let peer = stream.local_addr().unwrap();
    stream.write_all(b"IAMAT kiwi +1-2 3\nWHATSAT kiwi 10 0\nwhat\t\\\x01\n").unwrap();
    stream.write_all(b"UPDATE plum Welsh 4 +5-6 +0.5 Welsh\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).unwrap();
    assert!(server.terminate().success());
    let at = replies.lines().next().unwrap();
    let log = conf.log("Ball");
    let lines: Vec<_> =
        log.lines().map(|line| line.split_once(" INFO  ").unwrap().1.to_owned()).collect();
    let places = r#"{"html_attributions": [], "results": [], "status": "ZERO_RESULTS"}"#.len();
    assert_eq!(
        lines[..6],
        [
            format!("connection {peer} opened"),
            format!("{peer} IAMAT kiwi +1-2 3 -> {at}"),
            format!("{peer} WHATSAT kiwi 10 0 -> {at} + {places} bytes of places"),
            format!(r"{peer} what\t\\\x01 -> ? what\t\\\x01"),
            format!("{peer} UPDATE plum Welsh 4 +5-6 +0.5 Welsh"),
            format!("connection {peer} closed: the client ended it"),
        ],
        "{log}"
    );
}

#[test]
fn without_traffic_the_log_has_neither_connections_nor_exchanges() {
    let conf = Conf::alone("traffic = false");
    let server = conf.start("Ball");
    server.report("kiwi", "+1-2");
    assert!(server.terminate().success());
    let log = conf.log("Ball");
    assert!(!log.contains("kiwi") && !log.contains("connection"), "{log}");
}

#[test]
fn clients_over_max_connections_are_told_so_until_there_is_room() {
    let conf = Conf::alone("[pool]\nmax_connections = 2\n");
    let server = conf.start("Ball");
    // Each is answered, so each is in.
    let mut held = [server.client(), server.client()];
    for client in &mut held {
        client.report_now("kiwi", "+1+1").unwrap().unwrap();
    }
    let mut said = String::new();
    connect(server.address).read_to_string(&mut said).unwrap();
    assert_eq!(said, "? too many connections\n");
    drop(held);
    support::eventually("there is room again", || {
        server.client().report_now("kiwi", "+1+1").is_ok_and(|said| said.is_ok())
    });
}

#[test]
fn a_client_that_takes_no_replies_is_not_read_on_and_costs_the_others_nothing() {
    let conf = Conf::alone("traffic = false");
    let server = conf.start("Ball");
    let mut greedy = connect(server.address);
    greedy.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let lines = b"what is this\n".repeat(1000);
    // Socket buffers on both ways take some megabytes, and the server a turn; a server that reads on takes all.
    let mut sent = 0;
    let refused = loop {
        // On from where a write that was cut short ended: within a line, that is.
        match greedy.write(&lines[sent % lines.len()..]) {
            Ok(length) if sent < 1 << 30 => sent += length,
            Ok(_) => panic!("the server took {sent} bytes"),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{refused}");
    server.report("kiwi", "+1+1");

    // It gets all of them once it takes them.
    greedy.shutdown(Shutdown::Write).unwrap();
    let (mut replies, mut buffer) = (0, vec![0; 1 << 16]);
    loop {
        match greedy.read(&mut buffer).unwrap() {
            0 => break,
            length => replies += buffer[..length].iter().filter(|&&byte| byte == b'\n').count(),
        }
    }
    let line = b"what is this\n".len();
    assert_eq!(replies, sent.div_ceil(line));
}

#[test]
fn what_is_wrong_at_the_start_is_said_and_the_exit_code_is_of_its_kind() {
    refused("Nobody", &Conf::alone(""), 1, "Nobody");
    refused("Ball", &Conf::alone("[pool]\nworkers = 0\n"), 2, "workers");
    let keyless = "[places]\nprovider = \"google-legacy\"\nbase_url = \"http://127.0.0.1:1\"\n\
                   key_env = \"HERD_TOKIO_NO_SUCH_KEY\"\n";
    refused("Ball", &Conf::alone(keyless), 2, "HERD_TOKIO_NO_SUCH_KEY");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let conf = Conf::alone("");
    let address = taken.local_addr().unwrap().to_string();
    let text = std::fs::read_to_string(conf.path()).unwrap().replace("127.0.0.1:0", &address);
    std::fs::write(conf.path(), text).unwrap();
    refused("Ball", &conf, 3, &address);
}
