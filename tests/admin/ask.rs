//! Requests to an admin address, as bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::embedded::Embedded;
use crate::talk::LIMIT;

/// An embedded server that can be watched, with these sections.
#[track_caller]
pub(crate) fn watched(sections: &str) -> (Embedded, SocketAddr) {
    let server = Embedded::start(&format!("admin = \"127.0.0.1:0\"\n{sections}"));
    let admin = server.admin.unwrap();
    (server, admin)
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// All lines above the body.
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LIMIT).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Sends these bytes, and reads to the end.
#[track_caller]
pub(crate) fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    answer(stream)
}

#[track_caller]
pub(crate) fn answer(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = format!("Content-Length: {}", body.len());
    assert!(head.starts_with("HTTP/1.1 ") && head.lines().any(|line| line == length), "{text}");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

#[track_caller]
pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
}

/// The body of a page that is there.
#[track_caller]
pub(crate) fn page(address: SocketAddr, path: &str) -> String {
    let answer = get(address, path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body
}
