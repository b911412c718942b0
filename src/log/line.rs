//! One line: its time, its level, and client bytes that can't break out of it.
//!
//! `2026-11-22T11:46:28.123456Z INFO  127.0.0.1:40312 IAMAT ...` LF

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use ::log::Level;

/// Bytes of `2026-11-22T11:46:28.123456Z`.
const STAMP_BYTES: usize = 27;

/// Where the digits of the microsecond begin: after `2026-11-22T11:46:28.`.
const MICROS_AT: usize = 20;

/// The last second that has four digits of a year: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// Writes times, and keeps the text of the second it wrote last, so that a stamp costs its six
/// digits of microseconds. Each worker has one of its own.
#[derive(Clone, Debug)]
pub struct Clock {
    second: u64,
    stamp: Stamp,
}

/// A time in UTC to the microsecond: `2026-11-22T11:46:28.123456Z`. All lines of a turn may share
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp([u8; STAMP_BYTES]);

impl Clock {
    /// A clock that has written nothing yet.
    pub fn new() -> Self {
        Self { second: 0, stamp: Stamp(*b"1970-01-01T00:00:00.000000Z") }
    }

    /// The time as text. Before 1970 it is 1970's first moment, after 9999 its last second.
    pub fn stamp(&mut self, time: SystemTime) -> Stamp {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let second = since.as_secs().min(LAST_SECOND);
        if second != self.second {
            self.turn_to(second);
        }
        let mut rest = since.subsec_micros();
        for digit in self.stamp.0[MICROS_AT..STAMP_BYTES - 1].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.stamp
    }

    fn turn_to(&mut self, second: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let text = humantime::format_rfc3339_micros(time).to_string();
        if let Ok(bytes) = text.as_bytes().try_into() {
            self.stamp = Stamp(bytes);
            self.second = second;
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Stamp {
    /// The stamp of a time, for a line by itself.
    pub fn of(time: SystemTime) -> Self {
        Clock::new().stamp(time)
    }

    /// The stamp's 27 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Begins a line: `2026-11-22T11:46:28.123456Z INFO  `. What follows is the caller's, client
    /// bytes through [`escape_into`], and LF at its end.
    pub fn begin(&self, level: Level, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
        out.extend_from_slice(match level {
            Level::Error => b" ERROR ",
            Level::Warn => b" WARN  ",
            Level::Info => b" INFO  ",
            Level::Debug => b" DEBUG ",
            Level::Trace => b" TRACE ",
        });
    }
}

/// Appends `bytes` so that they stay within their line and can be read back: printable ASCII as
/// it is, `\\`, `\n`, `\r`, `\t`, and `\xNN` (lower case) for every other byte.
pub fn escape_into(bytes: &[u8], out: &mut Vec<u8>) {
    escape_but(bytes, is_literal, out);
}

/// Client bytes in a message: `format_args!("bad line: {}", Escaped(line))`, as [`escape_into`]
/// writes them.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut escaped = Vec::with_capacity(self.0.len());
        escape_into(self.0, &mut escaped);
        escaped.into_iter().try_for_each(|byte| f.write_char(char::from(byte)))
    }
}

/// Appends one whole line: stamp, level, message, LF. In the message a backslash stays (its author
/// may have escaped a part with [`Escaped`]), and whatever could end or disturb the line is
/// escaped.
pub(super) fn write_event(
    stamp: Stamp,
    level: Level,
    message: fmt::Arguments<'_>,
    out: &mut Vec<u8>,
) {
    stamp.begin(level, out);
    // Writing to a Vec never fails; a Display that does cuts its own message short.
    let _ = Message(out).write_fmt(message);
    out.push(b'\n');
}

struct Message<'a>(&'a mut Vec<u8>);

impl fmt::Write for Message<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape_but(text.as_bytes(), is_printable, self.0);
        Ok(())
    }
}

/// Copies runs of literal bytes whole, and escapes the others one by one.
fn escape_but(mut bytes: &[u8], literal: impl Fn(u8) -> bool + Copy, out: &mut Vec<u8>) {
    loop {
        let run = literal_run(bytes, literal);
        out.extend_from_slice(&bytes[..run]);
        let Some((&byte, rest)) = bytes[run..].split_first() else { return };
        escape_byte(byte, out);
        bytes = rest;
    }
}

