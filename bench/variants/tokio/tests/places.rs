//! WHATSAT against a stand-in for the places service.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use herd::client::Reply;
use support::{Conf, LIMIT, Variant};

const TWO: &str =
    "{\"z\": 1.50E+007,\n\n \"results\": [{\"b\": 1.0, \"a\": 2}, {}], \"status\": \"OK\"}\n\n";

/// A places service on kept connections, which end when the test's process does.
struct Service {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// `GET /maps/... HTTP/1.1`, as they come.
    asked: Receiver<String>,
    /// With a send to it one is answered.
    answers: Sender<(u16, String)>,
}

fn service() -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::<AtomicUsize>::default();
    let (ask, asked) = mpsc::channel();
    let (answers, script) = mpsc::channel();
    let script = Arc::new(Mutex::new(script));
    let counted = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            let (ask, script) = (ask.clone(), Arc::clone(&script));
            thread::spawn(move || serve(&stream.unwrap(), &ask, &script));
        }
    });
    Service { address, connections, asked, answers }
}

fn serve(mut stream: &TcpStream, ask: &Sender<String>, script: &Mutex<Receiver<(u16, String)>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(line) = lines.next() {
        while lines.next().is_some_and(|header| !header.is_empty()) {}
        if ask.send(line).is_err() {
            return;
        }
        let Ok((status, body)) = script.lock().unwrap().recv() else { return };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n");
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

impl Service {
    /// A server that asks it, with these keys of `[places]`.
    fn server(&self, keys: &str) -> (Conf, Variant) {
        let conf = Conf::alone("");
        let key = conf.path().with_file_name("key");
        std::fs::write(&key, "a/secret=1\n").unwrap();
        let mut text = std::fs::read_to_string(conf.path()).unwrap();
        text += &format!(
            "[places]\nprovider = \"google-legacy\"\nbase_url = \"http://{}\"\nkey_file = '{}'\n{keys}\n",
            self.address,
            key.display()
        );
        std::fs::write(conf.path(), text).unwrap();
        let server = conf.start("Ball");
        server.report("kiwi", "+34.068930-118.445127");
        (conf, server)
    }

    fn will_answer(&self, status: u16, body: &str) {
        self.answers.send((status, body.to_owned())).unwrap();
    }

    #[track_caller]
    fn asked(&self) -> String {
        self.asked.recv_timeout(LIMIT).unwrap()
    }
}

/// Starts a look-up, and returns where its answer will be.
fn ask(server: &Variant, line: &str) -> thread::JoinHandle<String> {
    let (mut client, line) = (server.client(), line.to_owned());
    thread::spawn(move || match client.request(line).unwrap() {
        Some(Reply::Nearby(nearby)) => {
            String::from_utf8(nearby.places.as_bytes().to_vec()).unwrap()
        }
        reply => panic!("{reply:?}"),
    })
}

#[test]
fn an_answer_is_passed_on_as_it_came_without_empty_lines_or_cut_over_one_kept_connection() {
    let service = service();
    let (_conf, server) = service.server("");
    for (line, radius, said) in [
        (
            "WHATSAT kiwi 10 2",
            "10000",
            "{\"z\": 1.50E+007,\n \"results\": [{\"b\": 1.0, \"a\": 2}, {}], \"status\": \"OK\"}",
        ),
        (
            "WHATSAT kiwi 0.5 1",
            "500",
            "{\"z\": 1.50E+007, \"results\": [{\"b\": 1.0, \"a\": 2}], \"status\": \"OK\"}",
        ),
    ] {
        service.will_answer(200, TWO);
        assert_eq!(ask(&server, line).join().unwrap(), said);
        let path = "/maps/api/place/nearbysearch/json";
        let wanted = format!(
            "GET {path}?location=34.06893,-118.445127&radius={radius}&key=a%2Fsecret%3D1 HTTP/1.1"
        );
        assert_eq!(service.asked(), wanted);
    }
    assert_eq!(service.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn only_who_asks_waits_and_who_finds_the_queue_full_is_told_so_at_once() {
    let service = service();
    let (_conf, server) = service.server("workers = 1\nqueue = 1");
    let called = ask(&server, "WHATSAT kiwi 1 1");
    service.asked();
    // It waits for the call, and whoever comes after it finds no room. Which of the two comes first is drawn.
    let others = [ask(&server, "WHATSAT kiwi 2 1"), ask(&server, "WHATSAT kiwi 3 1")];
    support::eventually("one is refused", || others.iter().any(|other| other.is_finished()));
    server.report("plum", "+1+1");
    assert!(!called.is_finished());
    service.will_answer(200, TWO);
    service.will_answer(200, TWO);
    assert!(called.join().unwrap().contains("\"OK\""));
    let said = others.map(|other| other.join().unwrap());
    let of = |status: &str| said.iter().filter(|said| said.contains(status)).count();
    assert_eq!((of("\"OK\""), of("\"OVER_QUERY_LIMIT\"")), (1, 1), "{said:?}");
}

#[test]
fn a_call_that_fails_says_so_in_the_shape_of_an_answer() {
    let service = service();
    let (conf, server) = service.server("timeout = \"1s\"");
    for (status, body, word) in [
        (429, "", "OVER_QUERY_LIMIT"),
        (403, "", "REQUEST_DENIED"),
        (500, "", "UNKNOWN_ERROR"),
        (200, "<html>", "UNKNOWN_ERROR"),
        (200, "{\"results\": [], \"status\": \"a/secret=1\"}", "UNKNOWN_ERROR"),
    ] {
        service.will_answer(status, body);
        let said = ask(&server, "WHATSAT kiwi 1 1").join().unwrap();
        let start = format!(
            "{{\"html_attributions\": [], \"results\": [], \"status\": \"{word}\", \"error_message\": \""
        );
        assert!(said.starts_with(&start) && !said.contains("secret"), "{said}");
    }
    // Nothing is answered within the timeout.
    let said = ask(&server, "WHATSAT kiwi 1 1").join().unwrap();
    assert!(said.contains("UNKNOWN_ERROR") && said.contains("did not answer within 1s"), "{said}");
    assert!(server.terminate().success());
    assert!(!conf.log("Ball").contains("secret"));
}

#[test]
fn with_another_provider_every_look_up_is_denied() {
    let conf = Conf::alone("");
    let server = conf.start("Ball");
    server.report("kiwi", "+1+1");
    let said = ask(&server, "WHATSAT kiwi 1 1").join().unwrap();
    assert!(said.contains("\"REQUEST_DENIED\""), "{said}");
}
