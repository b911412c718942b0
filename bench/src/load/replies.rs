//! Where replies end, and whether each is the one that was due.

use memchr::{memchr, memchr_iter, memmem};

use super::resp::Value;

/// Bytes of a reply that are looked at, and shown when it is wrong.
const HEAD_BYTES: usize = 32;

/// In places that could not be had, and in no others.
const WHY_NONE: &[u8] = b"\"error_message\"";

/// What the reply to a request has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// An AT line.
    At,
    /// An AT line, places, and an empty line.
    AtAndPlaces,
    /// The request itself.
    Echo,
    /// Redis: `:0` or `:1`.
    Integer,
    /// Redis: `+OK`.
    Ok,
    /// Redis: an array that holds something.
    Array,
    /// memcached: `STORED`.
    Stored,
}

impl Expected {
    fn is_met_by(self, head: &[u8]) -> bool {
        match self {
            Self::At | Self::AtAndPlaces => head.starts_with(b"AT "),
            Self::Echo => head.starts_with(b"IAMAT "),
            Self::Integer => head.starts_with(b":0\r\n") || head.starts_with(b":1\r\n"),
            Self::Ok => head.starts_with(b"+OK\r\n"),
            Self::Array => head.starts_with(b"*") && !matches!(head.get(1), Some(b'0' | b'-')),
            Self::Stored => head.starts_with(b"STORED\r\n"),
        }
    }

    /// A reply that begins so ends at the first empty line, and not at the first LF.
    fn has_body(self, first: u8) -> bool {
        self == Self::AtAndPlaces && first == b'A'
    }
}

/// How a reply was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    /// As the protocol has it, but instead of places it says why there are none.
    WithoutPlaces,
    /// Its first bytes.
    Wrong(Vec<u8>),
}

/// Splits what comes on a connection into replies, whatever the pieces that it comes in. It keeps
/// the first bytes of a reply at most.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    head: [u8; HEAD_BYTES],
    head_bytes: u8,
    /// The bytes before the input, if places have begun: as many as [`WHY_NONE`] may have begun in.
    tail: [u8; WHY_NONE.len() - 1],
    says_why_none: bool,
    /// If it is an array.
    array: Value,
}

impl Splitter {
    /// Takes one reply, or the piece of it that is there: how many bytes it took of the input, and
    /// the verdict if the reply is whole. The input must not be empty.
    pub(crate) fn take(&mut self, input: &[u8], expected: Expected) -> (usize, Option<Verdict>) {
        let first = if self.head_bytes == 0 { input[0] } else { self.head[0] };
        let has_body = expected.has_body(first);
        let end = match expected {
            Expected::Array => self.array.end(input),
            _ => self.end(input, has_body),
        };
        let taken = &input[..end.unwrap_or(input.len())];
        if has_body {
            self.look_for_why_none(taken);
        }
        if end.is_none() || self.head_bytes > 0 {
            self.keep(taken);
        }
        let Some(end) = end else { return (taken.len(), None) };
        let head = match self.head_bytes {
            0 => &input[..end.min(HEAD_BYTES)],
            kept => &self.head[..usize::from(kept)],
        };
        let verdict = judge(head, expected, self.says_why_none);
        *self = Self::default();
        (end, Some(verdict))
    }

    fn end(&self, input: &[u8], has_body: bool) -> Option<usize> {
        if !has_body {
            return memchr(b'\n', input).map(|at| at + 1);
        }
        let last = self.tail[self.tail.len() - 1];
        let before = |at: usize| if at == 0 { last } else { input[at - 1] };
        memchr_iter(b'\n', input).find(|&at| before(at) == b'\n').map(|at| at + 1)
    }

    fn keep(&mut self, input: &[u8]) {
        let kept = usize::from(self.head_bytes);
        let more = input.len().min(HEAD_BYTES - kept);
        self.head[kept..kept + more].copy_from_slice(&input[..more]);
        self.head_bytes += more as u8;
        let last = &input[input.len().saturating_sub(self.tail.len())..];
        self.tail.rotate_left(last.len());
        let at = self.tail.len() - last.len();
        self.tail[at..].copy_from_slice(last);
    }

    /// Also where it begins in one piece and ends in the next.
    fn look_for_why_none(&mut self, input: &[u8]) {
        let mut border = [0; 2 * (WHY_NONE.len() - 1)];
        let start = &input[..input.len().min(self.tail.len())];
        border[..self.tail.len()].copy_from_slice(&self.tail);
        border[self.tail.len()..][..start.len()].copy_from_slice(start);
        self.says_why_none |=
            memmem::find(input, WHY_NONE).is_some() || memmem::find(&border, WHY_NONE).is_some();
    }
}

