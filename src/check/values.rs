//! Placeholders to bytes, and what came against what must come. Pure: seed and clock are arguments.

use std::collections::BTreeMap;

use super::Settings;
use super::case::{Count, Line, Part};
use super::places;
use crate::protocol::{Nanos, fields};

/// Length of what `{client}` stands for, in bytes: a case can count on it.
const CLIENT_BYTES: usize = 24;

/// What the placeholders of one case stand for in one run of it.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    server: &'a str,
    settings: &'a Settings,
    seed: u64,
    now: Nanos,
    /// The skews that the case has named, as they first came.
    skews: BTreeMap<u32, Vec<u8>>,
}

/// When the server's clock was read, by ours: between the two.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Not before the first byte was sent.
    pub from: Nanos,
    /// Not after the answer was here.
    pub until: Nanos,
}

/// How the bytes that came compare with a line that must come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The first so many bytes are the line.
    Whole(usize),
    /// So far it is the line; more has to come.
    More,
    /// It is not the line.
    Wrong(String),
}

/// The next bytes are those that must come, may yet be them, or are not.
enum Taken {
    Bytes(usize),
    More,
    Wrong(String),
}

impl<'a> Values<'a> {
    /// `seed` makes the clients' names; `now` is what `{now}` stands for.
    pub fn new(server: &'a str, settings: &'a Settings, seed: u64, now: Nanos) -> Self {
        Self { server, settings, seed, now, skews: BTreeMap::new() }
    }

    /// The bytes of repetition `index` (from 1) of a line, up to the first part that only the
    /// server can fill in.
    pub fn bytes(&self, line: &Line, index: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &line.parts {
            match self.part(part, index) {
                Some(bytes) => out.extend_from_slice(&bytes),
                None => break,
            }
        }
        out
    }

    /// What a mismatch says that a line must be: the bytes, and what only the server can fill in.
    pub fn expectation(&self, line: &Line, index: usize) -> String {
        let written = |part: &Part| match (self.part(part, index), part) {
            (Some(bytes), _) => super::escaped(&bytes),
            (None, Part::Places { max, status: None }) => format!("{{places<={max}}}"),
            (None, Part::Places { max, status: Some(s) }) => format!("{{places<={max} {s}}}"),
            (None, _) => "{skew}".into(),
        };
        line.parts.iter().map(written).collect()
    }

    /// Compares what came with repetition `index` of a line. A skew that stands on it is checked
    /// against `window`, and kept if it has a number.
    pub fn compare(&mut self, line: &Line, index: usize, got: &[u8], window: Window) -> Match {
        let mut at = 0;
        let mut skew = None;
        for part in &line.parts {
            let rest = &got[at..];
            let taken = match (self.part(part, index), part) {
                (Some(bytes), _) => take_exactly(&bytes, rest),
                (None, Part::Places { max, status }) => take_places(*max, status.as_deref(), rest),
                (None, _) => take_skew(rest),
            };
            match taken {
                Taken::More => return Match::More,
                Taken::Wrong(why) => return Match::Wrong(why),
                Taken::Bytes(count) => {
                    if let (Part::Skew(number), None) = (part, self.part(part, index)) {
                        skew = Some((*number, rest[..count].to_vec()));
                    }
                    at += count;
                }
            }
        }
        if let Some((number, text)) = skew {
            if let Err(why) = self.check_skew(&text, &got[..at], window) {
                return Match::Wrong(why);
            }
            self.skews.extend(number.map(|number| (number, text)));
        }
        Match::Whole(at)
    }

    /// The bytes of a part; `None` if only the server can fill it in.
    fn part(&self, part: &Part, index: usize) -> Option<Vec<u8>> {
        Some(match part {
            Part::Bytes(bytes) => bytes.clone(),
            Part::Client(number) => self.client(*number),
            Part::Server => self.server.as_bytes().to_vec(),
            Part::Index => index.to_string().into_bytes(),
            Part::Now { nanos, max_aheads } => self.time(*nanos, *max_aheads),
            Part::Repeat(unit, count) => unit.repeat(self.count(*count)),
            Part::Skew(Some(number)) => return self.skews.get(number).cloned(),
            Part::Skew(None) | Part::Places { .. } => return None,
        })
    }

