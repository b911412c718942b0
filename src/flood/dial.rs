//! The thread of one link: dials the neighbor for ever, and writes what the outbox holds.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ::log::Level;

use super::back_off::{self, BackOff};
use super::handshake::{BEAT, Hello, OLDEST_VERSION, VERSION};
use super::link::{Link, Neighbor, Standing};
use super::outbox::Taken;
use super::secure::{Channel, refused};
use super::speaker::{Said, Speaker};
use super::{Flood, NeighborId};
use crate::config::LinkKind;
use crate::protocol::reply::write_update;
use crate::records::Record;
use crate::threads;

/// Longest wait for a connection: short, so that after a cut a new attempt is soon under way.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest time until the answer to our HELLO is whole.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often an idle link says that it is there, at least.
const SLOWEST_BEAT: Duration = Duration::from_secs(1);
/// Beats within the time after which a silent link is down: some may be late.
const BEATS_WITHIN_TIMEOUT: u32 = 4;
/// Updates in one write: an UPDATE is at most 512 bytes, so a piece is at most 64 KiB.
const PIECE: usize = 128;

/// Runs until the link is stopped. Every wait is bounded: dials by 2 s an address
/// (and the system's name look-up), writes by the conf's `links.timeout`.
pub fn run(flood: &Arc<Flood>, id: NeighborId) {
    let dialer = Dialer { flood, id, link: &flood.links[id.0] };
    let mut back_off = BackOff::default();
    while !dialer.link.is_stopping() {
        let begun = Instant::now();
        let times_heard = dialer.link.times_heard();
        let was_greeted = match dialer.link.neighbor.kind {
            LinkKind::Herd => dialer.herd(&mut back_off),
            LinkKind::Plain => dialer.plain(),
            LinkKind::OneShot => dialer.one_shot(),
        };
        let link = dialer.link;
        link.set_dialed(None);
        link.outbox.close();
        if let Err(error) = was_greeted
            && !link.is_stopping()
        {
            link.history.down(error.to_string());
            back_off.note(&link.neighbor, &error, &flood.log);
        }
        // Others than herd servers have no HELLO that would show them sound: time does.
        if link.neighbor.kind != LinkKind::Herd && begun.elapsed() > back_off::LAST {
            back_off.reset();
        }
        if link.pause_unless_heard(back_off.next_wait(), times_heard, back_off::FIRST) {
            back_off.hurry();
        }
    }
}

/// How often an idle link says that it is there, if it is down after a silence of `timeout`.
fn beat_every(timeout: Duration) -> Duration {
    SLOWEST_BEAT.min(timeout / BEATS_WITHIN_TIMEOUT)
}

#[doc(hidden)] // `pub` for the tests that draw schedules, which have no sockets.
pub struct Dialer<'a> {
    pub flood: &'a Arc<Flood>,
    pub id: NeighborId,
    pub link: &'a Link,
}

/// A connection, and the run of the neighbor that answered on it.
struct Greeted {
    stream: RefCell<Channel>,
    hello: Hello,
}

