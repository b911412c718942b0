//! The task of one client.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use herd::log::Level;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf, copy, sink};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::Shared;
use super::session::{Next, Pending, Session};
use super::turn::Desk;

/// How long a client may take to close a connection that the server ends: its input is discarded until then, since a
/// close with unread input would reset it and lose replies.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes that are discarded so, at most.
const LINGER_BYTES: u64 = 1024 * 1024;

/// Serves a client until either side ends it.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let mut connection = Connection::new(shared, stream, peer);
    connection.log("opened");
    match connection.converse().await {
        Ok(reason) => connection.log(&format!("closed: {reason}")),
        Err(error) => connection.log(&format!("closed: {error}")),
    }
}

struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    session: Session,
    /// Read and not handled: the start of a line, or, after a full turn, whole lines too.
    carried: Vec<u8>,
    /// The last turn was full: `carried` may hold whole lines.
    is_full: bool,
    /// The client has shut its sending side.
    has_ended: bool,
}

/// What has to be done after a turn, before the next.
enum After {
    /// Nothing.
    Nothing,
    /// Others may go first: there are lines left.
    Yield,
    /// The socket has no room for the rest of the replies.
    Flush(Box<Unsent>),
    /// What comes after the replies, which are written.
    AskPlaces(Box<Pending>),
    /// The same.
    Close(&'static str),
}

/// Replies that the socket did not take yet, and how the connection goes on when it has.
struct Unsent {
    replies: Vec<u8>,
    next: Next,
}

impl Connection {
    fn new(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr) -> Self {
        let session = Session::new(peer);
        let carried = Vec::new();
        Self { shared, stream, session, carried, is_full: false, has_ended: false }
    }

    /// Until the end, with the reason. What is seldom waited for is boxed, so that the task of an idle client
    /// has no room for it.
    async fn converse(&mut self) -> io::Result<&'static str> {
        self.stream.set_nodelay(true)?;
        loop {
            let mut after = poll_fn(|context| self.poll_turn(context)).await?;
            loop {
                after = match after {
                    After::Nothing => break,
                    After::Yield => {
                        yield_now().await;
                        break;
                    }
                    After::Flush(unsent) => Box::pin(self.flush(*unsent)).await?,
                    After::AskPlaces(pending) => Box::pin(self.ask_places(*pending)).await?,
                    After::Close(reason) => return Box::pin(self.end(reason)).await,
                }
            }
        }
    }

    /// One turn: reads once, handles lines, writes the replies. Waits for input alone.
    ///
    /// The read is a poll into the desk of the thread, not `readable` and `try_read`: a poll knows that a read which did not
    /// fill its buffer has emptied the socket, and spares the second read that would find nothing.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<io::Result<After>> {
        Desk::with(|desk| {
            let carried = self.carried.len();
            let (input, turn) = desk.lay(&self.carried);
            let mut input = ReadBuf::new(input);
            input.set_filled(carried);
            if !self.is_full && !self.has_ended {
                ready!(Pin::new(&mut self.stream).poll_read(context, &mut input))?;
                self.has_ended = input.filled().len() == carried;
            }
            turn.begin();
            let input = input.filled();
            let (taken, next) = self.session.handle(&self.shared, input, self.has_ended, turn);
            self.carry(&input[taken..]);
            turn.hand_over(&self.shared);
            Poll::Ready(self.send(&turn.replies, next))
        })
    }

    /// Keeps what is not handled.
    fn carry(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.carried = Vec::new();
        } else {
            self.carried.clear();
            self.carried.extend_from_slice(rest);
        }
    }

    /// Writes what the socket takes. After UPDATEs alone there is nothing to write.
    fn send(&mut self, replies: &[u8], next: Next) -> io::Result<After> {
        if replies.is_empty() {
            return Ok(self.follow(next));
        }
        let written = match self.stream.try_write(replies) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            written => written?,
        };
        if written == replies.len() {
            return Ok(self.follow(next));
        }
        Ok(After::Flush(Box::new(Unsent { replies: replies[written..].to_vec(), next })))
    }

    /// All replies are written.
    fn follow(&mut self, next: Next) -> After {
        self.is_full = matches!(next, Next::TurnFull);
        match next {
            Next::NeedInput if self.has_ended => After::Close("the client ended it"),
            Next::NeedInput => After::Nothing,
            Next::TurnFull => After::Yield,
            Next::AskPlaces(pending) => After::AskPlaces(pending),
            Next::Close(reason) => After::Close(reason),
        }
    }

    /// Waits for the client to take its replies. Nothing is read from it meanwhile.
    async fn flush(&mut self, unsent: Unsent) -> io::Result<After> {
        self.stream.write_all(&unsent.replies).await?;
        Ok(self.follow(unsent.next))
    }

    async fn ask_places(&mut self, pending: Pending) -> io::Result<After> {
        let places = self.shared.places.nearby(&pending.lookup).await;
        let has_more = !self.carried.is_empty() || self.has_ended;
        Desk::with(|Desk { turn, .. }| {
            turn.begin();
            let next = self.session.answer(&self.shared, &pending, &places, has_more, turn);
            turn.hand_over(&self.shared);
            self.send(&turn.replies, next)
        })
    }

    async fn end(&mut self, reason: &'static str) -> io::Result<&'static str> {
        match self.has_ended {
            true => self.stream.shutdown().await?,
            false => linger(&mut self.stream).await?,
        }
        Ok(reason)
    }

    fn log(&self, event: &str) {
        if self.shared.log.wants_traffic() {
            let message = format_args!("connection {} {event}", self.session.peer);
            self.shared.log.event(Level::Info, message);
        }
    }
}

/// Says that all is written, and lets the client close first.
///
/// # Errors
///
/// When the connection is gone already.
pub(super) async fn linger(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut discarded = stream.take(LINGER_BYTES);
    // However that ends, the connection is closed now.
    let _ = timeout(LINGER, copy(&mut discarded, &mut sink())).await;
    Ok(())
}
