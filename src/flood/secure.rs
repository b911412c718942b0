//! What a link is spoken through: a socket, in clear or in Noise.
//!
//! With a key, the two sides of a connection first shake hands as `Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s`, the
//! one that dialed first, each in one message; all else, HELLO too, goes in [`messages`](super::messages). Who
//! begins with anything but the length of a handshake's message speaks something else, and is told so in clear.
//!
//! Why NNpsk0:
//!
//! - What a server has to prove is that it belongs to the herd, and the key says just that. Patterns with a
//!   key pair for each server would tell the servers apart too, but then every server's public key has to be
//!   brought to every other, and servers of a herd trust each other with every record anyhow.
//! - The key is mixed in before the first message (psk0), so its tag shows at once whether who dials has the
//!   key, and which of several: strangers cost no Diffie-Hellman and learn nothing. With psk2 the dialed side would
//!   have to answer before it knows.
//! - Both sides' ephemeral keys (NN) make each connection's keys new: a key that leaks opens no recorded traffic.
//!
//! A first message that was recorded and is played again gets its answer, and then nowhere: the keys of the
//! transport come from an ephemeral key that the player does not have, and only a HELLO inside the transport counts.
//! The prologue names this protocol and its version, so a handshake made for anything else fails.
//! `ChaChaPoly` is fast on every machine, also without AES instructions; ring does it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use snow::resolvers::{DefaultResolver, FallbackResolver, RingResolver};
use snow::{Builder, HandshakeState};

use super::handshake::MAX_HELLO_BYTES;
use super::key::{Key, Keys};
use super::messages::{MAX_SAID, Noise, PREFIX, TAG, prefix_of};
use super::refusal::Refusal;

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s";
/// Changes with everything that is said before HELLO.
const PROLOGUE: &[u8] = b"herd links, noise 1";
/// A message of the handshake: an ephemeral key and a tag.
const HANDSHAKE: usize = 32 + TAG;

/// One connection of a link.
pub struct Channel {
    socket: Arc<TcpStream>,
    noise: Option<Box<Noise>>,
}

impl Channel {
    /// One without a key.
    pub fn clear(socket: Arc<TcpStream>) -> Self {
        Self { socket, noise: None }
    }

    /// The side that dialed: shakes hands with the first of the keys, if there are any. Blocks until the
    /// deadline at most, which dripping does not extend.
    ///
    /// # Errors
    ///
    /// When the other side refuses, does not have the key, is too slow, or closes.
    pub fn dial(
        socket: Arc<TcpStream>,
        keys: Option<&Keys>,
        deadline: Instant,
    ) -> io::Result<Self> {
        let Some(keys) = keys else { return Ok(Self::clear(socket)) };
        let mut state = builder(keys.first())?.build_initiator().map_err(io::Error::other)?;
        (&*socket).write_all(&handshake_message(&mut state)?)?;
        let mut prefix = [0; PREFIX];
        read_exact_by(&socket, &mut prefix, deadline)?;
        if usize::from(u16::from_be_bytes(prefix)) != HANDSHAKE {
            return Err(spoke_in_clear(&socket, prefix, deadline));
        }
        let mut message = [0; HANDSHAKE];
        read_exact_by(&socket, &mut message, deadline)?;
        state.read_message(&message, &mut []).map_err(|_| {
            io::Error::new(
                ErrorKind::InvalidData,
                "its answer to our handshake does not fit our key",
            )
        })?;
        Self::in_noise(socket, state)
    }

