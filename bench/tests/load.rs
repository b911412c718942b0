//! `herd-bench load` against a server in this process that answers as a herd does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// What the server was asked, over all connections.
#[derive(Default)]
struct Asked {
    connections: AtomicU64,
    reports: AtomicU64,
    questions: AtomicU64,
}

/// How the server answers the line with this number of its connection; `None` ends the connection.
type Answer = fn(line: &str, number: u64) -> Option<String>;

/// A server with a thread for each connection; they end when the test's process does.
fn serve(answer: Answer) -> (SocketAddr, Arc<Asked>) {
    serve_all_but(u64::MAX, answer)
}

/// As `serve`; the connection with that number is ended at once.
fn serve_all_but(refused: u64, answer: Answer) -> (SocketAddr, Arc<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Asked::default());
    let counted = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let counted = Arc::clone(&counted);
            if counted.connections.fetch_add(1, Ordering::Relaxed) == refused {
                continue;
            }
            thread::spawn(move || converse(&stream.unwrap(), &counted, answer));
        }
    });
    (address, asked)
}

fn converse(mut stream: &TcpStream, asked: &Asked, answer: Answer) {
    for (number, line) in BufReader::new(stream).lines().map_while(Result::ok).enumerate() {
        let is_report = line.starts_with("IAMAT ");
        let kind = if is_report { &asked.reports } else { &asked.questions };
        kind.fetch_add(1, Ordering::Relaxed);
        let Some(reply) = answer(&line, number as u64) else { return };
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn as_a_herd(line: &str, _: u64) -> Option<String> {
    let fields = line.split_once(' ').unwrap().1;
    Some(match line.starts_with("IAMAT ") {
        true => format!("AT Ball +0.000000001 {fields}\n"),
        false => "AT Ball +0.000000001 kiwi +1-2 3\n{\n\"results\": []\n}\n\n".to_string(),
    })
}

fn load(address: SocketAddr, options: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_herd-bench"))
        .args(["load", &address.to_string(), "--json", "--warm-up", "0"])
        .args(options.split(' '))
        .output()
        .unwrap()
}

#[track_caller]
fn line_of(output: &Output, code: i32) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn number(line: &Value, key: &str) -> u64 {
    line[key].as_u64().unwrap_or_else(|| panic!("{key} in {line}"))
}

fn histogram_count(line: &Value) -> u64 {
    histogram(line).len()
}

/// An HdrHistogram in base64 V2.
fn histogram(line: &Value) -> hdrhistogram::Histogram<u64> {
    use base64::Engine as _;
    let text = line["histogram"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let mut read = hdrhistogram::serialization::Deserializer::new();
    read.deserialize(&mut &bytes[..]).unwrap()
}

#[test]
fn every_request_of_a_closed_loop_is_answered_and_counted_once() {
    let (address, asked) = serve(as_a_herd);
    let output = load(address, "--connections 4 --outstanding 8 --duration 0.3");
    let line = line_of(&output, 0);
    let sent = asked.reports.load(Ordering::Relaxed);
    // Every request was due in the measured time; the last replies may come after it.
    assert_eq!(histogram_count(&line), sent);
    let (replies, in_flight) = (number(&line, "replies"), 4 * 8);
    assert!((sent - in_flight..=sent).contains(&replies), "{replies} of {sent}");
    assert_eq!(asked.connections.load(Ordering::Relaxed), 4);
    let (fewest, most) = (number(&line, "fewest_replies"), number(&line, "most_replies"));
    assert!(fewest * 4 <= replies && replies <= most * 4, "{line}");
    for none in ["errors", "missing", "connections_ended", "idle_ended"] {
        assert_eq!(number(&line, none), 0, "{none}");
    }
}

#[test]
fn idle_connections_stay_silent_and_have_to_stay() {
    // One connection asks before the idle ones are opened and one after, to know when they are
    // accepted.
    let (address, asked) = serve(as_a_herd);
    let line = line_of(&load(address, "--connections 1 --idle 200 --duration 0.1"), 0);
    assert_eq!(asked.connections.load(Ordering::Relaxed), 1 + 200 + 1 + 1);
    assert_eq!(asked.reports.load(Ordering::Relaxed), histogram_count(&line) + 2);

    let (address, _) = serve_all_but(100, as_a_herd);
    let line = line_of(&load(address, "--connections 1 --idle 200 --duration 0.1"), 5);
    assert_eq!(number(&line, "idle_ended"), 1);
}

#[test]
fn a_fixed_rate_sends_what_is_due_and_no_more() {
    let (address, asked) = serve(as_a_herd);
    let options = "--connections 3 --outstanding 2 --threads 3 --rate 1000 --duration 0.5";
    let line = line_of(&load(address, options), 0);
    assert_eq!(asked.reports.load(Ordering::Relaxed), 500);
    assert_eq!(histogram_count(&line), 500);
    assert!(line["late_p99_us"].as_f64().is_some_and(|us| us > 0.0), "{line}");
}

#[test]
fn whatsat_reports_every_client_before_it_asks() {
    let (address, asked) = serve(as_a_herd);
    let options = "--work whatsat --clients 50 --connections 2 --outstanding 3 --duration 0.2";
    let line = line_of(&load(address, options), 0);
    assert_eq!(asked.reports.load(Ordering::Relaxed), 50);
    assert_eq!(asked.questions.load(Ordering::Relaxed), histogram_count(&line));
}

#[test]
fn an_echo_is_right_only_if_it_is_expected() {
    let (address, _) = serve(|line, _| Some(format!("{line}\n")));
    line_of(&load(address, "--connections 1 --duration 0.1 --expect echo"), 0);
    let line = line_of(&load(address, "--connections 1 --duration 0.1"), 5);
    assert!(number(&line, "errors") >= number(&line, "replies"), "{line}");
    assert!(line["first_error"].as_str().unwrap().starts_with("\"IAMAT "), "{line}");
}

#[test]
fn a_refusal_marks_the_run() {
    let refuse_once = |line: &str, number| match number {
        3 => Some(format!("? {line}\n")),
        _ => as_a_herd(line, number),
    };
    let (address, _) = serve(refuse_once);
    let output = load(address, "--connections 2 --duration 0.2");
    assert_eq!(number(&line_of(&output, 5), "errors"), 2);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("2 replies wrong; the first: \"? IAMAT "), "{stderr}");
}

#[test]
fn connections_that_end_leave_their_requests_missing() {
    let (address, _) =
        serve(|line, number| if number == 5 { None } else { as_a_herd(line, number) });
    let output = load(address, "--connections 2 --outstanding 4 --duration 0.2");
    let line = line_of(&output, 5);
    assert_eq!(number(&line, "connections_ended"), 2);
    // Five were answered, each of which was followed by another.
    assert_eq!((number(&line, "replies"), number(&line, "missing")), (2 * 5, 2 * 4));
}

#[test]
fn a_server_that_is_not_there_is_said_so() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = load(address, "--duration 0.1");
    assert_eq!(output.status.code(), Some(4));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains(&address.to_string()), "{stderr}");
}

