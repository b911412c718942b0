//! The blocking client library: [`Client`] for one call after the other, [`Client::pipeline`] and
//! [`Client::split`] for many commands at once. [`status`] asks how a server stands.
//!
//! Nothing here waits for ever: every wait for the network ends by the timeout that was given to
//! [`Client::connect`].

use std::collections::VecDeque;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::protocol::location::is_location;
use crate::protocol::name::is_client;
use crate::protocol::{Kilometers, Nanos, command, fields};
use crate::threads;

mod connection;
mod error;
mod receiver;
mod reply;
mod sender;
mod status;

use connection::Connection;

pub use error::ClientError;
pub use receiver::Receiver;
pub use reply::{At, Invalid, Nearby, Places, RawReply, Reply};
pub use sender::Sender;
pub use status::{StatusError, status};

/// Most commands without a reply on one connection. Far more than hides any round trip; raising
/// it takes memory at both ends.
pub const MAX_OUTSTANDING: usize = 4096;

/// Longest command line that is sent, in bytes without LF. Servers take 8 KiB by default.
pub const MAX_COMMAND_BYTES: usize = 1 << 20;

/// Longest reply that is received, in bytes. 20 places take about 20 KiB.
pub const MAX_REPLY_BYTES: usize = 16 << 20;

/// A connection to one server.
///
/// ```
/// use herd::Client;
/// use herd::protocol::{Kilometers, Nanos};
/// use std::time::Duration;
///
/// # use std::io::{BufRead, BufReader, Write};
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// # let address = listener.local_addr()?;
/// # std::thread::spawn(move || {
/// #     let (mut stream, _) = listener.accept().unwrap();
/// #     let lines = BufReader::new(stream.try_clone().unwrap()).lines();
/// #     for line in lines {
/// #         let at = "AT Goloman +0.263873386 kiwi +34.068930-118.445127 1479413884.392014450";
/// #         let reply = match line.unwrap().split(' ').next() {
/// #             Some("IAMAT") => format!("{at}\n"),
/// #             _ => format!("{at}\n{{\"results\": [{{\"name\": \"Los Angeles\"}}]}}\n\n"),
/// #         };
/// #         stream.write_all(reply.as_bytes()).unwrap();
/// #     }
/// # });
/// # /*
/// let address = "127.0.0.1:12000";
/// # */
/// let mut client = Client::connect(address, Duration::from_secs(5))?;
///
/// let time = Nanos(1_479_413_884_392_014_450);
/// let at = client.report("kiwi", "+34.068930-118.445127", time)??;
/// assert_eq!(at.server.as_str(), "Goloman");
/// assert_eq!(at.skew, Nanos(263_873_386));
///
/// let nearby = client.places_near("kiwi", Kilometers(10.0), 5)??;
/// assert_eq!(nearby.at, at);
/// assert_eq!(nearby.places.to_value()?["results"][0]["name"], "Los Angeles");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The first `?` is for what fails (a [`ClientError`]), the second for a command that the server
/// does not take as valid (an [`Invalid`] with the line): two things that a program handles
/// differently.
#[derive(Debug)]
pub struct Client {
    sender: Sender,
    receiver: Receiver,
    /// Refused UPDATEs that came before the reply of a call that waited for its own.
    refused: VecDeque<Reply>,
}

impl Client {
    /// Connects to the first address that takes the connection.
    ///
    /// Waits for each address at most for the timeout (and for the system's resolver, if a name
    /// must be looked up, as long as that takes). The same timeout then bounds every wait for the
    /// server to take or send something.
    ///
    /// # Errors
    ///
    /// [`ClientError::ZeroTimeout`], [`ClientError::Resolve`], [`ClientError::NoAddress`],
    /// [`ClientError::Connect`].
    pub fn connect(address: impl ToSocketAddrs, timeout: Duration) -> Result<Self, ClientError> {
        let connection = Arc::new(Connection::open(address, timeout)?);
        let (expect, expected) = crossbeam_channel::bounded(MAX_OUTSTANDING);
        Ok(Self {
            sender: Sender::new(Arc::clone(&connection), expect),
            receiver: Receiver::new(connection, expected),
            refused: VecDeque::new(),
        })
    }