    /// The side that was dialed: lets in who has one of the keys, and says which. Blocks until the deadline
    /// at most, which dripping does not extend.
    ///
    /// # Errors
    ///
    /// [`Refusal`], also when only one side has a key.
    pub fn accept(
        socket: Arc<TcpStream>,
        keys: Option<&Keys>,
        deadline: Instant,
    ) -> Result<(Self, Option<Key>), Refusal> {
        let mut prefix = [0; PREFIX];
        let Some(keys) = keys else {
            socket.set_read_timeout(Some(left_until(deadline)?))?;
            // No line begins so, and a handshake of Noise does.
            if socket.peek(&mut prefix[..1])? == 1 && prefix[0] == 0 {
                return Err(Refusal::NoKeyHere);
            }
            return Ok((Self::clear(socket), None));
        };
        read_exact_by(&socket, &mut prefix, deadline)?;
        if usize::from(u16::from_be_bytes(prefix)) != HANDSHAKE {
            return Err(if prefix == *b"HE" { Refusal::InClear } else { Refusal::NotHandshake });
        }
        let mut message = [0; HANDSHAKE];
        read_exact_by(&socket, &mut message, deadline)?;
        for key in keys.all() {
            let mut state = builder(key)?.build_responder().map_err(io::Error::other)?;
            if state.read_message(&message, &mut []).is_ok() {
                (&*socket).write_all(&handshake_message(&mut state)?)?;
                return Ok((Self::in_noise(socket, state)?, Some(key.clone())));
            }
        }
        Err(Refusal::WrongKey)
    }

    fn in_noise(socket: Arc<TcpStream>, state: HandshakeState) -> io::Result<Self> {
        let noise = Noise::new(state.into_transport_mode().map_err(io::Error::other)?);
        Ok(Self { socket, noise: Some(Box::new(noise)) })
    }

    /// The socket, to set timeouts and to look whether it is open: not to read or write.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// True with a key.
    pub fn is_encrypted(&self) -> bool {
        self.noise.is_some()
    }

    /// Reads the first line, with its LF and not more than it. Blocks until the deadline at most, which
    /// dripping does not extend.
    ///
    /// # Errors
    ///
    /// When the line is not whole in time, too long, cut off, or not from who shook hands.
    pub fn read_hello(&mut self, deadline: Instant) -> Result<Vec<u8>, Refusal> {
        let Some(noise) = &mut self.noise else {
            return Ok(read_line_by(&self.socket, Vec::new(), deadline)?);
        };
        let mut prefix = [0; PREFIX];
        read_exact_by(&self.socket, &mut prefix, deadline)?;
        let length = usize::from(u16::from_be_bytes(prefix));
        if length > MAX_HELLO_BYTES + TAG {
            return Err(too_long().into());
        }
        let mut message = vec![0; length];
        read_exact_by(&self.socket, &mut message, deadline)?;
        noise.open(&message).map_err(|_| Refusal::Forged)
    }

    /// Writes all of it, in as few messages as it takes. Blocks for the socket's write timeout at most for
    /// each piece that the socket takes.
    ///
    /// # Errors
    ///
    /// The socket's. The connection is then of no more use.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(noise) = &mut self.noise else { return (&*self.socket).write_all(bytes) };
        for piece in bytes.chunks(MAX_SAID) {
            (&*self.socket).write_all(noise.seal(piece)?)?;
        }
        Ok(())
    }
}

impl Read for Channel {
    /// As the socket's `read`; in Noise it gives nothing of a message that was changed on the way.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.noise {
            None => (&*self.socket).read(buffer),
            Some(noise) => noise.read(&mut &*self.socket, buffer),
        }
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel")
            .field("socket", &self.socket)
            .field("is_encrypted", &self.is_encrypted())
            .finish_non_exhaustive()
    }
}

fn builder(key: &Key) -> io::Result<Builder<'_>> {
    let resolver = FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver));
    let pattern = PATTERN.parse().map_err(io::Error::other)?;
    Builder::with_resolver(pattern, Box::new(resolver))
        .prologue(PROLOGUE)
        .and_then(|builder| builder.psk(0, key.expose()))
        .map_err(io::Error::other)
}

fn handshake_message(state: &mut HandshakeState) -> io::Result<[u8; PREFIX + HANDSHAKE]> {
    let mut message = [0; PREFIX + HANDSHAKE];
    let length = state.write_message(&[], &mut message[PREFIX..]).map_err(io::Error::other)?;
    message[..PREFIX].copy_from_slice(&prefix_of(length));
    Ok(message)
}

/// Why who was dialed does not shake hands, if it says so in clear.
fn spoke_in_clear(socket: &TcpStream, begin: [u8; PREFIX], deadline: Instant) -> io::Error {
    let line = read_line_by(socket, begin.to_vec(), deadline);
    refused(line.as_deref().unwrap_or_default()).unwrap_or_else(|| {
        let reason = "it does not speak as one with a key: set [links] key_file there too";
        io::Error::new(ErrorKind::InvalidData, reason)
    })
}

