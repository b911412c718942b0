//! Where a value in Redis' protocol ends, whatever the pieces that it comes in.

/// What is known of a value so far.
#[derive(Debug, Default)]
pub(super) struct Value {
    /// How the line begins that is being read; `None` between lines.
    kind: Option<u8>,
    /// The number in it so far.
    number: u64,
    /// Bytes of a string that are still to come, with its CR LF.
    string_bytes: u64,
    /// Values that come after the one that is being read.
    more: u64,
}

impl Value {
    /// Goes on reading. How many bytes of the input belong to the value, if it ends there.
    pub(super) fn end(&mut self, input: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < input.len() {
            if self.string_bytes > 0 {
                let there = self.string_bytes.min((input.len() - at) as u64);
                self.string_bytes -= there;
                at += there as usize;
                if self.string_bytes == 0 && self.is_last() {
                    return Some(at);
                }
                continue;
            }
            at += 1;
            if self.take(input[at - 1]) {
                return Some(at);
            }
        }
        None
    }

    /// Takes one byte of a line. True if the value ends with it.
    fn take(&mut self, byte: u8) -> bool {
        match (self.kind, byte) {
            (None, kind) => self.kind = Some(kind),
            (Some(_), b'\n') => return self.line_ends(),
            // -1: neither string nor array, and nothing behind it.
            (Some(b'$' | b'*'), b'-') => self.kind = Some(b'_'),
            (Some(_), b'0'..=b'9') => {
                let digit = u64::from(byte - b'0');
                self.number = self.number.saturating_mul(10).saturating_add(digit);
            }
            _ => {}
        }
        false
    }

    /// True if nothing follows.
    fn line_ends(&mut self) -> bool {
        let number = std::mem::take(&mut self.number);
        match self.kind.take() {
            Some(b'$') => {
                self.string_bytes = number.saturating_add(2);
                false
            }
            Some(b'*') if number > 0 => {
                self.more = self.more.saturating_add(number - 1);
                false
            }
            _ => self.is_last(),
        }
    }

    /// A value that holds no others has ended.
    fn is_last(&mut self) -> bool {
        let is_last = self.more == 0;
        self.more = self.more.saturating_sub(1);
        is_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the value, given in pieces of every size and with another one behind it.
    #[track_caller]
    fn check(value: &str) {
        let input = format!("{value}{value}");
        for piece in 1..=input.len() {
            let (mut reading, mut read) = (Value::default(), 0);
            let end = input.as_bytes().chunks(piece).find_map(|piece| {
                let end = reading.end(piece).map(|end| read + end);
                read += piece.len();
                end
            });
            assert_eq!(end, Some(value.len()), "{value:?} in pieces of {piece}");
        }
    }

    #[test]
    fn a_line_ends_at_its_lf() {
        for line in ["+OK\r\n", "-ERR 1 of 2 *3\r\n", ":12\r\n", "? IAMAT\n"] {
            check(line);
        }
    }

    #[test]
    fn a_string_ends_after_its_bytes_whatever_they_are() {
        for string in ["$0\r\n\r\n", "$3\r\nabc\r\n", "$6\r\n*2\r\n\r\n\r\n", "$-1\r\n"] {
            check(string);
        }
    }

    #[test]
    fn an_array_ends_with_its_last_value() {
        for array in [
            "*0\r\n",
            "*-1\r\n",
            "*1\r\n*0\r\n",
            "*2\r\n$1\r\na\r\n:1\r\n",
            "*2\r\n*2\r\n$4\r\nab\r\n\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n*2\r\n$0\r\n\r\n*1\r\n$-1\r\n",
            "*12\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:0\r\n:1\r\n-ERR\r\n",
        ] {
            check(array);
        }
    }

    #[test]
    fn a_number_without_end_is_no_panic() {
        let mut value = Value::default();
        let long = format!("*1\r\n*{}\r\n", "9".repeat(40));
        assert_eq!(value.end(long.as_bytes()), None);
    }
}
