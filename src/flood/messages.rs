//! Messages of the transport: sealed before they are written, opened as they are read. No socket.
//!
//! Each has two bytes before it, its length (big-endian).

use std::io::{self, ErrorKind, Read};

use snow::TransportState;

/// Bytes that encryption adds to a message.
pub const TAG: usize = 16;
/// Bytes before a message: its length.
pub const PREFIX: usize = 2;
/// Longest message of Noise.
const MAX_MESSAGE: usize = 65_535;
/// Most that is said in one message.
pub const MAX_SAID: usize = MAX_MESSAGE - TAG;

/// What a connection in Noise keeps. After the handshake one direction is used, so one of the buffers.
pub struct Noise {
    state: TransportState,
    sealed: Vec<u8>,
    received: Received,
    opened: Opened,
}

/// Bytes as they came: `bytes[from..to]` is not opened yet.
#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

/// What was opened and did not fit where it was wanted.
#[derive(Default)]
struct Opened {
    bytes: Vec<u8>,
    taken: usize,
}

impl Noise {
    /// After a handshake.
    pub fn new(state: TransportState) -> Self {
        Self { state, sealed: Vec::new(), received: Received::default(), opened: Opened::default() }
    }

    /// Opens one message that was read without its prefix. An error if its tag is wrong.
    pub fn open(&mut self, message: &[u8]) -> Result<Vec<u8>, snow::Error> {
        let mut said = vec![0; message.len()];
        let length = self.state.read_message(message, &mut said)?;
        said.truncate(length);
        Ok(said)
    }

    /// The message that says this, at most [`MAX_SAID`] bytes, with its prefix.
    ///
    /// # Errors
    ///
    /// When more is said than a message holds.
    pub fn seal(&mut self, said: &[u8]) -> io::Result<&[u8]> {
        let end = PREFIX + said.len() + TAG;
        if self.sealed.len() < end {
            self.sealed.resize(end, 0);
        }
        let message = &mut self.sealed[PREFIX..end];
        let length = self.state.write_message(said, message).map_err(io::Error::other)?;
        self.sealed[..PREFIX].copy_from_slice(&prefix_of(length));
        Ok(&self.sealed[..PREFIX + length])
    }

    /// Reads what messages say, as much as there is and fits; 0 at the end.
    ///
    /// # Errors
    ///
    /// The source's; a message that was changed, cut short by the end, or too short to be one. The
    /// source is then of no more use.
    pub fn read(&mut self, source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.opened.take(buffer);
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            let Some(message) = self.received.message()? else {
                if self.received.fill(source)? == 0 {
                    return Ok(0);
                }
                continue;
            };
            // Opened in place where it is wanted, if its tag fits there too.
            let is_direct = buffer.len() >= message.len();
            let target = if is_direct { &mut *buffer } else { self.opened.room(message.len()) };
            let length = self.state.read_message(message, target).map_err(|_| {
                io::Error::new(ErrorKind::InvalidData, "a message was changed on the way")
            })?;
            if !is_direct {
                self.opened.bytes.truncate(length);
            } else if length > 0 {
                return Ok(length);
            }
        }
    }
}

impl Received {
    /// Room for a message beside the largest rest of one.
    const BYTES: usize = 2 * (PREFIX + MAX_MESSAGE);

    /// The next whole message, which then counts as opened.
    fn message(&mut self) -> io::Result<Option<&[u8]>> {
        let rest = &self.bytes[self.from..self.to];
        let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*prefix));
        if length < TAG {
            return Err(io::Error::new(ErrorKind::InvalidData, "a message without its tag"));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let begin = self.from + PREFIX;
        self.from = begin + length;
        Ok(Some(&self.bytes[begin..self.from]))
    }

    /// Reads once: 0 at the end of the connection.
    fn fill(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.bytes.resize(Self::BYTES, 0);
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
        } else if self.bytes.len() - self.from < PREFIX + MAX_MESSAGE {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let length = source.read(&mut self.bytes[self.to..])?;
        if length == 0 && self.from < self.to {
            let reason = "it closed in the middle of a message";
            return Err(io::Error::new(ErrorKind::UnexpectedEof, reason));
        }
        self.to += length;
        Ok(length)
    }
}

impl Opened {
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.bytes[self.taken..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.taken += length;
        length
    }

    /// Where the next is opened; what was there is taken.
    fn room(&mut self, length: usize) -> &mut [u8] {
        self.taken = 0;
        self.bytes.resize(length, 0);
        &mut self.bytes
    }
}