    /// Says where a client is at a time: `IAMAT`. The location is latitude and longitude in
    /// degrees with their signs, `+34.068930-118.445127`.
    ///
    /// The answer is the server's record of the client, which is a newer report if it has one.
    ///
    /// # Errors
    ///
    /// [`ClientError::ClientName`], [`ClientError::Location`] and [`ClientError::Time`] before
    /// anything is sent, [`ClientError::RepliesOutstanding`] after [`Client::send`] without
    /// [`Client::receive`], and what sending and receiving can meet.
    pub fn report(
        &mut self,
        client: impl AsRef<[u8]>,
        location: impl AsRef<[u8]>,
        time: Nanos,
    ) -> Result<Result<At, Invalid>, ClientError> {
        let (client, location) = (client.as_ref(), location.as_ref());
        check_client(client)?;
        if !is_location(location) {
            return Err(ClientError::Location(error::excerpt(location)));
        }
        let time = time_text(time)?;
        let line = [b"IAMAT", client, location, time.as_bytes()].join(&b' ');
        match self.exchange(&line)? {
            Reply::At(at) => Ok(Ok(at)),
            Reply::Nearby(nearby) => Ok(Ok(nearby.at)),
            Reply::Invalid(invalid) => Ok(Err(invalid)),
        }
    }

    /// [`Client::report`] with the time of this machine's clock.
    ///
    /// # Errors
    ///
    /// As [`Client::report`].
    pub fn report_now(
        &mut self,
        client: impl AsRef<[u8]>,
        location: impl AsRef<[u8]>,
    ) -> Result<Result<At, Invalid>, ClientError> {
        self.report(client, location, now())
    }

    /// Asks what is near a client: `WHATSAT`, with a radius of 0 to 50 km and 0 to 20 places.
    ///
    /// A client that the server knows nothing of is [`Invalid`]. When the places service fails,
    /// the answer still holds the record, and the places say so in `status` and `error_message`.
    ///
    /// # Errors
    ///
    /// [`ClientError::ClientName`], [`ClientError::Radius`] and [`ClientError::Bound`] before
    /// anything is sent, and else as [`Client::report`].
    pub fn places_near(
        &mut self,
        client: impl AsRef<[u8]>,
        radius: Kilometers,
        bound: u8,
    ) -> Result<Result<Nearby, Invalid>, ClientError> {
        let client = client.as_ref();
        check_client(client)?;
        // Written so that NaN is refused too.
        if !(0.0..=command::MAX_RADIUS_KM as f64).contains(&radius.0) {
            return Err(ClientError::Radius(radius.0));
        }
        if u64::from(bound) > command::MAX_BOUND {
            return Err(ClientError::Bound(bound));
        }
        // `abs`: -0.0 is in range, but its sign is none of the protocol's.
        let (radius, bound) = (radius.0.abs().to_string(), bound.to_string());
        let line = [b"WHATSAT", client, radius.as_bytes(), bound.as_bytes()].join(&b' ');
        match self.exchange(&line)? {
            Reply::Nearby(nearby) => Ok(Ok(nearby)),
            Reply::At(at) => Err(ClientError::NotAReply(format!("{at:?} without places"))),
            Reply::Invalid(invalid) => Ok(Err(invalid)),
        }
    }

    /// Sends one line, of any bytes, and waits for its reply. `None` for an UPDATE: whether the
    /// server accepts that is only known from later replies or from [`Client::finish`].
    ///
    /// # Errors
    ///
    /// [`ClientError::RepliesOutstanding`], [`ClientError::LineFeed`],
    /// [`ClientError::CommandTooLong`] before anything is sent, and what sending and receiving
    /// can meet.
    pub fn request(&mut self, line: impl AsRef<[u8]>) -> Result<Option<Reply>, ClientError> {
        let line = line.as_ref();
        if fields(line).next() == Some(b"UPDATE") {
            self.send(line)?;
            self.sender.flush()?;
            return Ok(None);
        }
        self.exchange(line).map(Some)
    }

