//! Eight bytes at a time, each in a lane of a `u64`, the first in the lowest: what there is to know about a
//! line takes a few operations on eight bytes together, and no branch for each.

use std::num::NonZeroU64;

/// Eight bytes of which one or more are marked, by the top bit of their lanes. The first mark can be relied
/// on; those behind it may come of carries.
#[derive(Clone, Copy)]
pub(super) struct Marks(u64);

/// A word with this byte in each of its lanes.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

impl Marks {
    /// Marks bytes up to `b' '`: all white space, and hardly anything else.
    pub(super) fn up_to_space(word: u64) -> Self {
        // Below 0x21 what is subtracted borrows the top bit; from 0x80 on that was there before.
        Self(word.wrapping_sub(each(b' ' + 1)) & !word & each(0x80))
    }

    /// Marks all that are not digits.
    pub(super) fn no_digit(word: u64) -> Self {
        // Digits become 0 to 9. From 10 on what is added carries into the top bit; from 0x80 on it was there.
        let values = word ^ each(b'0');
        Self((values.wrapping_add(each(0x80 - 10)) | values) & each(0x80))
    }

    /// How many bytes stand before the first mark; `None` if there is none.
    pub(super) fn first(self) -> Option<usize> {
        NonZeroU64::new(self.0).map(|marks| marks.trailing_zeros() as usize / 8)
    }
}

/// The number that eight digits are.
pub(super) fn number(digits: [u8; 8]) -> u64 {
    // Neighbors are joined: digits to pairs, these to fours, and these to the number.
    let ones = u64::from_le_bytes(digits) ^ each(b'0');
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

/// The eight digits of a number that has no more: [`number`] the other way around.
pub(super) fn digits(number: u64) -> [u8; 8] {
    // Split in two, four and eight: quotients by multiplication, and remainders into the lanes behind them.
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let pairs = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((pairs * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | ((pairs - 10 * tens) << 8);
    (ones + each(b'0')).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_mark_is_that_of_the_first_byte_of_the_kind(bytes: [u8; 8]) {
            let word = u64::from_le_bytes(bytes);
            let first = |kind: fn(&u8) -> bool| bytes.iter().position(kind);
            prop_assert_eq!(Marks::up_to_space(word).first(), first(|&byte| byte <= b' '));
            prop_assert_eq!(Marks::no_digit(word).first(), first(|byte| !byte.is_ascii_digit()));
        }

        #[test]
        fn eight_digits_are_their_number(number in 0..100_000_000_u64) {
            let text = format!("{number:08}");
            prop_assert_eq!(&digits(number)[..], text.as_bytes());
            prop_assert_eq!(super::number(digits(number)), number);
        }
    }

    #[test]
    fn the_quotients_that_are_made_by_multiplication_are_right_for_each_part() {
        for part in 0..10_000 {
            let expected = format!("{part:04}{part:04}");
            assert_eq!(&digits(part * 10_001)[..], expected.as_bytes());
        }
    }

    #[test]
    fn every_byte_is_marked_or_not_in_every_lane() {
        for byte in 0..=u8::MAX {
            for lane in 0..8 {
                let mut bytes = *b"00000000";
                bytes[lane] = byte;
                let word = u64::from_le_bytes(bytes);
                let marked = |is_marked: bool| is_marked.then_some(lane);
                assert_eq!(Marks::up_to_space(word).first(), marked(byte <= b' '), "{byte}");
                assert_eq!(Marks::no_digit(word).first(), marked(!byte.is_ascii_digit()), "{byte}");
            }
        }
    }
}
