//! One thread of the generator: it waits for whichever of its connections has replies, and asks again.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

use super::alarm::Alarm;
use super::connection::{Came, Connection};
use super::requests::Requests;
use super::schedule::Schedule;
use super::tally::{Tally, Window};
use crate::process;

/// Room for one read; 64 AT lines take 6 KiB.
const READ_BYTES: usize = 64 * 1024;

/// Longest wait for sockets, so that the end is noticed when no reply comes.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Longest wait for a connection where each is for one request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The niceness of a thread that has a schedule to keep: enough to be woken in time. With -15, threads of
/// the server that shared its core waited tens of milliseconds.
const PUNCTUAL: i32 = -5;

/// Not the index of a connection.
const ALARM: Token = Token(usize::MAX);

pub(super) struct Generator {
    poll: Poll,
    alarm: Alarm,
    connections: Vec<Option<Connection>>,
    most_outstanding: usize,
    requests: Requests,
    /// At a fixed rate only.
    schedule: Option<Schedule>,
    /// Where to connect anew for each request; `None`: connections stay.
    one_shot: Option<SocketAddr>,
    start: Instant,
    window: Window,
    tally: Tally,
    input: Vec<u8>,
    scratch: Vec<u8>,
    /// Connections that a request became due on in this round.
    touched: Vec<usize>,
}

impl Generator {
    /// # Errors
    ///
    /// When the kernel has no room for another poll, or can't watch a stream.
    pub(super) fn new(
        streams: Vec<std::net::TcpStream>,
        most_outstanding: usize,
        requests: Requests,
        schedule: Option<Schedule>,
        one_shot: Option<SocketAddr>,
        window: Window,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        let mut connections = Vec::with_capacity(streams.len());
        for (index, stream) in streams.into_iter().enumerate() {
            connections.push(Some(watched(poll.registry(), index, stream, one_shot.is_some())?));
        }
        Ok(Self {
            poll,
            alarm,
            connections,
            most_outstanding,
            requests,
            schedule,
            one_shot,
            start: Instant::now(),
            window,
            tally: Tally::new(),
            input: vec![0; READ_BYTES],
            scratch: Vec::new(),
            touched: Vec::new(),
        })
    }

    /// Runs from `start` until the window is over and all is answered, or it gives up.
    ///
    /// # Errors
    ///
    /// When waiting for sockets fails. What happens to a connection is in the tally.
    pub(super) fn run(mut self, start: Instant) -> io::Result<Tally> {
        self.start = start;
        if self.schedule.is_some() {
            // Or it would wait for the server that it measures, where they share cores. Only root may; who
            // is not sees it in the lateness. On Linux this is of the calling thread alone.
            let _ = rustix::process::setpriority_process(None, PUNCTUAL);
        }
        let mut events = Events::with_capacity(1024);
        let mut cpu = Vec::with_capacity(2);
        if self.schedule.is_none() {
            for index in 0..self.connections.len() {
                self.send(index, self.most_outstanding);
            }
        }
        loop {
            let now = self.now();
            let borders = [self.window.from, self.window.until];
            while cpu.len() < 2 && now >= borders[cpu.len()] {
                cpu.push(process::thread_cpu_time());
            }
            // First: what was due when this thread came late to the end has to be sent all the same.
            self.send_due(now);
            if self.is_done(now) {
                break;
            }
            self.wait(&mut events)?;
            for event in &events {
                if event.token() == ALARM {
                    continue;
                }
                let index = event.token().0;
                if event.is_writable() {
                    self.attend(index, Connection::flush);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.take_replies(index);
                }
            }
        }
        if let [from, until] = cpu[..] {
            self.tally.cpu = until.saturating_sub(from);
        }
        for connection in self.connections.iter().flatten() {
            self.tally.missing += connection.unanswered() as u64;
            self.tally.per_connection.push(connection.answered);
            self.tally.without_places += connection.without_places;
        }
        Ok(self.tally)
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn is_done(&self, now: u64) -> bool {
        let mut open = self.connections.iter().flatten();
        now >= self.window.until
            && (now >= self.window.give_up || open.all(|connection| connection.unanswered() == 0))
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let mut wait = LONGEST_WAIT;
        if let Some(schedule) = &self.schedule
            && self.is_sending(schedule.next_due())
        {
            let until_due = schedule.next_due().saturating_sub(self.now());
            wait = wait.min(Duration::from_nanos(until_due));
            if !wait.is_zero() {
                self.alarm.set(wait)?;
            }
        }
        match self.poll.poll(events, Some(wait)) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
            _ => Ok(()),
        }
    }

    fn is_sending(&self, now: u64) -> bool {
        now < self.window.until
    }