    /// Sends one line, of any bytes, and does not wait for its reply; an LF is added if it has
    /// none. It may stay in a buffer until [`Client::receive`] or [`Client::finish`].
    ///
    /// At most [`MAX_OUTSTANDING`] commands can wait for their replies. While nobody receives,
    /// the replies fill the buffers of the sockets; when the commands do not fit there either,
    /// this fails with [`ClientError::WriteTimeout`] and does not hang. Up to 64 KiB of commands
    /// always fit. For more, [`Client::pipeline`] and [`Client::split`] receive while they send.
    ///
    /// ```
    /// # use herd::client::{Client, Reply};
    /// # use std::io::{BufRead, BufReader, Write};
    /// # use std::time::Duration;
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let address = listener.local_addr()?;
    /// # std::thread::spawn(move || {
    /// #     let (mut stream, _) = listener.accept().unwrap();
    /// #     for line in BufReader::new(stream.try_clone().unwrap()).lines() {
    /// #         stream.write_all(format!("? {}\n", line.unwrap()).as_bytes()).unwrap();
    /// #     }
    /// # });
    /// let mut client = Client::connect(address, Duration::from_secs(5))?;
    /// client.send("one")?;
    /// client.send("two")?;
    /// for line in ["one", "two"] {
    ///     let Some(Reply::Invalid(invalid)) = client.receive()? else { panic!("not valid") };
    ///     assert_eq!(invalid.0, line.as_bytes());
    /// }
    /// assert_eq!(client.receive()?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ClientError::TooManyOutstanding`], [`ClientError::LineFeed`],
    /// [`ClientError::CommandTooLong`] before anything is sent; [`ClientError::WriteTimeout`] and
    /// [`ClientError::Io`].
    pub fn send(&mut self, line: impl AsRef<[u8]>) -> Result<(), ClientError> {
        if self.sender.is_full() {
            return Err(ClientError::TooManyOutstanding);
        }
        self.sender.send(line)
    }

    /// The next reply; `None` if none is due. (An UPDATE is never due a reply; see
    /// [`Client::request`].) Waits at most twice the timeout.
    ///
    /// # Errors
    ///
    /// As [`Receiver::receive`], and [`ClientError::WriteTimeout`] if what [`Client::send`] left
    /// in the buffer can't be sent.
    pub fn receive(&mut self) -> Result<Option<Reply>, ClientError> {
        match self.refused.pop_front() {
            Some(reply) => Ok(Some(reply)),
            None => self.next(),
        }
    }

    /// Says that nothing more is sent, and receives the replies that are left, to the end.
    ///
    /// # Errors
    ///
    /// As [`Client::receive`].
    pub fn finish(self) -> Result<Vec<Reply>, ClientError> {
        let Self { sender, mut receiver, refused } = self;
        let mut replies = Vec::from(refused);
        let sent = sender.finish();
        while let Some(reply) = receiver.receive()? {
            replies.push(reply);
        }
        sent.map(|()| replies)
    }