/// How many bytes at the front are literal. Sixteen at a time without a branch among them: the
/// compiler makes that one comparison of vectors. The last sixteen may overlap those before them.
fn literal_run(bytes: &[u8], literal: impl Fn(u8) -> bool) -> usize {
    const STEP: usize = 16;
    let all = |step: &[u8; STEP]| step.iter().fold(true, |all, &byte| all & literal(byte));
    let (steps, _) = bytes.as_chunks();
    let run = STEP * steps.iter().position(|step| !all(step)).unwrap_or(steps.len());
    if run + STEP > bytes.len() && bytes.last_chunk().is_some_and(all) {
        return bytes.len();
    }
    run + bytes[run..].iter().take_while(|&&byte| literal(byte)).count()
}

fn is_literal(byte: u8) -> bool {
    is_printable(byte) & (byte != b'\\')
}

fn is_printable(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(&[
            b'\\',
            b'x',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(micros: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
    }

    fn escaped(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        escape_into(bytes, &mut out);
        out
    }

    /// Reads an escaped text back, as a person's tool would.
    fn unescape(text: &[u8]) -> Vec<u8> {
        let mut bytes = text.iter().copied();
        let mut out = Vec::new();
        while let Some(byte) = bytes.next() {
            out.push(match byte {
                b'\\' => match bytes.next().unwrap() {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'\\' => b'\\',
                    b'x' => {
                        let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                    }
                    other => panic!("escape of {other}"),
                },
                _ => byte,
            });
        }
        out
    }

    #[test]
    fn a_stamp_is_utc_to_the_microsecond() {
        let stamp = Stamp::of(at(1_795_348_000_123_456));
        assert_eq!(stamp.as_bytes(), b"2026-11-22T11:46:40.123456Z");
    }

    #[test]
    fn a_stamp_of_a_time_out_of_range_is_the_nearest_in_it() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Stamp::of(before).as_bytes(), b"1970-01-01T00:00:00.000000Z");
        let after = SystemTime::UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 1);
        assert_eq!(Stamp::of(after).as_bytes(), b"9999-12-31T23:59:59.000000Z");
    }

    #[test]
    fn a_line_begins_with_stamp_and_level_in_columns() {
        for (level, text) in [(Level::Info, "INFO "), (Level::Error, "ERROR")] {
            let mut out = Vec::new();
            Stamp::of(at(0)).begin(level, &mut out);
            assert_eq!(out, format!("1970-01-01T00:00:00.000000Z {text} ").as_bytes());
        }
    }

    #[test]
    fn bytes_are_escaped_one_by_one_and_printable_ones_are_kept() {
        assert_eq!(escaped(b"IAMAT kiwi +34-118 1.5 ~"), b"IAMAT kiwi +34-118 1.5 ~");
        assert_eq!(escaped(b"a\\b\nc\rd\te\0f\x7fg\xffh"), br"a\\b\nc\rd\te\x00f\x7fg\xffh");
    }

    #[test]
    fn a_message_stays_one_line_and_keeps_the_escapes_of_its_parts() {
        let mut out = Vec::new();
        let stamp = Stamp::of(at(0));
        let forged = "x\n1970-01-01T00:00:00.000000Z ERROR forged \u{e9}";
        write_event(stamp, Level::Warn, format_args!("{forged} {}", Escaped(b"\xff\n")), &mut out);
        let message = r"x\n1970-01-01T00:00:00.000000Z ERROR forged \xc3\xa9 \xff\n";
        assert_eq!(out, format!("1970-01-01T00:00:00.000000Z WARN  {message}\n").as_bytes());
    }

    proptest! {
        #[test]
        fn escaped_bytes_hold_no_control_byte_and_read_back_the_same(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let text = escaped(&bytes);
            prop_assert!(text.iter().all(|&byte| is_printable(byte)));
            prop_assert_eq!(unescape(&text), bytes);
        }

        #[test]
        fn bytes_are_escaped_the_same_together_and_each_by_itself(
            bytes in proptest::collection::vec(
                prop_oneof![50 => b' '..=b'~', 1 => any::<u8>()], 0..200,
            ),
        ) {
            let each = bytes.iter().map(|&byte| escaped(&[byte])).collect::<Vec<_>>();
            prop_assert_eq!(escaped(&bytes), each.concat());
        }

        #[test]
        fn a_clock_that_is_kept_stamps_like_a_new_one(
            times in proptest::collection::vec(0..4_000_000_u64, 1..50),
        ) {
            let mut clock = Clock::new();
            for micros in times {
                let time = at(1_795_348_000_000_000 + micros);
                let expected = humantime::format_rfc3339_micros(time).to_string();
                let stamp = clock.stamp(time);
                prop_assert_eq!(stamp.as_bytes(), expected.as_bytes());
            }
        }
    }
}
