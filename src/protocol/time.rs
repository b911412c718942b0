//! Times and skews, exact to the nanosecond (a 64-bit float cannot hold today's time so).

use super::cursor::{Cursor, Sign};
use super::decimal::Decimal;
use super::lanes;

/// A point in time or a difference of two, in nanoseconds; a time counts from the POSIX epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub i64);

/// Longest time field, in bytes.
pub const MAX_TIME_BYTES: usize = 40;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Longest written skew: sign, ten digits, point, nine digits.
pub const MAX_SKEW_BYTES: usize = 21;

impl Nanos {
    /// Reads a time field: NUM without a sign, at most 40 bytes, `1479413884.392014450`.
    pub fn parse_time(text: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        let time = Self::read_time(&mut cursor)?;
        (text.len() <= MAX_TIME_BYTES && cursor.is_at_end()).then_some(time)
    }

    /// Reads the NUM of a time, of any length.
    pub(super) fn read_time(cursor: &mut Cursor<'_>) -> Option<Self> {
        i64::try_from(Decimal::read(cursor)?.nanos()?).ok().map(Self)
    }

    /// Reads a skew field of an UPDATE: NUM with or without a sign, of any length; what comes
    /// after the ninth decimal is cut.
    pub fn parse_skew(text: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        Self::read_skew(&mut cursor).filter(|_| cursor.is_at_end())
    }

    /// Reads the NUM of a skew, and the sign before it.
    pub(super) fn read_skew(cursor: &mut Cursor<'_>) -> Option<Self> {
        let sign = cursor.sign();
        let magnitude = Decimal::read(cursor)?.nanos()?;
        match sign {
            Some(Sign::Minus) => 0_i64.checked_sub_unsigned(magnitude),
            Some(Sign::Plus) | None => i64::try_from(magnitude).ok(),
        }
        .map(Self)
    }

    /// Writes a skew as AT and UPDATE carry it: sign always there, nine decimals, `+0.263873386`.
    /// Zero is `+0.000000000`.
    pub fn write_skew(self, out: &mut Vec<u8>) {
        let magnitude = self.0.unsigned_abs();
        let (mut seconds, nanos) = (magnitude / SECOND, magnitude % SECOND);
        let mut text = *b"+0000000000.000000000";
        text[12..20].copy_from_slice(&lanes::digits(nanos / 10));
        text[20] += (nanos % 10) as u8;
        // From the point to the left: seconds are few, as a rule.
        let mut at = 10;
        text[at] += (seconds % 10) as u8;
        while seconds >= 10 {
            seconds /= 10;
            at -= 1;
            text[at] += (seconds % 10) as u8;
        }
        text[at - 1] = if self.0 < 0 { b'-' } else { b'+' };
        out.extend_from_slice(&text[at - 1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(nanos: i64, text: &str) {
        let mut out = Vec::new();
        Nanos(nanos).write_skew(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), text);
        assert_eq!(Nanos::parse_skew(&out), Some(Nanos(nanos)));
    }

    #[test]
    fn a_skew_has_a_sign_and_nine_decimals() {
        check(263_873_386, "+0.263873386");
        check(-12_000_000_001, "-12.000000001");
        check(0, "+0.000000000");
        check(-1, "-0.000000001");
        check(10_000_000_000, "+10.000000000");
        check(i64::MAX, "+9223372036.854775807");
        check(i64::MIN, "-9223372036.854775808");
    }

    #[test]
    fn a_skew_may_come_without_sign_and_with_any_decimals() {
        let read = |text: &str| Nanos::parse_skew(text.as_bytes()).map(|nanos| nanos.0);
        assert_eq!(read("1.5"), Some(1_500_000_000));
        assert_eq!(read("-0.0000000019"), Some(-1));
        assert_eq!(read("-0.0000000009"), Some(0));
        assert_eq!(read("+-1"), None);
        assert_eq!(read("+"), None);
        assert_eq!(read("9223372036.854775808"), None);
        assert_eq!(read("-9223372036.854775809"), None);
    }

    #[test]
    fn a_time_has_no_sign_and_at_most_40_bytes() {
        let read = |text: &str| Nanos::parse_time(text.as_bytes()).map(|nanos| nanos.0);
        assert_eq!(read("1479413884.392014450"), Some(1_479_413_884_392_014_450));
        assert_eq!(read("+1479413884.3"), None);
        assert_eq!(read(&format!("1.{}", "0".repeat(38))), Some(1_000_000_000));
        assert_eq!(read(&format!("1.{}", "0".repeat(39))), None);
    }

    proptest! {
        #[test]
        fn a_written_skew_reads_as_itself(nanos: i64) {
            let mut out = Vec::new();
            Nanos(nanos).write_skew(&mut out);
            prop_assert!(out.len() <= MAX_SKEW_BYTES);
            prop_assert_eq!(Nanos::parse_skew(&out), Some(Nanos(nanos)));
        }
    }
}