    /// Sends what the schedule says is due; connections take turns.
    fn send_due(&mut self, now: u64) {
        let Some(schedule) = &mut self.schedule else { return };
        let until = self.window.until;
        while schedule.next_due() < until
            && let Some((number, due)) = schedule.take(now)
        {
            let index = number as usize % self.connections.len();
            match &mut self.connections[index] {
                Some(connection) => {
                    if !connection.is_behind() {
                        self.touched.push(index);
                    }
                    connection.enqueue(due);
                }
                // Its connection is gone.
                None => self.tally.missing += 1,
            }
        }
        for index in std::mem::take(&mut self.touched) {
            self.send_waiting(index, true);
        }
    }

    /// `is_due_now`: what waits became due in this round, and if it goes out late, that is our doing.
    fn send_waiting(&mut self, index: usize, is_due_now: bool) {
        let now = self.now();
        let Some(connection) = &mut self.connections[index] else { return };
        let first_due = connection.first_due();
        let most = self.most_outstanding;
        match connection.send_waiting(most, &mut self.requests, &mut self.scratch) {
            Ok(count) if count > 0 && is_due_now => {
                self.tally.late(now.saturating_sub(first_due.unwrap_or(now)), &self.window, now);
            }
            Ok(_) => {}
            Err(error) => self.drop_connection(index, &error.to_string()),
        }
    }

    /// Sends requests that are due now, unless the measured time is over.
    fn send(&mut self, index: usize, count: usize) {
        self.send_at(index, count, self.now());
    }

    fn send_at(&mut self, index: usize, count: usize, now: u64) {
        if !self.is_sending(now) {
            return;
        }
        let Some(connection) = &mut self.connections[index] else { return };
        let sent = connection.send(count, now, &mut self.requests, &mut self.scratch);
        if let Err(error) = sent {
            self.drop_connection(index, &error.to_string());
        }
    }

    fn take_replies(&mut self, index: usize) {
        loop {
            let now = self.start.elapsed().as_nanos() as u64;
            let Some(connection) = &mut self.connections[index] else { return };
            let (tally, window) = (&mut self.tally, &self.window);
            let mut count = 0;
            let came = {
                let mut wrong = Vec::new();
                let came = connection.read(
                    &mut self.input,
                    |answered| {
                        count += answered.count;
                        tally.answered(&answered, now, window);
                    },
                    |reply| wrong.push(reply.to_vec()),
                );
                wrong.iter().for_each(|reply| self.tally.wrong(reply));
                came
            };
            if self.window.holds(now) {
                connection.answered += count;
            }
            if count > 0 && self.one_shot.is_none() {
                self.ask_again(index, count as usize);
            }
            match came {
                Ok(Came::Some) => {}
                Ok(Came::All) => return,
                Ok(Came::End) => return self.ended(index, now),
                Err(error) => return self.drop_connection(index, &error.to_string()),
            }
        }
    }

    /// An end is what is waited for where each connection is for one request.
    fn ended(&mut self, index: usize, now: u64) {
        let is_quiet = self.connections[index].as_ref().is_some_and(Connection::is_quiet);
        let Some(address) = self.one_shot.filter(|_| is_quiet) else {
            return self.drop_connection(index, "the server ended the connection");
        };
        if let Err(error) = self.reopen(index, address) {
            return self.drop_connection(index, &error.to_string());
        }
        // In a closed loop the time for the connection is part of the request's.
        match self.schedule {
            Some(_) => self.send_waiting(index, false),
            None => self.send_at(index, 1, now),
        }
    }

    fn reopen(&mut self, index: usize, address: SocketAddr) -> io::Result<()> {
        let stream = std::net::TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        let mut connection = watched(self.poll.registry(), index, stream, true)?;
        if let Some(before) = self.connections[index].take() {
            connection.continue_from(before);
        }
        self.connections[index] = Some(connection);
        Ok(())
    }

    fn ask_again(&mut self, index: usize, count: usize) {
        if self.schedule.is_some() {
            self.send_waiting(index, false);
        } else {
            self.send(index, count);
        }
    }

    fn attend(&mut self, index: usize, act: impl FnOnce(&mut Connection) -> io::Result<()>) {
        if let Some(connection) = &mut self.connections[index]
            && let Err(error) = act(connection)
        {
            self.drop_connection(index, &error.to_string());
        }
    }

    fn drop_connection(&mut self, index: usize, reason: &str) {
        if let Some(connection) = self.connections[index].take() {
            self.tally.ended(connection.unanswered() as u64, connection.answered, reason);
            self.tally.without_places += connection.without_places;
        }
    }
}

fn watched(
    registry: &Registry,
    index: usize,
    stream: std::net::TcpStream,
    reads_to_end: bool,
) -> io::Result<Connection> {
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    let both = Interest::READABLE | Interest::WRITABLE;
    registry.register(&mut stream, Token(index), both)?;
    Ok(Connection::new(stream, reads_to_end))
}