/// What a line says that refuses us, if it does.
pub fn refused(line: &[u8]) -> Option<io::Error> {
    let reason = line.strip_prefix(b"? ")?;
    let reason = String::from_utf8_lossy(reason.trim_ascii_end()).escape_debug().to_string();
    Some(io::Error::other(format!("it refused us: {reason}")))
}

/// Reads on to the LF of a line that begins so; a byte at a time, since what comes behind it is not ours
/// to read.
fn read_line_by(socket: &TcpStream, mut line: Vec<u8>, deadline: Instant) -> io::Result<Vec<u8>> {
    while !line.ends_with(b"\n") {
        if line.len() >= MAX_HELLO_BYTES {
            return Err(too_long());
        }
        let mut byte = [0];
        read_exact_by(socket, &mut byte, deadline)?;
        line.push(byte[0]);
    }
    Ok(line)
}

fn read_exact_by(mut socket: &TcpStream, buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        socket.set_read_timeout(Some(left_until(deadline)?))?;
        match socket.read(&mut buffer[filled..]) {
            Ok(0) => {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed before its HELLO"));
            }
            Ok(length) => filled += length,
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn left_until(deadline: Instant) -> io::Result<std::time::Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(ErrorKind::TimedOut, "no whole HELLO within 5 s"));
    }
    Ok(left)
}