    /// Sends all the lines and hands each reply over as it comes, then finishes. A thread sends
    /// while this one receives, so any number of commands goes through, in bounded memory.
    ///
    /// ```
    /// # use herd::client::{Client, Reply};
    /// # use std::io::{BufRead, BufReader, Write};
    /// # use std::time::Duration;
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let address = listener.local_addr()?;
    /// # std::thread::spawn(move || {
    /// #     let (mut stream, _) = listener.accept().unwrap();
    /// #     for line in BufReader::new(stream.try_clone().unwrap()).lines() {
    /// #         let line = line.unwrap();
    /// #         let mut words = line.split(' ').skip(1);
    /// #         let [client, location, time] = [(); 3].map(|()| words.next().unwrap());
    /// #         let reply = format!("AT Hands +0.000000001 {client} {location} {time}\n");
    /// #         stream.write_all(reply.as_bytes()).unwrap();
    /// #     }
    /// # });
    /// let client = Client::connect(address, Duration::from_secs(5))?;
    /// let reports = (0..1000).map(|n| format!("IAMAT walker{n} +34.0689-118.4451 1479413884.5"));
    /// let mut stored = 0;
    /// client.pipeline(reports, |reply| {
    ///     if let Reply::At(_) = reply {
    ///         stored += 1;
    ///     }
    /// })?;
    /// assert_eq!(stored, 1000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Client::send`] and [`Client::receive`]; replies that came before were handed over.
    pub fn pipeline<I>(self, lines: I, mut on_reply: impl FnMut(Reply)) -> Result<(), ClientError>
    where
        I: IntoIterator<Item: AsRef<[u8]>> + Send,
    {
        let Self { mut sender, receiver, refused } = self;
        let mut receiver = receiver.apart();
        refused.into_iter().for_each(&mut on_reply);
        std::thread::scope(|scope| {
            let sending = threads::spawn_scoped(scope, "client-send", move || {
                lines.into_iter().try_for_each(|line| sender.send(line))?;
                sender.finish()
            })?;
            let received = loop {
                match receiver.receive() {
                    Ok(Some(reply)) => on_reply(reply),
                    Ok(None) => break Ok(()),
                    Err(e) => break Err(e),
                }
            };
            // Frees a sender that waits for room.
            drop(receiver);
            let sent = sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            match (sent, received) {
                // A line of the caller's that can't be sent is why the replies end.
                (Err(e @ (ClientError::LineFeed | ClientError::CommandTooLong(_))), _) => Err(e),
                // The receiver knows better why a connection ended.
                (sent, received) => received.and(sent),
            }
        })
    }

    /// The two halves, for two threads.
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver.apart())
    }

    /// Sends a line that must be answered and waits for its own reply.
    fn exchange(&mut self, line: &[u8]) -> Result<Reply, ClientError> {
        match self.receiver.outstanding() {
            0 => self.sender.send(line)?,
            due => return Err(ClientError::RepliesOutstanding(due)),
        }
        loop {
            let reply = self.next()?.ok_or(ClientError::EndedEarly { unanswered: 1 })?;
            if !refuses_update(&reply) {
                return Ok(reply);
            }
            self.refused.push_back(reply);
        }
    }

    fn next(&mut self) -> Result<Option<Reply>, ClientError> {
        match self.sender.flush() {
            Ok(()) => {}
            // What the server said before it closed says more than a broken pipe.
            Err(ClientError::Io(broken)) => {
                return self.receiver.receive().and_then(|reply| match reply {
                    Some(reply) => Ok(Some(reply)),
                    None => Err(ClientError::Io(broken)),
                });
            }
            Err(e) => return Err(e),
        }
        if self.receiver.outstanding() == 0 && !self.receiver.is_abandoned() {
            return self.receiver.buffered_raw()?.map(RawReply::parse).transpose();
        }
        self.receiver.receive()
    }
}

/// The time of this machine's clock.
pub fn now() -> Nanos {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}

fn check_client(client: &[u8]) -> Result<(), ClientError> {
    if is_client(client) {
        return Ok(());
    }
    Err(ClientError::ClientName(error::excerpt(client)))
}

/// `1479413884.392014450`
fn time_text(time: Nanos) -> Result<String, ClientError> {
    let nanos = u64::try_from(time.0).map_err(|_| ClientError::Time(time.0.unsigned_abs()))?;
    Ok(format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000))
}

fn refuses_update(reply: &Reply) -> bool {
    matches!(reply, Reply::Invalid(Invalid(line)) if fields(line).next() == Some(b"UPDATE"))
}
