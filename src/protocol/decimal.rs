//! NUM: digits, or digits `.` digits. Compared and converted as decimals, never through floats.

use super::cursor::Cursor;
use super::lanes;

/// A NUM without a sign, as it was written: `34.068930`. No `5.`, no `.5`, no exponent; leading
/// zeros are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal<'a> {
    /// The digits before the point.
    integer: &'a [u8],
    /// The digits after the point; empty without a point.
    fraction: &'a [u8],
}

impl<'a> Decimal<'a> {
    /// Reads the whole of `text`, or nothing.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        Self::read(&mut cursor).filter(|_| cursor.is_at_end())
    }

    /// Reads the NUM that comes next. Inlined, since calls would be a twentieth of what a command takes.
    #[inline(always)]
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let integer = cursor.digits()?;
        let fraction = if cursor.take(b'.') { cursor.digits()? } else { b"" };
        Some(Self { integer, fraction })
    }

    /// True if the value is greater than `limit`, however small the difference.
    pub fn exceeds(&self, limit: u64) -> bool {
        match self.whole() {
            Some(whole) if whole < limit => false,
            Some(whole) if whole == limit => self.fraction.iter().any(|&digit| digit != b'0'),
            _ => true,
        }
    }

    /// The value in units of 1e-9, cut after the ninth decimal; `None` if it does not fit `u64`.
    pub fn nanos(&self) -> Option<u64> {
        let places = self.fraction.len().min(PLACES);
        let nanos = number(&self.fraction[..places]) * TENS[PLACES - places];
        self.whole()?.checked_mul(TENS[PLACES])?.checked_add(nanos)
    }

    /// The part before the point; `None` if it does not fit `u64`.
    pub(super) fn whole(&self) -> Option<u64> {
        if self.integer.len() <= FITTING {
            return Some(number(self.integer));
        }
        self.integer.iter().try_fold(0_u64, |whole, digit| {
            whole.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
    }
}

/// Decimal places that nanoseconds have.
const PLACES: usize = 9;

/// The powers of ten from 0 to [`PLACES`].
const TENS: [u64; PLACES + 1] = {
    let mut tens = [1; PLACES + 1];
    let mut power = 1;
    while power <= PLACES {
        tens[power] = 10 * tens[power - 1];
        power += 1;
    }
    tens
};

/// So many digits always fit 64 bits.
const FITTING: usize = 19;

/// The value of at most [`FITTING`] digits.
fn number(digits: &[u8]) -> u64 {
    let (eights, rest) = digits.as_chunks();
    let number = eights.iter().fold(0, |number, eight| number * TENS[8] + lanes::number(*eight));
    rest.iter().fold(number, |number, digit| number * 10 + u64::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, nanos: Option<u64>) {
        let read = Decimal::parse(text.as_bytes());
        assert_eq!(read.and_then(|decimal| decimal.nanos()), nanos, "{text:?}");
    }

    #[test]
    fn a_num_is_digits_or_digits_point_digits() {
        check("0", Some(0));
        check("007.5", Some(7_500_000_000));
        check("1479413884.392014450", Some(1_479_413_884_392_014_450));
        for wrong in
            ["", ".", "5.", ".5", "1e3", "+1", "-1", "1.2.3", "0x1", "1_0", " 1", "\u{0661}"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn digits_after_the_ninth_are_cut_and_not_rounded() {
        check("1.9999999999", Some(1_999_999_999));
        check("0.0000000009", Some(0));
    }

    #[test]
    fn what_does_not_fit_64_bits_of_nanoseconds_is_none() {
        check("18446744073.709551615", Some(u64::MAX));
        check("18446744073.709551616", None);
        check("99999999999999999999999999", None);
        check("00000000000000000000000000001", Some(1_000_000_000));
    }

    #[test]
    fn limits_are_compared_to_the_last_digit() {
        let exceeds = |text: &'static str, limit| {
            Decimal::parse(text.as_bytes()).expect("a NUM").exceeds(limit)
        };
        assert!(!exceeds("90.000000000000000000000", 90));
        assert!(exceeds("90.00000000000000000001", 90));
        assert!(!exceeds("89.99999999999999999999", 90));
        assert!(exceeds("99999999999999999999999999999999999999", 90));
    }
}