    fn client(&self, number: u32) -> Vec<u8> {
        let name = format!("c{:016x}-{number:06}", self.seed);
        debug_assert_eq!(name.len(), CLIENT_BYTES);
        name.into_bytes()
    }

    fn time(&self, nanos: i64, max_aheads: i64) -> Vec<u8> {
        let max_ahead = self.settings.max_ahead.unwrap_or_default().as_nanos();
        let sum = i128::from(self.now.0)
            + i128::from(nanos)
            + i128::from(max_aheads) * i128::try_from(max_ahead).unwrap_or(i128::MAX >> 64);
        let sum = sum.max(0);
        format!("{}.{:09}", sum / 1_000_000_000, sum % 1_000_000_000).into_bytes()
    }

    fn count(&self, count: Count) -> usize {
        match count {
            Count::Fixed(count) => count,
            Count::MaxLine(offset) => {
                self.settings.max_line.unwrap_or_default().saturating_add_signed(offset)
            }
        }
    }

    /// The skew must be what the server's clock, at some moment of the window, was past the time
    /// that ends the AT line.
    fn check_skew(&self, skew: &[u8], line: &[u8], window: Window) -> Result<(), String> {
        let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let time = fields(line).last().and_then(Nanos::parse_time);
        let (Some(skew), Some(time)) = (Nanos::parse_skew(skew), time) else {
            return Err("no skew and time that fit 64 bits of nanoseconds".into());
        };
        let clock = i128::from(skew.0) + i128::from(time.0);
        let tolerance = i128::try_from(self.settings.clock_tolerance.as_nanos())
            .map_err(|_| "the clock tolerance is too large")?;
        let early = i128::from(window.from.0) - tolerance - clock;
        let late = clock - i128::from(window.until.0) - tolerance;
        let off = early.max(late);
        if off > 0 {
            let off = off / 1_000_000;
            return Err(format!("the skew is not clock minus time: {off} ms beyond the tolerance"));
        }
        Ok(())
    }
}

fn take_exactly(expected: &[u8], got: &[u8]) -> Taken {
    let common = expected.len().min(got.len());
    match expected[..common].iter().zip(got).position(|(expected, got)| expected != got) {
        Some(at) => Taken::Wrong(format!("other bytes, from `{}` on", super::escaped(&got[at..]))),
        None if common < expected.len() => Taken::More,
        None => Taken::Bytes(common),
    }
}

/// Sign, digits without needless zeros, point, nine digits; zero is `+0.000000000`.
fn take_skew(got: &[u8]) -> Taken {
    let Some(end) = got.iter().take(32).position(|&byte| byte == b' ') else {
        return if got.len() < 32 { Taken::More } else { Taken::Wrong("no skew".into()) };
    };
    let is_skew = std::str::from_utf8(&got[..end]).is_ok_and(|text| {
        let number = text.strip_prefix(['+', '-']).unwrap_or_default();
        let (whole, decimals) = number.split_once('.').unwrap_or_default();
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let has_needless_zero = whole.len() > 1 && whole.starts_with('0');
        let is_number = !whole.is_empty() && is_digits(whole) && is_digits(decimals);
        is_number && decimals.len() == 9 && !has_needless_zero && text != "-0.000000000"
    });
    if is_skew {
        Taken::Bytes(end)
    } else {
        Taken::Wrong(format!("`{}` is not a skew", super::escaped(&got[..end])))
    }
}

