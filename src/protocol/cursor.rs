//! A text and how far it has been read.

use super::is_white_space;
use super::lanes::Marks;

/// Reads a line, or a field by itself, from front to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

/// Before a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

impl<'a> Cursor<'a> {
    /// Before the first byte.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// The next field: what stands between white space. `None` if there is none any more.
    pub(super) fn field(&mut self) -> Option<&'a [u8]> {
        self.skip_white_space();
        let start = self.rest;
        loop {
            self.run(Marks::up_to_space);
            let field = self.read_since(start);
            if self.take_field_end() {
                return field;
            }
            // A control byte that is no white space: the field goes on.
            self.rest = &self.rest[1..];
        }
    }

    /// The next field, and what `read` makes of it; `None` if that does not read all of it.
    pub(super) fn field_of<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<(&'a [u8], T)> {
        self.skip_white_space();
        let start = self.rest;
        let value = read(self)?;
        let field = self.read_since(start)?;
        self.take_field_end().then_some((field, value))
    }

    /// Takes a `+` or `-` if one comes next.
    pub(super) fn sign(&mut self) -> Option<Sign> {
        let (sign, behind) = match self.rest {
            [b'+', behind @ ..] => (Sign::Plus, behind),
            [b'-', behind @ ..] => (Sign::Minus, behind),
            _ => return None,
        };
        self.rest = behind;
        Some(sign)
    }

    /// The digits that come next, one at least.
    pub(super) fn digits(&mut self) -> Option<&'a [u8]> {
        let start = self.rest;
        self.run(Marks::no_digit);
        self.read_since(start)
    }

    /// Takes the next byte if it is this one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// True if no byte is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// `None` if more than white space is left.
    pub(super) fn end(&mut self) -> Option<()> {
        self.skip_white_space();
        self.is_at_end().then_some(())
    }

    /// Takes the byte behind a field, if one is left: white space it must be.
    fn take_field_end(&mut self) -> bool {
        match self.rest {
            [] => true,
            [byte, behind @ ..] if is_white_space(*byte) => {
                self.rest = behind;
                true
            }
            _ => false,
        }
    }

    fn skip_white_space(&mut self) {
        while let [byte, behind @ ..] = self.rest
            && is_white_space(*byte)
        {
            self.rest = behind;
        }
    }

    /// What was read from `start` on, one byte at least.
    fn read_since(&self, start: &'a [u8]) -> Option<&'a [u8]> {
        let read = &start[..start.len() - self.rest.len()];
        (!read.is_empty()).then_some(read)
    }

    /// Goes on to the first byte that is marked.
    fn run(&mut self, marks: impl Fn(u64) -> Marks) {
        let mut rest = self.rest;
        while let Some((word, behind)) = rest.split_first_chunk() {
            if let Some(first) = marks(u64::from_le_bytes(*word)).first() {
                self.rest = &rest[first..];
                return;
            }
            rest = behind;
        }
        while let [byte, behind @ ..] = rest
            && marks(u64::from(*byte)).first() != Some(0)
        {
            rest = behind;
        }
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    proptest! {
        #[test]
        fn fields_are_what_stands_between_white_space(
            line in vec(select(b"ab9 \t\r\n\x0b\x0c\0\x08\x0e\x1f!\x7f\x80\xff".to_vec()), 0..60),
        ) {
            let expected = line.split(|byte| b" \t\r\n\x0b\x0c".contains(byte));
            let expected: Vec<_> = expected.filter(|field| !field.is_empty()).collect();
            prop_assert_eq!(crate::protocol::fields(&line).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn digits_end_before_the_first_byte_that_is_none(text in vec(select(b"0123456789/:.\0\xb5".to_vec()), 0..40)) {
            let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
            let mut cursor = Cursor::new(&text);
            prop_assert_eq!(cursor.digits(), (end > 0).then_some(&text[..end]));
            prop_assert_eq!(cursor.rest, &text[end..]);
        }
    }
}
