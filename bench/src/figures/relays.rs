//! What the loopback and the threads on it take by themselves: relays that forward a line, with blocking
//! sockets.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use herd::listening;
use herd::waits::Mutex;

/// Longest wait for a line.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A thread a hop, each with a connection from the one before, and one that is asked at the far end. They
/// end when this is dropped.
pub(super) struct Relays {
    origin: TcpStream,
    asker: BufReader<TcpStream>,
}

impl Relays {
    /// So many hops from the origin to the far end.
    pub(super) fn start(hops: usize) -> io::Result<Self> {
        let held = Arc::new(Mutex::new(b"nothing\n".to_vec()));
        let answer = Arc::clone(&held);
        let asker = connected_to(move |_, asker| {
            let line = answer.lock().clone();
            asker.write_all(&line)
        })?;
        asker.set_read_timeout(Some(TIMEOUT))?;
        let mut origin = connected_to(move |line, _| {
            line.clone_into(&mut held.lock());
            Ok(())
        })?;
        for _ in 1..hops {
            let mut next = origin;
            origin = connected_to(move |line, _| next.write_all(line))?;
        }
        Ok(Self { origin, asker: BufReader::new(asker) })
    }

    /// From before a line is written at the origin until the far end answers a question with it.
    pub(super) fn time_to_cross(&mut self, line: &str, question: &str) -> io::Result<Duration> {
        let sent = Instant::now();
        self.origin.write_all(line.as_bytes())?;
        let mut answer = String::new();
        while answer != line {
            if sent.elapsed() > TIMEOUT {
                return Err(io::Error::other(format!("{line:?} did not cross in {TIMEOUT:?}")));
            }
            answer.clear();
            self.asker.get_ref().write_all(question.as_bytes())?;
            self.asker.read_line(&mut answer)?;
        }
        Ok(sent.elapsed())
    }
}

/// A connection, and at its other end a thread that does something with each line.
fn connected_to(
    mut act: impl FnMut(&[u8], &mut TcpStream) -> io::Result<()> + Send + 'static,
) -> io::Result<TcpStream> {
    let listener = listening::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let (mut other, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    other.set_nodelay(true)?;
    let mut input = BufReader::new(other.try_clone()?);
    thread::spawn(move || {
        let mut line = Vec::new();
        // Whatever ends the connection ends the thread.
        while input.read_until(b'\n', &mut line).is_ok_and(|length| length > 0)
            && act(&line, &mut other).is_ok()
        {
            line.clear();
        }
    });
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_found_at_the_far_end_however_many_hops_there_are() {
        for hops in 1..=4 {
            let mut relays = Relays::start(hops).unwrap();
            for number in 0..10 {
                relays.time_to_cross(&format!("line {number}\n"), "what?\n").unwrap();
            }
        }
    }
}
