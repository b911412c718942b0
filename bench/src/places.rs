//! A stand-in for Google's older Nearby Search: the same answer to every question, after a delay. On
//! tokio, so that any number of questions may wait at once.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use herd::listening;
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime;

/// Results of an answer: as many as Google sends at most.
const RESULTS: usize = 20;

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
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that fails is its client's loss alone.
        tokio::spawn(async move {
            let _ = converse(stream, answer, delay).await;
        });
    }
}

/// Requests have no bodies: each ends at its empty line.
async fn converse(mut stream: TcpStream, answer: &str, delay: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    loop {
        while let Some(end) = memmem::find(&input, b"\r\n\r\n") {
            input.drain(..end + 4);
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
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
    fn the_answer_is_json_of_as_many_results_as_google_gives() {
        let answer = answer();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["results"].as_array().unwrap().len(), RESULTS);
        assert_eq!(body["status"], "OK");
    }
}
