//! One connection of a link with a key, as a server of another make would write it: the protocol as
//! src/flood/secure.rs describes it, from the Noise library alone.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use snow::resolvers::{DefaultResolver, FallbackResolver, RingResolver};
use snow::{Builder, HandshakeState, TransportState};

use crate::servers::LIMIT;

/// A message of the handshake with its length before it.
const HANDSHAKE: usize = 2 + 32 + 16;

/// A key that consists of this number, as bytes and as its line in a key file.
#[derive(Clone, Copy)]
pub(crate) struct Key(pub(crate) u8);

/// A connection after the handshake.
pub(crate) struct Sealed {
    pub(crate) stream: TcpStream,
    state: TransportState,
    /// What it wrote so far, as it went out.
    pub(crate) written: Vec<u8>,
}

impl Key {
    pub(crate) fn line(self) -> String {
        format!("{:02x}", self.0).repeat(32) + "\n"
    }

    fn builder(bytes: &[u8; 32]) -> Builder<'_> {
        let resolver = FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver));
        let pattern = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s".parse().unwrap();
        Builder::with_resolver(pattern, Box::new(resolver))
            .prologue(b"herd links, noise 1")
            .unwrap()
            .psk(0, bytes)
            .unwrap()
    }
}

impl Sealed {
    /// What who dials with this key says first.
    pub(crate) fn first_message(key: Key) -> Vec<u8> {
        initiator(key).1
    }

    /// Dials and shakes hands.
    #[track_caller]
    pub(crate) fn dial(addr: SocketAddr, key: Key) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let (mut state, written) = initiator(key);
        (&stream).write_all(&written).unwrap();
        let mut answer = [0; HANDSHAKE];
        (&stream).read_exact(&mut answer).unwrap();
        assert_eq!(answer[..2], [0, 48], "{}", answer.escape_ascii());
        state.read_message(&answer[2..], &mut []).unwrap();
        Self { stream, state: state.into_transport_mode().unwrap(), written }
    }

    /// Accepts and shakes hands.
    #[track_caller]
    pub(crate) fn accept(listener: &TcpListener, key: Key) -> Self {
        let stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let bytes = [key.0; 32];
        let mut state = Key::builder(&bytes).build_responder().unwrap();
        let mut message = [0; HANDSHAKE];
        (&stream).read_exact(&mut message).unwrap();
        assert_eq!(message[..2], [0, 48]);
        state.read_message(&message[2..], &mut []).unwrap();
        assert_eq!(state.write_message(&[], &mut message[2..]), Ok(48));
        (&stream).write_all(&message).unwrap();
        Self { stream, state: state.into_transport_mode().unwrap(), written: message.to_vec() }
    }

    /// The message that says this, sealed, with its length.
    pub(crate) fn seal(&mut self, text: impl AsRef<[u8]>) -> Vec<u8> {
        let text = text.as_ref();
        let mut message = vec![0; 2 + text.len() + 16];
        let length = self.state.write_message(text, &mut message[2..]).unwrap();
        message[..2].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        message
    }

    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) {
        let message = self.seal(text);
        self.written.extend(&message);
        self.stream.write_all(&message).unwrap();
    }

    /// What the next message says; nothing at the end.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> String {
        let mut length = [0; 2];
        if self.stream.read_exact(&mut length).is_err() {
            return String::new();
        }
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut message).unwrap();
        let mut text = vec![0; message.len()];
        let length = self.state.read_message(&message, &mut text).unwrap();
        text.truncate(length);
        String::from_utf8(text).unwrap()
    }

    /// Nothing more is said, which the other side sees.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}

fn initiator(key: Key) -> (HandshakeState, Vec<u8>) {
    let bytes = [key.0; 32];
    let mut state = Key::builder(&bytes).build_initiator().unwrap();
    let mut message = vec![0; HANDSHAKE];
    message[1] = 48;
    assert_eq!(state.write_message(&[], &mut message[2..]), Ok(48));
    (state, message)
}