/// What goes to a neighbor next.
#[doc(hidden)]
pub enum Talk<'a> {
    /// Updates.
    Records(&'a [Record]),
    /// What only herd servers understand.
    Lines(&'a [u8]),
    /// There was nothing for a while.
    Idle,
}

impl Dialer<'_> {
    /// A herd server: HELLO, then updates while both directions are up, heartbeats else.
    fn herd(&self, back_off: &mut BackOff) -> io::Result<()> {
        let greeted = self.greet(VERSION).or_else(|error| match error.kind() {
            ErrorKind::Unsupported => self.greet(OLDEST_VERSION),
            _ => Err(error),
        })?;
        let instance = greeted.hello.instance;
        back_off.reset();
        loop {
            match self.link.wait_heard(instance, self.beat_every()) {
                Standing::Stopping => return Ok(()),
                Standing::Replaced => {
                    return Err(io::Error::other("it was started anew since we dialed it"));
                }
                Standing::NotHeard if !self.link.is_dialed() => {
                    let reason = "it was silent, so the connection to it was given up";
                    return Err(io::Error::new(ErrorKind::TimedOut, reason));
                }
                Standing::NotHeard => {
                    is_open(greeted.stream.borrow().socket())?;
                    self.write(&greeted.stream, BEAT)?;
                }
                Standing::Up => {
                    self.link.outbox.open();
                    // It may have been lost before the outbox was open, and so not closed it.
                    if self.link.standing(instance) == Standing::Up {
                        self.log_up(greeted.stream.borrow().is_encrypted());
                        let speaker = self.speaker(greeted.hello.version);
                        let ended = self.feed(PIECE, speaker, |talk| match talk {
                            Talk::Records(records) => self.send(&greeted.stream, records),
                            Talk::Lines(lines) => self.write(&greeted.stream, lines),
                            Talk::Idle => {
                                is_open(greeted.stream.borrow().socket())?;
                                self.write(&greeted.stream, BEAT)
                            }
                        });
                        self.link.repair.cut();
                        self.flood.end_filling(self.id);
                        self.log_down(&ended);
                        ended?;
                    }
                    self.link.outbox.close();
                }
            }
        }
    }

    /// Dials and exchanges HELLOs. [`ErrorKind::Unsupported`] if the neighbor speaks an older version only.
    fn greet(&self, version: u32) -> io::Result<Greeted> {
        let stream = self.connect()?;
        // A stop that came before the connection did not cut it.
        if self.link.is_stopping() {
            return Err(io::Error::other("this server stops"));
        }
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let keys = self.flood.keys.as_ref().map(|file| file.keys(&self.flood.log));
        let mut stream = Channel::dial(stream, keys.as_deref(), deadline)?;
        stream.write_all(&self.flood.me.speaking(version).line())?;
        let line = stream.read_hello(deadline).map_err(io::Error::other)?;
        if let Some(refused) = refused(&line) {
            let too_new = format!("? it speaks version {version} of links");
            let is_too_new = line.starts_with(too_new.as_bytes());
            let kind = if is_too_new { ErrorKind::Unsupported } else { ErrorKind::Other };
            return Err(io::Error::new(kind, refused));
        }
        let hello = Hello::parse(&line).map_err(io::Error::other)?;
        let expected = &self.link.neighbor.name;
        if hello.name != *expected {
            return Err(io::Error::other(format!(
                "{} answers there: correct the address of {expected} in the conf",
                hello.name
            )));
        }
        if hello.expire_after.differs_from(self.flood.me.expire_after) {
            self.log_lifetimes(&hello);
        }
        Ok(Greeted { stream: RefCell::new(stream), hello })
    }

    /// UPDATE lines on a kept connection; what comes back is read, counted and dropped.
    fn plain(&self) -> io::Result<()> {
        let stream = self.connect()?;
        // It may stay silent for ever; the reader is freed by the shutdown below.
        stream.set_read_timeout(None)?;
        self.link.outbox.open();
        // A stop that came before did not find it open, and so does not end it.
        if self.link.is_stopping() {
            return Ok(());
        }
        self.log_up(false);
        let drain = {
            let (flood, id, stream) = (Arc::clone(self.flood), self.id, Arc::clone(&stream));
            threads::spawn("drain", self.link.neighbor.name.as_str(), move || {
                let link = &flood.links[id.0];
                discard(link, &stream);
                link.outbox.close();
            })?
        };
        let everything = Speaker::everything(&self.flood.records);
        let channel = RefCell::new(Channel::clear(Arc::clone(&stream)));
        let ended = self.feed(PIECE, everything, |talk| match talk {
            Talk::Records(records) => self.send(&channel, records),
            Talk::Lines(_) | Talk::Idle => Ok(()),
        });
        if ended.is_ok() && self.link.is_stopping() {
            // It closes when it has read the last update, or is cut when the stop's time is over.
            let _ = stream.shutdown(Shutdown::Write);
        } else {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // A panic was reported when it happened.
        let _ = drain.join();
        self.log_down(&ended);
        ended
    }

    /// One UPDATE a connection, so many a second.
    fn one_shot(&self) -> io::Result<()> {
        let between = Duration::from_secs(1) / self.flood.settings.one_shot_dials_per_second.max(1);
        let mut is_known_up = false;
        self.link.outbox.open();
        if self.link.is_stopping() {
            return Ok(());
        }
        let ended = self.feed(1, Speaker::everything(&self.flood.records), |talk| {
            let Talk::Records(records) = talk else { return Ok(()) };
            let stream = self.connect()?;
            self.send(&RefCell::new(Channel::clear(Arc::clone(&stream))), records)?;
            stream.shutdown(Shutdown::Write)?;
            discard(self.link, &stream);
            self.link.set_dialed(None);
            if !std::mem::replace(&mut is_known_up, true) {
                self.log_up(false);
            }
            self.link.pause(between);
            Ok(())
        });
        if is_known_up {
            self.log_down(&ended);
        }
        ended
    }

    /// What a neighbor is told besides live updates. Both directions have to speak digests for them.
    pub fn speaker(&self, version: u32) -> Speaker<'_> {
        let Flood { records, filling, settings, .. } = &**self.flood;
        let repair = &self.link.repair;
        if version.min(repair.version()) < VERSION {
            return Speaker::everything(records);
        }
        Speaker::digests(records, repair, filling, self.id, settings.sync_interval, Instant::now())
    }

    /// Says what `speaker` has, a piece at a time and live updates between, and what the outbox gets.
    /// `Talk::Idle` comes about every [`beat_every`] without either. Ends well when the outbox is closed
    /// (the other direction is lost, or the server stops, which does not wait for the speaker).
    pub fn feed(
        &self,
        piece: usize,
        mut speaker: Speaker<'_>,
        mut talk: impl FnMut(Talk<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let beat_every = self.beat_every();
        loop {
            let now = Instant::now();
            let said = if self.link.is_stopping() { None } else { speaker.next(piece, now) };
            let wait = match said {
                Some(_) => Duration::ZERO,
                None => speaker.silence(now, beat_every),
            };
            match said {
                Some(Said::Records(records)) => talk(Talk::Records(&records))?,
                Some(Said::Lines(lines)) => talk(Talk::Lines(&lines))?,
                Some(Said::Synced) => self.synced(),
                None => {}
            }
            match self.link.outbox.take(piece, wait) {
                Taken::Records(records) => talk(Talk::Records(&records))?,
                Taken::Nothing if !wait.is_zero() => talk(Talk::Idle)?,
                Taken::Nothing | Taken::Poked => {}
                Taken::Closed => return Ok(()),
            }
        }
    }

    fn synced(&self) {
        self.link.history.synced();
        // The permit that it took to find this out may be waited for.
        for link in &self.flood.links {
            link.outbox.poke();
        }
    }

    fn beat_every(&self) -> Duration {
        beat_every(self.flood.settings.timeout)
    }

    fn send(&self, stream: &RefCell<Channel>, records: &[Record]) -> io::Result<()> {
        let mut lines = Vec::with_capacity(records.len() * 160);
        for record in records {
            write_update(&record.fields(), self.flood.me.name.as_bytes(), &mut lines);
        }
        self.write(stream, &lines)?;
        self.link.count_sent(records.len());
        self.flood.log_updates("to", &self.link.neighbor.name, &lines);
        Ok(())
    }

    fn write(&self, stream: &RefCell<Channel>, bytes: &[u8]) -> io::Result<()> {
        stream.borrow_mut().write_all(bytes).map_err(|error| {
            if error.kind() != ErrorKind::WouldBlock {
                return error;
            }
            let timeout = humantime::format_duration(self.flood.settings.timeout);
            io::Error::new(ErrorKind::TimedOut, format!("it took nothing for {timeout}"))
        })
    }

    /// Tries each address of the neighbor. Both timeouts are set.
    fn connect(&self) -> io::Result<Arc<TcpStream>> {
        let mut failed = io::Error::new(ErrorKind::NotFound, "its host has no address");
        for address in self.link.neighbor.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_write_timeout(Some(self.flood.settings.timeout))?;
                    stream.set_read_timeout(Some(self.flood.settings.timeout))?;
                    let stream = Arc::new(stream);
                    self.link.set_dialed(Some(Arc::clone(&stream)));
                    return Ok(stream);
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn log_up(&self, is_encrypted: bool) {
        self.link.history.up();
        let Neighbor { name, address, .. } = &self.link.neighbor;
        let how = if is_encrypted { ", encrypted" } else { "" };
        self.flood.log.event(Level::Info, format_args!("link {name} up: {address}{how}"));
    }

    fn log_lifetimes(&self, hello: &Hello) {
        let (name, theirs, ours) = (&hello.name, hello.expire_after, self.flood.me.expire_after);
        self.flood.log.event(
            Level::Warn,
            format_args!(
                "link {name}: it says{theirs}, and we{ours}: set the same [data] expire_after on all servers"
            ),
        );
    }

    fn log_down(&self, ended: &io::Result<()>) {
        let name = &self.link.neighbor.name;
        let reason = match ended {
            Err(error) => error.to_string(),
            Ok(()) if self.link.is_stopping() => "this server stops".into(),
            Ok(()) => "its side closed".into(),
        };
        self.flood.log.event(Level::Warn, format_args!("link {name} down: {reason}"));
        match ended {
            // Who reads from it knows why.
            Ok(()) if self.link.neighbor.kind == LinkKind::Herd => self.link.history.ended(),
            _ => self.link.history.down(reason),
        }
    }
}

/// An error if the other side has closed. It writes nothing there, so nothing is lost by looking.
fn is_open(stream: &TcpStream) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    match peeked {
        Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection")),
        Ok(_) => Err(io::Error::new(ErrorKind::InvalidData, "it talks where it should listen")),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

/// Reads until the other side ends, errs, or (where a read timeout is set) is silent for it.
fn discard(link: &Link, mut stream: &TcpStream) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        link.discarded_bytes.fetch_add(length as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_beats_several_times_before_it_would_be_down_and_once_a_second_at_least() {
        assert_eq!(beat_every(Duration::from_millis(100)), Duration::from_millis(25));
        assert_eq!(beat_every(Duration::from_secs(600)), Duration::from_secs(1));
    }
}