fn too_long() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "its first line is too long for a HELLO")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Shutdown, TcpListener};
    use std::path::Path;
    use std::time::Duration;

    fn keys(numbers: &[u8]) -> Keys {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("herd.key");
        let text: Vec<String> = numbers.iter().map(|n| format!("{n:02x}").repeat(32)).collect();
        write(&path, &text.join("\n"));
        Keys::read(&path).unwrap()
    }

    fn write(path: &Path, text: &str) {
        use std::os::unix::fs::OpenOptionsExt;
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).mode(0o600).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn sockets() -> [Arc<TcpStream>; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let dialed = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        [dialed, listener.accept().unwrap().0].map(Arc::new)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    type Accepted = Result<(Channel, Option<Key>), Refusal>;

    /// Both sides of a handshake, each with these keys, or none.
    fn shake_hands(dials: Option<Keys>, accepts: Option<Keys>) -> (io::Result<Channel>, Accepted) {
        let [dialed, accepted] = sockets();
        std::thread::scope(|scope| {
            let accepted = scope.spawn(move || {
                let result = Channel::accept(Arc::clone(&accepted), accepts.as_ref(), soon());
                if let Err(refusal) = &result {
                    (&*accepted).write_all(format!("? {refusal}\n").as_bytes()).unwrap();
                }
                result
            });
            let mut dialed = Channel::dial(dialed, dials.as_ref(), soon());
            if dials.is_none() {
                dialed.as_mut().unwrap().write_all(b"HELLO B 1 5\n").unwrap();
            }
            (dialed, accepted.join().unwrap())
        })
    }

    #[test]
    fn the_first_key_of_who_dials_has_to_be_one_of_those_of_who_is_dialed() {
        for (dials, accepts) in [(&[1][..], &[1][..]), (&[2, 1], &[1, 2]), (&[3, 9], &[1, 2, 3])] {
            let (dialed, accepted) = shake_hands(Some(keys(dials)), Some(keys(accepts)));
            let (mut dialed, (mut accepted, key)) = (dialed.unwrap(), accepted.unwrap());
            assert_eq!(key.as_ref(), Some(keys(dials).first()));
            dialed.write_all(b"HELLO A\n").unwrap();
            assert_eq!(accepted.read_hello(soon()).unwrap(), b"HELLO A\n");
            accepted.write_all(b"HELLO B\n").unwrap();
            assert_eq!(dialed.read_hello(soon()).unwrap(), b"HELLO B\n");
            let long = vec![7; 200_000];
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    dialed.write_all(&long).unwrap();
                    dialed.socket().shutdown(Shutdown::Write).unwrap();
                });
                accepted.socket().set_read_timeout(None).unwrap();
                let mut read = Vec::new();
                accepted.read_to_end(&mut read).unwrap();
                assert!(read == long);
            });
        }
    }

    #[track_caller]
    fn check_refused(dials: Option<Keys>, accepts: Option<Keys>, why: &Refusal) {
        let is_told_at_once = dials.is_some();
        let (dialed, accepted) = shake_hands(dials, accepts);
        assert_eq!(accepted.unwrap_err().to_string(), why.to_string());
        if is_told_at_once {
            assert_eq!(dialed.unwrap_err().to_string(), format!("it refused us: {why}"));
        }
    }

    #[test]
    fn another_key_or_a_key_on_one_side_only_is_refused_and_both_sides_know_why() {
        check_refused(Some(keys(&[1])), Some(keys(&[2, 3])), &Refusal::WrongKey);
        check_refused(Some(keys(&[1])), None, &Refusal::NoKeyHere);
        check_refused(None, Some(keys(&[1])), &Refusal::InClear);
    }

    #[test]
    fn who_answers_a_handshake_with_something_else_is_told_apart() {
        for (answer, why) in [
            (&b"220 mail\r\n"[..], "it does not speak as one with a key"),
            (b"? it is full\n", "it refused us: it is full"),
            (b"? \x1b[1m\n", "it refused us: \\u{1b}[1m"),
            (&[0, 48, 1, 2, 3], "it closed before its HELLO"),
            (&[[0, 48].as_slice(), &[9; 48]].concat(), "does not fit our key"),
            (&[b'x'; 600], "it does not speak as one with a key"),
            (b"", "it closed before its HELLO"),
        ] {
            let [dialed, accepted] = sockets();
            (&*accepted).write_all(answer).unwrap();
            accepted.shutdown(Shutdown::Write).unwrap();
            let error = Channel::dial(dialed, Some(&keys(&[1])), soon()).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn what_drips_or_stalls_is_given_up_at_the_deadline() {
        let [dialed, accepted] = sockets();
        std::thread::scope(|scope| {
            let (send, done) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                let mut bytes = [0, 48].into_iter().chain(std::iter::repeat(7));
                while done
                    .recv_timeout(Duration::from_millis(20))
                    .is_err_and(|error| error == std::sync::mpsc::RecvTimeoutError::Timeout)
                {
                    // Never as many as a message has within the deadline.
                    let _ = (&*dialed).write_all(&[bytes.next().unwrap()]);
                }
            });
            let deadline = Instant::now() + Duration::from_millis(100);
            let refusal = Channel::accept(accepted, Some(&keys(&[1])), deadline).unwrap_err();
            assert!(matches!(refusal, Refusal::Stalled), "{refusal}");
            drop(send);
        });
    }

    #[test]
    fn a_handshake_that_is_played_again_gets_its_answer_and_then_nowhere() {
        let keys = keys(&[1]);
        let [dialed, proxied] = sockets();
        let [proxy, accepted] = sockets();
        // Recorded: the first message of a handshake that succeeded, and its HELLO.
        let mut recorded = [0; PREFIX + HANDSHAKE + PREFIX + 12 + TAG];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut dialed = Channel::dial(dialed, Some(&keys), soon()).unwrap();
                dialed.write_all(b"HELLO B 1 5\n").unwrap();
            });
            let accepting = scope.spawn(|| {
                let (mut channel, _) = Channel::accept(accepted, Some(&keys), soon()).unwrap();
                channel.read_hello(soon()).unwrap()
            });
            (&*proxied).read_exact(&mut recorded[..PREFIX + HANDSHAKE]).unwrap();
            (&*proxy).write_all(&recorded[..PREFIX + HANDSHAKE]).unwrap();
            let mut answer = [0; PREFIX + HANDSHAKE];
            (&*proxy).read_exact(&mut answer).unwrap();
            (&*proxied).write_all(&answer).unwrap();
            (&*proxied).read_exact(&mut recorded[PREFIX + HANDSHAKE..]).unwrap();
            (&*proxy).write_all(&recorded[PREFIX + HANDSHAKE..]).unwrap();
            assert_eq!(accepting.join().unwrap(), b"HELLO B 1 5\n");
        });
        let [player, accepted] = sockets();
        (&*player).write_all(&recorded).unwrap();
        let (mut channel, _) = Channel::accept(accepted, Some(&keys), soon()).unwrap();
        assert!(matches!(channel.read_hello(soon()), Err(Refusal::Forged)));
    }
}