/// The server answers each line of a connection this long after it came.
const DELAY: Duration = Duration::from_millis(40);

#[test]
fn a_known_delay_is_what_the_generator_measures() {
    let (address, _) = serve(|line, number| {
        thread::sleep(DELAY);
        as_a_herd(line, number)
    });
    let line = line_of(&load(address, "--connections 5 --duration 0.5"), 0);
    // No reply is sooner than the delay, so none of 5 connections can have more than one each delay:
    // whatever the machine does, latencies are not less and replies not more.
    let most = 5 * (500 / DELAY.as_millis() as u64 + 1);
    let replies = number(&line, "replies");
    assert!((1..=most).contains(&replies), "{replies} of at most {most}");
    let p50_us = line["p50_us"].as_f64().unwrap();
    // A histogram keeps three digits.
    assert!(p50_us >= DELAY.as_micros() as f64 * 0.999, "{p50_us}");
}

#[test]
fn a_stall_counts_for_every_request_that_was_due_in_it() {
    const STALL: Duration = Duration::from_millis(300);
    let (address, _) = serve(|line, number| {
        if number == 10 {
            thread::sleep(STALL);
        }
        as_a_herd(line, number)
    });
    let options = "--connections 1 --outstanding 1 --rate 1000 --duration 0.5";
    let line = line_of(&load(address, options), 0);
    assert_eq!(histogram_count(&line), 500);
    // One request is due a millisecond. Of those that are due in the stall, half wait for half of it
    // or more, and they are 150 of 500; a generator that waits with its clock would count one.
    let slow = histogram(&line).count_between(STALL.as_nanos() as u64 / 2, u64::MAX);
    assert!(slow >= 150, "{slow}");
}