/// What stands before a message of this length.
pub fn prefix_of(length: usize) -> [u8; PREFIX] {
    u16::try_from(length).expect("no message of Noise is longer than 65,535 bytes").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// The two sides of a connection: who dialed, and who was dialed.
    fn sides() -> [Noise; 2] {
        let builder = || {
            use snow::resolvers::{DefaultResolver, FallbackResolver, RingResolver};
            let resolver = FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver));
            let pattern = "Noise_NN_25519_ChaChaPoly_BLAKE2s".parse().unwrap();
            snow::Builder::with_resolver(pattern, Box::new(resolver))
        };
        let mut dialed = builder().build_initiator().unwrap();
        let mut accepted = builder().build_responder().unwrap();
        let mut message = [0; 96];
        let length = dialed.write_message(&[], &mut message).unwrap();
        accepted.read_message(&message[..length], &mut []).unwrap();
        let length = accepted.write_message(&[], &mut message).unwrap();
        dialed.read_message(&message[..length], &mut []).unwrap();
        [dialed, accepted].map(|state| Noise::new(state.into_transport_mode().unwrap()))
    }

    /// Gives what it holds in pieces of so many bytes.
    struct InPieces(Cursor<Vec<u8>>, usize);

    impl Read for InPieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(self.1);
            self.0.read(&mut buffer[..most])
        }
    }

    fn said(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    /// What was said in messages of these lengths is read whole, in whatever pieces it comes and goes.
    #[track_caller]
    fn check_read(lengths: &[usize], comes_in: usize, read_in: usize) {
        let [mut writer, mut reader] = sides();
        let mut wire = Vec::new();
        for &length in lengths {
            wire.extend_from_slice(writer.seal(&said(length)).unwrap());
        }
        let mut source = InPieces(Cursor::new(wire), comes_in);
        let (mut read, mut buffer) = (Vec::new(), vec![0; read_in]);
        loop {
            match reader.read(&mut source, &mut buffer).unwrap() {
                0 => break,
                length => read.extend_from_slice(&buffer[..length]),
            }
        }
        let expected: Vec<u8> = lengths.iter().flat_map(|&length| said(length)).collect();
        assert!(read == expected, "{lengths:?} in {comes_in}, {read_in}");
    }

    #[test]
    fn what_is_sealed_is_opened_in_whatever_pieces_it_comes_and_goes() {
        let lengths = [1, 0, 20_000, MAX_SAID, 17, 0, MAX_SAID, MAX_SAID, 5];
        for comes_in in [1, 1000, 65_537, usize::MAX] {
            for read_in in [100, 20_016, 65_536] {
                check_read(&lengths, comes_in, read_in);
            }
        }
    }

    #[test]
    fn what_is_said_is_not_on_the_wire() {
        let [mut writer, _] = sides();
        let message = writer.seal(b"UPDATE kiwi").unwrap();
        assert_eq!(message.len(), PREFIX + 11 + TAG);
        assert!(!message.windows(4).any(|part| part == b"kiwi"));
    }

    #[test]
    fn more_than_a_message_holds_is_not_sealed() {
        let [mut writer, _] = sides();
        assert!(writer.seal(&said(MAX_SAID + 1)).is_err());
    }

    /// Nothing is read of a second message to which this was done, and the first is read.
    #[track_caller]
    fn check_spoilt(spoil: impl Fn(&mut Vec<u8>), why: &str) {
        for read_in in [4, 65_536] {
            let [mut writer, mut reader] = sides();
            let mut wire = writer.seal(b"good").unwrap().to_vec();
            let mut second = writer.seal(&said(30)).unwrap().to_vec();
            spoil(&mut second);
            wire.extend(second);
            let (mut source, mut buffer) = (Cursor::new(wire), vec![0; read_in]);
            let length = reader.read(&mut source, &mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"good");
            let error = reader.read(&mut source, &mut buffer).unwrap_err();
            assert_eq!(error.to_string(), why);
        }
    }

    #[test]
    fn a_message_that_was_changed_cut_or_left_out_gives_nothing() {
        let changed = "a message was changed on the way";
        check_spoilt(|message| message[PREFIX] ^= 1, changed);
        check_spoilt(|message| *message.last_mut().unwrap() ^= 0x80, changed);
        check_spoilt(|message| message[1] -= 1, changed);
        check_spoilt(|message| message[..2].fill(0), "a message without its tag");
        check_spoilt(
            |message| message.truncate(message.len() - 1),
            "it closed in the middle of a message",
        );
        check_spoilt(|message| message.truncate(1), "it closed in the middle of a message");
    }

    #[test]
    fn a_message_counts_once_and_in_its_place_only() {
        let [mut writer, mut reader] = sides();
        let [first, second] = [b"first", b"other"].map(|said| writer.seal(said).unwrap().to_vec());
        let mut buffer = [0; 100];
        assert_eq!(reader.read(&mut &first[..], &mut buffer).unwrap(), 5);
        assert!(reader.read(&mut &first[..], &mut buffer).is_err(), "played again");
        let [_, mut reader] = sides();
        assert!(reader.read(&mut &second[..], &mut buffer).is_err(), "of another connection");
    }

    #[test]
    fn a_source_that_has_nothing_now_can_be_read_again_later() {
        struct Never;
        impl Read for Never {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::WouldBlock.into())
            }
        }
        let [mut writer, mut reader] = sides();
        let message = writer.seal(b"BEAT\n").unwrap().to_vec();
        let mut buffer = [0; 100];
        let mut half = (&message[..9]).chain(Never);
        let error = reader.read(&mut half, &mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(reader.read(&mut &message[9..], &mut buffer).unwrap(), 5);
    }
}