fn judge(head: &[u8], expected: Expected, says_why_none: bool) -> Verdict {
    match expected.is_met_by(head) {
        true if says_why_none => Verdict::WithoutPlaces,
        true => Verdict::Right,
        false => Verdict::Wrong(head.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits the input, given in pieces of every size, into as many replies as verdicts.
    #[track_caller]
    fn check(input: &str, expected: &[Expected], right: &[bool]) {
        for piece in 1..=input.len() {
            let mut splitter = Splitter::default();
            let mut verdicts = Vec::new();
            for mut rest in input.as_bytes().chunks(piece) {
                while !rest.is_empty() {
                    let (used, verdict) = splitter.take(rest, expected[verdicts.len()]);
                    verdicts.extend(verdict);
                    rest = &rest[used..];
                }
            }
            let verdicts: Vec<_> = verdicts.iter().map(|v| *v == Verdict::Right).collect();
            assert_eq!(verdicts, right, "{input:?} in pieces of {piece}");
        }
    }

    #[test]
    fn a_line_is_a_reply_however_it_is_cut() {
        let at = "AT Ball +0.1 kiwi +1-2 3\n";
        check(&format!("{at}{at}{at}"), &[Expected::At; 3], &[true; 3]);
        check(&format!("{at}? IAMAT x\n{at}"), &[Expected::At; 3], &[true, false, true]);
    }

    #[test]
    fn places_end_at_the_empty_line_and_a_refusal_at_its_lf() {
        let nearby = "AT Ball +0.1 kiwi +1-2 3\n{\n\"results\": []\n}\n\n";
        let both = [Expected::AtAndPlaces, Expected::At, Expected::AtAndPlaces, Expected::At];
        let at = "AT Ball +0.1 kiwi +1-2 3\n";
        check(&format!("{nearby}{at}{nearby}{at}"), &both, &[true; 4]);
        let refused = "? WHATSAT nobody 10 5\n";
        check(&format!("{refused}{at}{nearby}{at}"), &both, &[false, true, true, true]);
    }

    #[test]
    fn places_that_could_not_be_had_are_told_from_none_however_they_are_cut() {
        let why = "AT Ball +0.1 kiwi +1-2 3\n{\"status\": \"X\", \"error_message\": \"quota\"}\n\n";
        let none = "AT Ball +0.1 error_message +1-2 3\n{\"status\": \"ZERO_RESULTS\"}\n\n";
        let input = format!("{why}{none}{why}");
        for piece in 1..=input.len() {
            let (mut splitter, mut verdicts) = (Splitter::default(), Vec::new());
            for mut rest in input.as_bytes().chunks(piece) {
                while !rest.is_empty() {
                    let (used, verdict) = splitter.take(rest, Expected::AtAndPlaces);
                    verdicts.extend(verdict);
                    rest = &rest[used..];
                }
            }
            let expected = [Verdict::WithoutPlaces, Verdict::Right, Verdict::WithoutPlaces];
            assert_eq!(verdicts, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn other_servers_have_their_own_words() {
        check(":0\r\n:1\r\n", &[Expected::Integer; 2], &[true; 2]);
        check("-ERR no\r\n:2\r\n", &[Expected::Integer; 2], &[false; 2]);
        check("+OK\r\n-ERR\r\n", &[Expected::Ok; 2], &[true, false]);
        check("$0\r\n\r\n*1\r\n:1\r\n", &[Expected::Array; 2], &[false, true]);
        check("STORED\r\nNOT_STORED\r\n", &[Expected::Stored; 2], &[true, false]);
        check("IAMAT a +1+1 2\nAT a\n", &[Expected::Echo; 2], &[true, false]);
    }

    #[test]
    fn an_array_is_a_reply_unless_it_is_empty_or_an_error() {
        let place = "*2\r\n$16\r\ngeonames:5368361\r\n*2\r\n$7\r\n-118.24\r\n$6\r\n34.052\r\n";
        let (one, two) = (format!("*1\r\n{place}"), format!("*2\r\n{place}{place}"));
        let input = format!("{two}-ERR could not decode requested zset member\r\n{one}*0\r\n{two}");
        check(&input, &[Expected::Array; 5], &[true, false, true, false, true]);
    }

    #[test]
    fn a_wrong_reply_is_shown_by_its_first_bytes() {
        let long = format!("? {}\n", "x".repeat(100));
        let mut splitter = Splitter::default();
        let (_, verdict) = splitter.take(long.as_bytes(), Expected::At);
        assert_eq!(verdict, Some(Verdict::Wrong(long.as_bytes()[..HEAD_BYTES].to_vec())));
    }
}
