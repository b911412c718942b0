//! Bytes as transcripts and messages write them.

/// Longest message text made of bytes, in characters; what is between is counted.
const MAX_SHOWN: usize = 600;

/// Bytes as a transcript writes them: printable ASCII as it is, all else escaped. Long ones are
/// shown with their middle left out.
pub fn escaped(bytes: &[u8]) -> String {
    let whole = |bytes: &[u8]| bytes.iter().map(|&byte| escaped_byte(byte)).collect::<String>();
    if bytes.len() <= MAX_SHOWN {
        return whole(bytes);
    }
    let half = MAX_SHOWN / 2;
    let (head, tail) = (&bytes[..half], &bytes[bytes.len() - half..]);
    format!("{} ... {} bytes ... {}", whole(head), bytes.len() - 2 * half, whole(tail))
}

fn escaped_byte(byte: u8) -> String {
    match byte {
        b'\n' => "\\n".into(),
        b'\r' => "\\r".into(),
        b'\t' => "\\t".into(),
        b'\\' | b'{' | b'}' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).into(),
        _ => format!("\\x{byte:02x}"),
    }
}

/// The bytes that escaped text stands for; the error names the wrong escape.
pub(super) fn unescaped(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(byte @ (b'\\' | b'{' | b'}')) => out.push(byte),
            Some(b'x') => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let pair = digit(rest.next()).zip(digit(rest.next()));
                let (high, low) = pair.ok_or("\\x needs two hexadecimal digits")?;
                out.push(u8::try_from(high * 16 + low).expect("two digits fit a byte"));
            }
            Some(other) => return Err(format!("unknown escape \\{}", char::from(other))),
            None => return Err("a lone \\ at the end".into()),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_being_written_and_read() {
        let all: Vec<u8> = (0..=255).collect();
        let written = escaped(&all);
        assert!(written.is_ascii());
        assert_eq!(unescaped(&written), Ok(all));
    }

    #[test]
    fn wrong_escapes_are_refused() {
        for wrong in ["\\", "\\q", "\\x", "\\x1", "\\xg0"] {
            assert!(unescaped(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn long_bytes_are_shown_with_their_middle_left_out() {
        let shown = escaped(&[b'x'; 10_000]);
        assert!(shown.contains(" ... 9400 bytes ... "), "{shown}");
    }
}
