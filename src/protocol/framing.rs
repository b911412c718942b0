//! Where a line ends.

/// What stands at the start of a buffer of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A whole line, without its LF. It takes `line.len() + 1` bytes of the buffer.
    Line(&'a [u8]),
    /// A line over the limit: its first `max_line` bytes. Nothing behind it can be read.
    TooLong(&'a [u8]),
    /// No whole line yet.
    Partial,
}

impl<'a> Frame<'a> {
    /// The first line of `input`. It is too long as soon as more than `max_line` bytes have come
    /// without an LF (the LF is not counted).
    pub fn first(input: &'a [u8], max_line: usize) -> Self {
        let window = &input[..input.len().min(max_line + 1)];
        match memchr::memchr(b'\n', window) {
            Some(end) => Self::Line(&input[..end]),
            None if window.len() > max_line => Self::TooLong(&input[..max_line]),
            None => Self::Partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_too_long_from_the_first_byte_over_the_limit() {
        assert_eq!(Frame::first(b"abcd\n", 4), Frame::Line(b"abcd"));
        assert_eq!(Frame::first(b"abcd", 4), Frame::Partial);
        assert_eq!(Frame::first(b"abcde", 4), Frame::TooLong(b"abcd"));
        assert_eq!(Frame::first(b"abcde\n", 4), Frame::TooLong(b"abcd"));
        assert_eq!(Frame::first(b"", 4), Frame::Partial);
        assert_eq!(Frame::first(b"\n\n", 4), Frame::Line(b""));
    }
}
