use std::net::TcpListener;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tempfile::TempDir;

use super::super::shared::SERVER_STOPS;
use super::super::{Server, ServerHandle};
use super::*;
use crate::config::Config;
use crate::protocol::ServerName;

/// A connection in the hands of the test, of a server that asks a provider that blocks.
struct Bench {
    server: ServerHandle,
    connection: Connection,
    client: TcpStream,
    input: Vec<u8>,
    turn: Turn,
    exchange: Exchange,
    _directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = format!(
            "[[server]]\nname = \"Ball\"\nlisten = \"127.0.0.1:0\"\n\
             [places]\nprovider = \"overpass\"\n[log]\ndir = '{}'\n",
            directory.path().display()
        );
        let config = Config::parse(Path::new("herd.toml"), &text).unwrap();
        let name = ServerName::parse(b"Ball").unwrap();
        let server = Server::bind(&config, &name).unwrap().start(&config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Inherited by what it accepts: the sockets hold little, and so the connection much.
        SockRef::from(&listener).set_send_buffer_size(4096).unwrap();
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        client.connect(&listener.local_addr().unwrap().into()).unwrap();
        let client = TcpStream::from(client);
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        let open = Open::count([], None);
        let connection = Connection::new(stream, Session::new(peer), open).unwrap();
        let input = vec![0; READ_BYTES + server.shared.limits.max_line + 1];
        let (turn, exchange) = (Turn::default(), Exchange::default());
        Self { server, connection, client, input, turn, exchange, _directory: directory }
    }

    fn turn(&mut self) -> Step {
        let Self { server, connection, input, turn, exchange, .. } = self;
        match connection.begin_turn(&server.shared, input, turn, exchange) {
            Ok(next) => connection.send(&server.shared, exchange, next),
            Err(step) => step,
        }
    }

    /// One turn over commands whose replies are more than the sockets hold, with `last` behind them.
    /// Returns how many bytes those replies have.
    fn turn_that_waits(&mut self, last: &str) -> usize {
        let line = format!("x{}\n", " ".repeat(8000));
        let commands = "UPDATE a Ball 1 +1+1 +1.0 Ball\n".to_owned() + &line.repeat(6) + last;
        self.client.write_all(commands.as_bytes()).unwrap();
        let mut sent = vec![0; READ_BYTES];
        while self.connection.stream.peek(&mut sent).unwrap_or(0) < commands.len() {
            std::thread::yield_now();
        }
        assert_eq!(self.turn(), Step::Wait(Awaits::Writable));
        assert!(!self.connection.output.is_empty());
        6 * ("? ".len() + line.len())
    }

    /// Takes so many bytes of the replies, meanwhile.
    fn takes(&self, bytes: usize) -> JoinHandle<()> {
        let mut client = self.client.try_clone().unwrap();
        std::thread::spawn(move || client.read_exact(&mut vec![0; bytes]).unwrap())
    }
}

#[test]
fn a_look_up_is_not_asked_for_before_the_replies_before_it_are_taken() {
    let mut bench = Bench::new();
    let bytes = bench.turn_that_waits("WHATSAT a 1 5\nx\n");
    // It is still there, and nothing else is handled.
    for _ in 0..3 {
        assert_eq!(bench.turn(), Step::Wait(Awaits::Writable));
    }
    assert!(matches!(bench.connection.stop(SERVER_STOPS), Step::Wait(_)));
    let taker = bench.takes(bytes);
    let lookup = loop {
        match bench.turn() {
            Step::AskPlaces(lookup) => break lookup,
            step => assert_eq!(step, Step::Wait(Awaits::Writable)),
        }
    };
    taker.join().unwrap();
    assert_eq!(lookup.bound, 5);
    let places: Answer = b"{}".to_vec().into();
    let Bench { server, connection, turn, exchange, .. } = &mut bench;
    assert_eq!(connection.answer(&server.shared, &places, turn, exchange), Step::Again);
    assert_eq!(bench.turn(), Step::Wait(Awaits::Readable));
    let mut replies = String::new();
    bench.connection.stream.shutdown(Shutdown::Write).unwrap();
    bench.client.read_to_string(&mut replies).unwrap();
    assert_eq!(replies, "AT Ball +1.000000000 a +1+1 1\n{}\n\n? x\n");
    bench.server.stop();
}

#[test]
fn who_does_not_take_the_replies_before_a_look_up_is_closed() {
    let mut bench = Bench::new();
    bench.turn_that_waits("WHATSAT a 1 5\n");
    let late = Instant::now() + bench.server.shared.limits.write_timeout + Duration::from_nanos(1);
    let step = bench.connection.check_time(late, &bench.server.shared);
    assert_eq!(step, Some(Step::Gone("took no replies")));
    assert_eq!(bench.server.shared.counters.closed_untaken.get(), 1);
    bench.server.stop();
}

#[test]
fn taking_some_of_the_replies_wins_no_time() {
    let mut bench = Bench::new();
    let bytes = bench.turn_that_waits("");
    let begin = Instant::now();
    let before = bench.connection.output.len();
    let taker = bench.takes(bytes / 3);
    while !taker.is_finished() || bench.connection.output.len() == before {
        assert_eq!(bench.turn(), Step::Wait(Awaits::Writable));
        std::thread::yield_now();
    }
    taker.join().unwrap();
    let late = begin + bench.server.shared.limits.write_timeout + Duration::from_nanos(1);
    let step = bench.connection.check_time(late, &bench.server.shared);
    assert_eq!(step, Some(Step::Gone("took no replies")));
    bench.server.stop();
}
