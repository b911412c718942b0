use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use super::*;

/// Answers each line with what `reply` makes of it, on every connection.
fn server(reply: impl Fn(&str) -> String + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, reply) = (stream.unwrap(), reply.clone());
            thread::spawn(move || {
                let input = BufReader::new(stream.try_clone().unwrap());
                for line in input.lines().map_while(Result::ok) {
                    if stream.write_all(reply(&line).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn load(address: String) -> Load {
    Load {
        address,
        connections: 3,
        outstanding: 4,
        idle: 2,
        duration: Duration::from_millis(100),
        warm_up: Duration::from_millis(10),
        last_replies: LAST_REPLIES,
        rate: None,
        work: Work::Iamat,
        one_shot: false,
        expects_echo: false,
        clients: 50,
        are_known: false,
        pid: Some(Pid(std::process::id())),
        threads: 2,
        seed: 1,
    }
}

/// The AT line or the AT line and places that a herd server would send.
fn herd(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["IAMAT", client, location, time] => {
            format!("AT A +0.000000001 {client} {location} {time}\n")
        }
        ["WHATSAT", client, ..] => format!("AT A +0.000000001 {client} +1+1 1\n{{\n}}\n\n"),
        _ => format!("? {line}\n"),
    }
}

#[test]
fn every_reply_is_counted_in_a_closed_loop() {
    for work in [Work::Iamat, Work::Whatsat, Work::Mix(30)] {
        let outcome = run(&Load { work, ..load(server(herd)) }).unwrap();
        assert!(outcome.is_clean() && outcome.replies > 0, "{}", outcome.table());
        assert!(outcome.fewest_replies > 0, "{}", outcome.table());
        assert!(outcome.server_cpu_us.is_some_and(|cpu| cpu > 0.0));
    }
}

#[test]
fn a_fixed_rate_sends_as_many_requests_as_are_due() {
    let outcome = run(&Load { rate: Some(1_000.0), ..load(server(herd)) }).unwrap();
    assert!(outcome.is_clean(), "{}", outcome.table());
    // A latency for each that was due in 100 ms, however late it was answered.
    assert_eq!(outcome.latency.len(), 100, "{}", outcome.table());
    // Of the replies, those that came in this time: a busy machine answers some after it, and some that were
    // due in the 10 ms before.
    assert!((1..=110).contains(&outcome.replies), "{}", outcome.table());
}

#[test]
fn an_echo_is_told_from_a_herd() {
    let echo = server(|line| format!("{line}\n"));
    let outcome = run(&Load { expects_echo: true, ..load(echo.clone()) }).unwrap();
    assert!(outcome.is_clean() && outcome.replies > 0, "{}", outcome.table());
    let outcome = run(&load(echo)).unwrap();
    assert!(outcome.errors > 0, "{}", outcome.table());
    assert!(outcome.table().contains("NOT CLEAN"));
}

#[test]
fn replies_that_never_come_are_counted_as_missing() {
    let last_replies = Duration::from_millis(20);
    let outcome = run(&Load { last_replies, idle: 0, ..load(server(|_| String::new())) }).unwrap();
    assert_eq!((outcome.replies, outcome.missing), (0, 12), "{}", outcome.table());
}

#[test]
fn a_server_that_is_not_there_is_said() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let error = run(&load(address.clone())).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{address}: cannot connect: ")), "{error}");
}

#[test]
fn a_generator_that_comes_late_to_the_end_still_sends_what_was_due() {
    let streams = vec![TcpStream::connect(server(herd)).unwrap()];
    let window = Window { from: 0, until: 100_000_000, give_up: 60_000_000_000 };
    let requests = Requests::new(Work::Iamat, 10, 1, false);
    let schedule = Schedule::share(1_000.0, 0, 1);
    let generator = Generator::new(streams, 4, requests, Some(schedule), None, window).unwrap();
    let long_ago = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
    let tally = generator.run(long_ago).unwrap();
    assert_eq!((tally.latency.len(), tally.missing, tally.errors), (100, 0, 0));
    // Their latency counts from when they were due, so it shows how late that was.
    assert!(tally.latency.min() > 800_000_000, "{}", tally.latency.min());
}