#[test]
fn a_connection_for_each_request_is_made_after_the_last_has_ended() {
    let (address, asked) = serve_each_once();
    let line = line_of(&load(address, "--connections 3 --one-shot --duration 0.2"), 0);
    let sent = asked.reports.load(Ordering::Relaxed);
    assert_eq!(histogram_count(&line), sent);
    // The last reply of each may have been followed by a connection that nothing was asked on.
    let connections = asked.connections.load(Ordering::Relaxed);
    assert!((sent..=sent + 3).contains(&connections), "{connections} for {sent}");
}

#[test]
fn a_fixed_rate_is_kept_with_a_connection_for_each_request() {
    let (address, asked) = serve_each_once();
    let line = line_of(&load(address, "--connections 3 --one-shot --rate 200 --duration 0.5"), 0);
    assert_eq!(asked.reports.load(Ordering::Relaxed), 100);
    assert_eq!(histogram_count(&line), 100);
}

/// A server that ends each connection after one reply.
fn serve_each_once() -> (SocketAddr, Arc<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Asked::default());
    let counted = Arc::clone(&asked);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let counted = Arc::clone(&counted);
            counted.connections.fetch_add(1, Ordering::Relaxed);
            thread::spawn(move || {
                let mut line = String::new();
                if BufReader::new(&stream).read_line(&mut line).unwrap() > 0 {
                    counted.reports.fetch_add(1, Ordering::Relaxed);
                    let reply = as_a_herd(line.trim_end(), 0).unwrap();
                    stream.write_all(reply.as_bytes()).unwrap();
                }
            });
        }
    });
    (address, asked)
}

/// A program that is ended with the test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_echo_sends_every_line_back_whole() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd-bench"));
    command.args(["echo", "--listen", "localhost:0"]).stdout(std::process::Stdio::piped());
    let mut echo = Ended(command.spawn().unwrap());
    let mut ready = String::new();
    BufReader::new(echo.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let address = ready.trim_end().strip_prefix("ready echo ").unwrap().parse().unwrap();
    let options = "--expect echo --connections 20 --outstanding 300 --idle 50 --duration 0.2";
    line_of(&load(address, options), 0);

    // A line longer than any read, in two pieces, and one that has no end.
    let mut stream = TcpStream::connect(address).unwrap();
    let long = format!("{}\n", "x".repeat(100_000));
    stream.write_all(&long.as_bytes()[..60_000]).unwrap();
    stream.write_all(&long.as_bytes()[60_000..]).unwrap();
    stream.write_all(b"no end").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = String::new();
    std::io::Read::read_to_string(&mut stream, &mut back).unwrap();
    assert!(back == long, "{} bytes came back of {}", back.len(), long.len());
}

#[test]
fn an_address_in_use_is_no_place_for_the_echo() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd-bench"));
    let output = command.args(["echo", "--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address));
}
