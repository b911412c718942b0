//! A client's connection as bytes, for tests of what clients do to each other.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Longest wait for anything: less than the limits of the conf that would free a server that one
/// client holds up (30 s), and more than a busy machine takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A connection to a server.
pub(crate) struct Talk {
    pub(crate) stream: TcpStream,
    input: BufReader<TcpStream>,
}

impl Talk {
    pub(crate) fn to(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, LIMIT).unwrap())
    }

    /// Takes replies in small pieces only: what it does not read stays with the server.
    pub(crate) fn with_little_room(address: SocketAddr) -> Self {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect_timeout(&address.into(), LIMIT).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        let input = BufReader::new(stream.try_clone().unwrap());
        Self { stream, input }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// The next line, without its LF.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.input.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the server ended after {line:?}");
        line.pop();
        line
    }

    /// Sends a line, and returns the line that answers it.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\n"));
        self.line()
    }

    /// Reports a client at a place, long ago.
    #[track_caller]
    pub(crate) fn report(&mut self, client: &str) {
        let reply = self.ask(&format!("IAMAT {client} +34.068930-118.445127 1479413884.392014450"));
        assert!(reply.starts_with("AT "), "{reply}");
    }

    /// The rest of a reply to WHATSAT behind its AT line: the JSON.
    #[track_caller]
    pub(crate) fn places(&mut self) -> String {
        let json = self.line();
        assert_eq!(self.line(), "", "places end with an empty line: {json}");
        json
    }

    /// All that comes until the server ends.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.input.read_to_end(&mut rest).unwrap();
        String::from_utf8(rest).unwrap()
    }

    /// As [`Talk::rest`], also where the server resets the connection.
    pub(crate) fn rest_or_reset(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.input.read_to_end(&mut rest) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => {
                panic!("{error} after {} bytes", rest.len())
            }
            _ => rest,
        }
    }

    /// Shuts the sending side.
    pub(crate) fn end(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Closes so that the server sees a reset.
    pub(crate) fn reset(self) {
        let Self { stream, input } = self;
        drop(input);
        let socket = socket2::Socket::from(stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Sends the bytes again and again and reads nothing, until the server takes no more, and
    /// returns how many it took. Panics at 64 MiB: the server buffers without bound.
    #[track_caller]
    pub(crate) fn pump(&mut self, bytes: &[u8]) -> usize {
        self.stream.set_nonblocking(true).unwrap();
        let mut sent = 0;
        let mut since = Instant::now();
        // What the server reads it reads at once, so a second without room says that it is over.
        while since.elapsed() < Duration::from_secs(1) {
            match self.stream.write(&bytes[sent % bytes.len()..]) {
                Ok(length) => {
                    sent += length;
                    since = Instant::now();
                    assert!(sent < 64 << 20, "the server takes all and sends nothing");
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error} after {sent} bytes"),
            }
        }
        self.stream.set_nonblocking(false).unwrap();
        sent
    }

    /// Sends the bytes again and again and reads nothing, until the server closes the connection.
    /// Panics at 64 MiB and after [`LIMIT`] without room.
    #[track_caller]
    pub(crate) fn pump_until_closed(&mut self, bytes: &[u8]) {
        let mut sent = 0;
        loop {
            match self.stream.write(&bytes[sent % bytes.len()..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    panic!("still open after {sent} bytes")
                }
                Err(_) => return,
            }
            assert!(sent < 64 << 20, "the server takes all and sends nothing");
        }
    }
}

/// Asks again and again until it is so, within [`LIMIT`].
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < until, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