/// A places answer ends at the first LF LF: there is none inside.
fn take_places(max: usize, status: Option<&str>, got: &[u8]) -> Taken {
    let Some(end) = got.windows(2).position(|pair| pair == b"\n\n") else {
        return Taken::More;
    };
    match places::check(&got[..end], max, status) {
        Ok(()) => Taken::Bytes(end),
        Err(why) => Taken::Wrong(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Case, Step, parse};

    const NOW: Nanos = Nanos(1_479_413_884_392_014_450);
    const WINDOW: Window = Window { from: NOW, until: Nanos(NOW.0 + 1_000_000) };

    /// The lines of a case, whatever is done with them.
    fn lines(text: &str) -> Vec<Line> {
        let cases: Vec<Case> = parse(&format!("== a\n{text}\nclosed\n")).unwrap();
        let mut all = Vec::new();
        for step in &cases[0].steps {
            if let Step::Send { lines, .. } | Step::Expect { lines, .. } = step {
                all.extend(lines.iter().cloned());
            }
        }
        all
    }

    #[track_caller]
    fn check(expected: &str, got: &str, result: impl Fn(&Match) -> bool) {
        let settings = Settings::default();
        let mut values = Values::new("Ball", &settings, 1, NOW);
        let found = values.compare(&lines(expected)[0], 1, got.as_bytes(), WINDOW);
        assert!(result(&found), "{expected} {got:?} {found:?}");
    }

    fn is_wrong(found: &Match) -> bool {
        matches!(found, Match::Wrong(_))
    }

    #[test]
    fn a_client_name_has_24_bytes_and_depends_on_the_seed() {
        let settings = Settings::default();
        let line = &lines("> {client2}")[0];
        let name = |seed| Values::new("Ball", &settings, seed, NOW).bytes(line, 1);
        assert_eq!(name(u64::MAX), b"cffffffffffffffff-000002");
        assert_eq!(name(1).len(), CLIENT_BYTES);
        assert_ne!(name(1), name(2));
    }

    #[test]
    fn times_have_nine_decimals() {
        let settings = Settings::default();
        let values = Values::new("Ball", &settings, 1, NOW);
        let written = |text: &str| String::from_utf8(values.bytes(&lines(text)[0], 3)).unwrap();
        assert_eq!(written("> {now}"), "1479413884.392014450");
        assert_eq!(written("> {now+1.000000001}9"), "1479413885.3920144519");
        assert_eq!(written("> {now-10.5}"), "1479413873.892014450");
        assert_eq!(written("> {now+max_ahead-3600}"), "1479496684.392014450");
        assert_eq!(written("> {server}{x*2}{i}"), "Ballxx3");
        assert_eq!(written("> {x*max_line-8190}"), "xx");
    }

    #[test]
    fn a_byte_more_less_or_other_is_not_the_line() {
        check("< ? a\\n", "? a\n", |found| *found == Match::Whole(4));
        check("< ? a\\n", "? a\nmore", |found| *found == Match::Whole(4));
        check("< ? a\\n", "? a", |found| *found == Match::More);
        check("< ? a\\n", "", |found| *found == Match::More);
        check("< ? a\\n", "? b", is_wrong);
        check("< ? a\\n", "? a\r\n", is_wrong);
    }

    #[test]
    fn a_skew_is_clock_minus_time() {
        let expected = "< AT {skew} 1479413884.392014450\\n";
        let with = |skew: &str| format!("AT {skew} 1479413884.392014450\n");
        for right in ["+0.000000000", "+1.000999999", "-1.000000000"] {
            check(expected, &with(right), |found| matches!(found, Match::Whole(_)));
        }
        for wrong in [
            "+1.001000001",
            "-1.000000001",
            "0.000000000",
            "-0.000000000",
            "+0.00000000",
            "+0.0000000000",
            "+00.000000000",
            "+.000000000",
            "+0",
            "+",
            "",
            "nonsense",
            "+99999999999999999999.000000000",
        ] {
            check(expected, &with(wrong), is_wrong);
        }
        check(expected, "AT +0.00", |found| *found == Match::More);
    }

    #[test]
    fn a_numbered_skew_must_come_again() {
        let settings = Settings::default();
        let all = lines("< {skew1} {now}\\n\n< {skew1} 1\\n");
        let mut values = Values::new("Ball", &settings, 1, NOW);
        let first = values.compare(&all[0], 1, b"+0.000000007 1479413884.392014450\n", WINDOW);
        assert_eq!(first, Match::Whole(34));
        assert_eq!(values.compare(&all[1], 1, b"+0.000000007 1\n", WINDOW), Match::Whole(15));
        assert!(is_wrong(&values.compare(&all[1], 1, b"+0.000000008 1\n", WINDOW)));
    }
}
