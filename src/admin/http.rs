//! One request over HTTP/1.1, and its answer. Only GET, and no body. Every wait has a deadline that
//! no slow client extends.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// From the connection to the end of the request's head, at most.
const REQUEST_WITHIN: Duration = Duration::from_secs(2);

/// Until the answer is taken, at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// How long what comes behind the request is discarded, and how much of it: a close with unread input
/// would reset the connection, and the answer be lost.
const LINGER: (Duration, usize) = (Duration::from_millis(500), 64 * 1024);

/// Longest head of a request, in bytes: whole lines, with the last empty one.
pub const MAX_HEAD: usize = 8 * 1024;

/// Most header lines; browsers send some 20.
const MAX_HEADERS: usize = 64;

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// Such as `text/plain; charset=utf-8`.
    pub content_type: &'static str,
    /// All of it.
    pub body: Vec<u8>,
}

impl Answer {
    /// A line of text.
    pub fn text(status: u16, line: &str) -> Self {
        let body = format!("{line}\n").into_bytes();
        Self { status, content_type: "text/plain; charset=utf-8", body }
    }
}

/// Reads a request, writes what `answer` gives for its path (without what follows a `?`), and closes the
/// connection. A request that is not well-formed, too large, too slow, or no GET is told so. Blocks for 5
/// seconds at most.
pub fn serve(stream: &TcpStream, answer: impl FnOnce(&str) -> Answer) {
    // Who is gone needs no answer.
    let _ = exchange(stream, answer);
    let _ = stream.shutdown(Shutdown::Both);
}

fn exchange(stream: &TcpStream, answer: impl FnOnce(&str) -> Answer) -> io::Result<()> {
    let answer = match read_head(stream, Instant::now() + REQUEST_WITHIN)? {
        Ok(path) => answer(&path),
        Err(refusal) => refusal,
    };
    write_answer(stream, &answer, Instant::now() + ANSWER_WITHIN)?;
    stream.shutdown(Shutdown::Write)?;
    discard(stream, Instant::now() + LINGER.0)
}

/// The path that is asked for, or what to answer instead.
fn read_head(mut stream: &TcpStream, deadline: Instant) -> io::Result<Result<String, Answer>> {
    let mut head = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    loop {
        let Some(left) = left(deadline) else {
            return Ok(Err(Answer::text(408, "the request was not whole within 2 seconds")));
        };
        stream.set_read_timeout(Some(left))?;
        let room = chunk.len().min(MAX_HEAD - head.len());
        let length = match stream.read(&mut chunk[..room]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if is_timeout(&error) => continue,
            Err(error) => return Err(error),
        };
        head.extend_from_slice(&chunk[..length]);
        // Nothing new can be said before a line ends, and dripping is not to cost a parse a byte.
        if !chunk[..length].contains(&b'\n') && head.len() < MAX_HEAD {
            continue;
        }
        match parse(&head) {
            Some(asked) => return Ok(asked),
            None if head.len() >= MAX_HEAD => {
                return Ok(Err(Answer::text(431, "the request's head is over 8 KiB")));
            }
            None => {}
        }
    }
}

/// The path of a whole head, or why it is refused; `None` if it is not whole.
fn parse(head: &[u8]) -> Option<Result<String, Answer>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => None,
        Ok(httparse::Status::Complete(_)) => Some(match (request.method, request.path) {
            (Some("GET"), Some(target)) => {
                Ok(target.split('?').next().unwrap_or_default().to_owned())
            }
            _ => Err(Answer::text(405, "only GET is answered here")),
        }),
        Err(httparse::Error::TooManyHeaders) => {
            Some(Err(Answer::text(431, "the request has over 64 header lines")))
        }
        Err(error) => Some(Err(Answer::text(400, &format!("no HTTP request: {error}")))),
    }
}

fn write_answer(mut stream: &TcpStream, answer: &Answer, deadline: Instant) -> io::Result<()> {
    let Answer { status, content_type, body } = answer;
    let allow = if *status == 405 { "Allow: GET\r\n" } else { "" };
    let mut bytes = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\n{allow}Connection: close\r\n\r\n",
        reason(*status),
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    let mut written = 0;
    while written < bytes.len() {
        let left = left(deadline).ok_or(ErrorKind::TimedOut)?;
        stream.set_write_timeout(Some(left))?;
        match stream.write(&bytes[written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(length) => written += length,
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn discard(mut stream: &TcpStream, deadline: Instant) -> io::Result<()> {
    let mut chunk = [0; 4096];
    let mut discarded = 0;
    while let Some(left) = left(deadline).filter(|_| discarded < LINGER.1) {
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk)? {
            0 => break,
            length => discarded += length,
        }
    }
    Ok(())
}

fn left(deadline: Instant) -> Option<Duration> {
    Some(deadline.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// The words of the statuses that are used here.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}
