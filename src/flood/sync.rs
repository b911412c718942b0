//! The lines with which two neighbors compare and repair their copies, beside UPDATE and BEAT. Functions
//! of bytes: no socket, thread, clock or lock.
//!
//! | line | says |
//! |---|---|
//! | `DIGESTS <digests>` | the digest of each of our shards |
//! | `BUCKETS <shard> <digests>` | the digest of each of our buckets of a shard in which we differ |
//! | `REPAIR <number>` | send what you have in the buckets that differ from these |
//! | `REPAIRED <number>` | all that was asked for is sent |
//!
//! Digests are 256 times 16 bytes, big-endian, in base64. The number is its asker's: it tells which of
//! its askings an answer is to. Real ones: `BUCKETS 29 AAAAAAAA...=`, `REPAIR 3`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::records::digest::{BUCKETS, Digest, SHARDS};

/// As many as a level of the digests has.
pub type Level = Box<[Digest; LEVEL]>;

const LEVEL: usize = 256;
const _: () = assert!(SHARDS == LEVEL && BUCKETS == LEVEL, "both levels go on lines of one shape");

const DIGEST_BYTES: usize = 16;

/// Digests of a level in base64, in bytes.
const ENCODED_BYTES: usize = (LEVEL * DIGEST_BYTES).div_ceil(3) * 4;

/// Longest of these lines, without its LF.
pub const MAX_SYNC_LINE: usize = "BUCKETS 255 ".len() + ENCODED_BYTES;

/// What one of these lines says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// `DIGESTS`
    Digests(Level),
    /// `BUCKETS`
    Buckets {
        /// 0 to 255.
        shard: usize,
        /// Of each of its buckets.
        digests: Level,
    },
    /// `REPAIR`
    Repair(u64),
    /// `REPAIRED`
    Repaired(u64),
}

/// True for the start of a line that is none but one of these.
pub fn begins(input: &[u8]) -> bool {
    [&b"DIGESTS "[..], b"BUCKETS ", b"REPAIR ", b"REPAIRED "]
        .iter()
        .any(|word| input.starts_with(word))
}

impl Message {
    /// Reads a line without its LF. Exactly what [`Message::write`] writes, or `None`.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (word, rest) = line.split_once(' ')?;
        match word {
            "DIGESTS" => Some(Self::Digests(level(rest)?)),
            "BUCKETS" => {
                let (shard, digests) = rest.split_once(' ')?;
                let shard = number(shard)?.try_into().ok().filter(|shard| *shard < SHARDS)?;
                Some(Self::Buckets { shard, digests: level(digests)? })
            }
            "REPAIR" => Some(Self::Repair(number(rest)?)),
            "REPAIRED" => Some(Self::Repaired(number(rest)?)),
            _ => None,
        }
    }

    /// Appends the line, with its LF.
    pub fn write(&self, line: &mut Vec<u8>) {
        let text = match self {
            Self::Digests(digests) => format!("DIGESTS {}\n", encoded(digests)),
            Self::Buckets { shard, digests } => format!("BUCKETS {shard} {}\n", encoded(digests)),
            Self::Repair(number) => format!("REPAIR {number}\n"),
            Self::Repaired(number) => format!("REPAIRED {number}\n"),
        };
        line.extend_from_slice(text.as_bytes());
    }
}

fn number(text: &str) -> Option<u64> {
    // `parse` takes a sign and leading zeros, too.
    let is_as_written =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_as_written.then(|| text.parse().ok())?
}

fn encoded(digests: &[Digest; LEVEL]) -> String {
    let bytes: Vec<u8> = digests.iter().flat_map(|digest| digest.0.to_be_bytes()).collect();
    STANDARD.encode(bytes)
}

fn level(text: &str) -> Option<Level> {
    if text.len() != ENCODED_BYTES {
        return None;
    }
    let bytes = STANDARD.decode(text).ok()?;
    let (digests, []) = bytes.as_chunks::<DIGEST_BYTES>() else { return None };
    let digests: Vec<Digest> =
        digests.iter().map(|digest| Digest(u128::from_be_bytes(*digest))).collect();
    digests.into_boxed_slice().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digests(seed: u128) -> Level {
        Box::new(std::array::from_fn(|at| Digest(seed.wrapping_mul(at as u128 + 1))))
    }

    fn line(message: &Message) -> Vec<u8> {
        let mut line = Vec::new();
        message.write(&mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        line
    }

    #[test]
    fn the_longest_line_is_as_long_as_is_said() {
        let longest = line(&Message::Buckets { shard: 255, digests: digests(u128::MAX) });
        assert_eq!(longest.len(), MAX_SYNC_LINE);
        assert_eq!(MAX_SYNC_LINE, 5476);
    }

    #[test]
    fn a_line_that_is_not_whole_or_says_more_or_is_out_of_range_is_none() {
        let buckets =
            String::from_utf8(line(&Message::Buckets { shard: 7, digests: digests(5) })).expect("");
        let with = |from: &str, to: &str| buckets.replacen(from, to, 1);
        for wrong in [
            with("BUCKETS 7", "BUCKETS 256"),
            with("BUCKETS 7", "BUCKETS -7"),
            with("BUCKETS 7", "BUCKETS +7"),
            with("BUCKETS 7", "BUCKETS 07"),
            with("BUCKETS 7", "BUCKETS"),
            with("BUCKETS 7", "DIGESTS 7"),
            with("BUCKETS 7", "buckets 7"),
            with("BUCKETS 7 AAAA", "BUCKETS 7 AAA"),
            with("BUCKETS 7 AAAA", "BUCKETS 7 AA*A"),
            with("BUCKETS 7 AAAA", "BUCKETS 7 AAAAAAAA"),
            with("BUCKETS 7 ", "BUCKETS 7  "),
            format!("{buckets} "),
            format!("{buckets}\r"),
            "DIGESTS ".into(),
            "REPAIR".into(),
            "REPAIR ".into(),
            "REPAIR x".into(),
            "REPAIR 00".into(),
            "REPAIR 1 2".into(),
            "REPAIRED 99999999999999999999".into(),
        ] {
            assert_eq!(Message::parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert!(Message::parse(buckets.as_bytes()).is_some());
    }

    proptest! {
        #[test]
        fn a_message_reads_as_it_was_written(seed in any::<u128>(), number in any::<u64>()) {
            for message in [
                Message::Digests(digests(seed)),
                Message::Buckets { shard: number as usize % SHARDS, digests: digests(seed) },
                Message::Repair(number),
                Message::Repaired(number),
            ] {
                let line = line(&message);
                prop_assert!(begins(&line));
                prop_assert_eq!(Message::parse(&line), Some(message));
            }
        }

        #[test]
        fn no_bytes_are_too_strange_to_be_refused(tail in prop::collection::vec(any::<u8>(), 0..6000)) {
            for word in ["DIGESTS ", "BUCKETS 3 ", "REPAIR ", ""] {
                Message::parse(&[word.as_bytes(), &tail].concat());
            }
        }
    }
}
