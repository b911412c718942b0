//! Scripted stand-ins for a server, each for one connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use herd::client::{Client, Invalid, Reply};

/// Long enough for any machine; no test waits for it to pass.
pub const PATIENT: Duration = Duration::from_secs(30);

/// For tests that do wait for it to pass.
pub const SHORT: Duration = Duration::from_millis(50);

pub const AT: &str = "AT Goloman +0.263873386 kiwi +34.068930-118.445127 1479413884.392014450\n";

/// A server that does what the script says with its one connection.
pub fn server<T: Send + 'static>(
    script: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        script(stream)
    });
    (address, script)
}

/// A client of a server that waits for so many lines, writes the reply, and then takes the rest of
/// the input. Its handle holds all that the client sent.
pub fn scripted(lines: usize, reply: impl Into<Vec<u8>>) -> (Client, JoinHandle<Vec<u8>>) {
    let reply = reply.into();
    let (address, sent) = server(move |mut stream| {
        let mut input = BufReader::new(stream.try_clone().unwrap());
        let mut sent = Vec::new();
        for _ in 0..lines {
            input.read_until(b'\n', &mut sent).unwrap();
        }
        stream.write_all(&reply).unwrap();
        input.read_to_end(&mut sent).unwrap();
        sent
    });
    (Client::connect(address, PATIENT).unwrap(), sent)
}

/// A client of a server that takes a line, writes the reply, and closes.
pub fn cut_off(reply: impl Into<Vec<u8>>) -> Client {
    let reply = reply.into();
    let (address, _) = server(move |mut stream| {
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        stream.write_all(&reply).unwrap();
    });
    Client::connect(address, PATIENT).unwrap()
}

pub fn invalid(line: impl AsRef<[u8]>) -> Reply {
    Reply::Invalid(Invalid(line.as_ref().to_vec()))
}

#[track_caller]
pub fn is_at(reply: &Reply) {
    assert!(matches!(reply, Reply::At(_)), "{reply:?}");
}
