//! What can go wrong for a client, each with what to do about it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::{MAX_COMMAND_BYTES, MAX_OUTSTANDING, MAX_REPLY_BYTES};

/// Why a call of the client library failed.
///
/// The variants that are the caller's to mend (from [`ClientError::ZeroTimeout`] to
/// [`ClientError::RepliesOutstanding`]) are found before anything is sent: the connection is as it
/// was. After any other one the connection is closed, since nobody can say which reply would
/// come next: connect again.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The timeout is zero.
    #[error("the timeout is zero: give one that is longer, such as 5 s")]
    ZeroTimeout,
    /// The client's name could not stand in a line.
    #[error("{0:?} is no client name: it takes 1 to 255 bytes without white space")]
    ClientName(String),
    /// The location is not valid.
    #[error(
        "{0:?} is no location: write latitude and longitude in degrees with their signs, \
         such as +34.068930-118.445127, in at most 64 bytes"
    )]
    Location(String),
    /// The time lies before 1970.
    #[error("the time is {0} ns before 1970: a report's time counts from there")]
    Time(u64),
    /// The radius is not valid.
    #[error("a radius of {0} km is not possible: give 0 to 50")]
    Radius(f64),
    /// The bound is not valid.
    #[error("a bound of {0} places is not possible: give 0 to 20")]
    Bound(u8),
    /// A line with an LF inside would be two commands.
    #[error("a command holds a line feed: send each line by itself")]
    LineFeed,
    /// The line is over [`MAX_COMMAND_BYTES`].
    #[error("a command of {0} bytes is too long: at most {MAX_COMMAND_BYTES} are sent")]
    CommandTooLong(usize),
    /// [`MAX_OUTSTANDING`] commands wait for their replies.
    #[error(
        "{MAX_OUTSTANDING} commands wait for their replies: receive some first, or use pipeline()"
    )]
    TooManyOutstanding,
    /// A call that waits for its own reply was made while others are due.
    #[error("{0} replies are due before this one: receive them first")]
    RepliesOutstanding(usize),

    /// The address could not be looked up.
    #[error("cannot look up the address: {0}; give HOST:PORT with a port from 1 to 65535")]
    Resolve(#[source] io::Error),
    /// The name has no address.
    #[error("the host name has no address: check its spelling")]
    NoAddress,
    /// No address took the connection. The source is the last one's.
    #[error("cannot connect to {}: {source}; is the server running there?", join(tried))]
    Connect {
        /// Every address, in the order in which they were tried.
        tried: Vec<SocketAddr>,
        /// What the last one said.
        source: io::Error,
    },
    /// The server said `? too many connections`.
    #[error("the server has too many connections: try again later, or another server")]
    TooManyConnections,
    /// No reply, or not a whole one, within the timeout.
    #[error("no whole reply came within {0:?}: try a longer timeout, or another server")]
    ReadTimeout(Duration),
    /// The server took nothing within the timeout.
    #[error(
        "the server took no bytes for {0:?}: receive replies while sending (pipeline() or \
         split()), or try another server"
    )]
    WriteTimeout(Duration),
    /// The server closed the connection while replies were due.
    #[error("the server ended the connection; commands without a reply: {unanswered}; see its log")]
    EndedEarly {
        /// Commands sent that must be answered and were not.
        unanswered: usize,
    },
    /// The server closed the connection in the middle of a reply.
    #[error("the connection ended inside a reply, after {0} bytes of it: ask again")]
    CutShort(usize),
    /// The reply is over [`MAX_REPLY_BYTES`].
    #[error("a reply is over {MAX_REPLY_BYTES} bytes: is this a herd server?")]
    ReplyTooLong,
    /// The reply starts with neither `AT ` nor `? `, or its AT line is not valid.
    #[error("not a reply of a herd server: {0:?}; check host and port")]
    NotAReply(String),
    /// A reply that no command asked for.
    #[error("a reply that nothing asked for: {0:?}; check host and port")]
    Unexpected(String),
    /// The connection failed.
    #[error("the connection failed: {0}; connect again")]
    Io(#[from] io::Error),
}

/// Bytes for a message: escaped, the first 80 of them.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(80)];
    let more = if shown.len() < bytes.len() { "..." } else { "" };
    format!("{}{more}", String::from_utf8_lossy(shown))
}

fn join(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
