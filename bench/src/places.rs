//! A stand-in for Google's older Nearby Search: the same answer to every question, after a delay, which
//! `GET /delay/SECONDS` changes. On tokio, so that any number of questions may wait at once.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use herd::listening;
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime;

use crate::cli;

/// Results of an answer: as many as Google sends at most.
const RESULTS: usize = 20;

/// How a request for another delay begins.
const DELAY_PATH: &str = "GET /delay/";

/// Longest head of a request.
const LONGEST_HEAD: usize = 16 * 1024;

/// Says `ready places ADDRESS`, and answers until the process is ended.
///
/// # Errors
///
/// When the address can't be listened on.
pub(crate) fn run(listen: &str, delay: Duration) -> io::Result<()> {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let listener = listening::bind(listen)?;
    listener.set_nonblocking(true)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(listener, delay))
}

async fn serve(listener: std::net::TcpListener, delay: Duration) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut stdout = io::stdout();
    let ready = writeln!(stdout, "ready places {}", listener.local_addr()?);
    // Who started it may have closed its end.
    let _ = ready.and_then(|()| stdout.flush());
    let answer: &'static str = Box::leak(answer().into_boxed_str());
    let delay = Arc::new(Delay::new(delay));
    loop {
        let (stream, _) = listener.accept().await?;
        let delay = Arc::clone(&delay);
        // A connection that fails is its client's loss alone.
        tokio::spawn(async move {
            let _ = converse(stream, answer, &delay).await;
        });
    }
}

/// Has the stand-in at `address` take that long from now on, of what is asked after this returns.
///
/// # Errors
///
/// When it can't be asked.
pub(crate) fn set_delay(address: &str, delay: Duration) -> io::Result<()> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "{DELAY_PATH}{} HTTP/1.1\r\n\r\n", delay.as_secs_f64())?;
    // What it answers with begins when it is done.
    stream.read_exact(&mut [0])
}

/// Nanoseconds.
struct Delay(AtomicU64);

impl Delay {
    fn new(delay: Duration) -> Self {
        Self(AtomicU64::new(nanos(delay)))
    }

    fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, delay: Duration) {
        self.0.store(nanos(delay), Ordering::Relaxed);
    }
}

fn nanos(delay: Duration) -> u64 {
    u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)
}

/// What stands before the next space.
fn seconds(text: &[u8]) -> Option<Duration> {
    let end = memchr::memchr(b' ', text)?;
    cli::seconds(std::str::from_utf8(&text[..end]).ok()?).ok()
}

/// Requests have no bodies: each ends at its empty line.
async fn converse(mut stream: TcpStream, answer: &str, delay: &Delay) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    loop {
        while let Some(end) = memmem::find(&input, b"\r\n\r\n") {
            let asked_for = input.strip_prefix(DELAY_PATH.as_bytes()).and_then(seconds);
            input.drain(..end + 4);
            match (asked_for, delay.get()) {
                (Some(asked_for), _) => delay.set(asked_for),
                (None, Duration::ZERO) => {}
                (None, delay) => tokio::time::sleep(delay).await,
            }
            stream.write_all(answer.as_bytes()).await?;
        }
        if input.len() > LONGEST_HEAD || stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

/// The whole response, its body of the shape and about the size of Google's.
fn answer() -> String {
    let mut results = String::new();
    for number in 0..RESULTS {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(
            results,
            "{comma}\n      {{\n         \"geometry\" : {{ \"location\" : {{ \"lat\" : 34.0{number:02}9300, \
             \"lng\" : -118.4{number:02}1270 }} }},\n         \"name\" : \"Place {number}\",\n         \
             \"place_id\" : \"stand-in:{number}\",\n         \"rating\" : 4.0,\n         \"types\" : [ \"cafe\", \
             \"food\", \"point_of_interest\", \"establishment\" ],\n         \"vicinity\" : \"{number} Loopback \
             Lane\"\n      }}"
        );
    }
    let body = format!(
        "{{\n   \"html_attributions\" : [],\n   \"results\" : [{results}\n   ],\n   \"status\" : \"OK\"\n}}\n"
    );
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_can_be_changed() {
        assert_eq!(seconds(b"0.25 HTTP/1.1"), Some(Duration::from_millis(250)));
        assert_eq!(seconds(b"-1 HTTP/1.1"), None);
        assert_eq!(seconds(b"0.25"), None);
        let delay = Delay::new(Duration::from_secs(2));
        delay.set(Duration::ZERO);
        assert_eq!(delay.get(), Duration::ZERO);
    }

    #[test]
    fn the_answer_is_json_of_as_many_results_as_google_gives() {
        let answer = answer();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["results"].as_array().unwrap().len(), RESULTS);
        assert_eq!(body["status"], "OK");
    }
}
