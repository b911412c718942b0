//! Names of servers and clients.

use std::fmt;

/// The name of a server: 1 to 32 of letters, digits, `.`, `_`, `-`, not starting with `.` (names
/// name files).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(String);

/// Longest server name, in bytes.
pub const MAX_SERVER_NAME_BYTES: usize = 32;

/// Longest client name, in bytes.
pub const MAX_CLIENT_BYTES: usize = 255;

impl ServerName {
    /// Reads a server name, or `None` if it is not one.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if !is_server_name(text) {
            return None;
        }
        String::from_utf8(text.to_vec()).ok().map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it goes on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// True if the bytes are a server's name.
pub fn is_server_name(text: &[u8]) -> bool {
    (1..=MAX_SERVER_NAME_BYTES).contains(&text.len())
        && text[0] != b'.'
        && text.iter().all(|&byte| IS_IN_NAMES[usize::from(byte)])
}

/// Which bytes a server's name may have: one look at each instead of comparisons with five ranges.
const IS_IN_NAMES: [bool; 256] = {
    let mut is_in_names = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        is_in_names[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        byte += 1;
    }
    is_in_names
};

/// True if the bytes are a client's name: 1 to 255, none of them white space.
pub fn is_client(text: &[u8]) -> bool {
    is_client_field(text) && !text.iter().copied().any(super::is_white_space)
}

/// The same of a field of a line, which holds no white space.
pub fn is_client_field(field: &[u8]) -> bool {
    (1..=MAX_CLIENT_BYTES).contains(&field.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_name_is_short_and_could_name_a_file() {
        for right in ["A", "Goloman", "a.b_c-9", &"x".repeat(32)] {
            assert!(is_server_name(right.as_bytes()), "{right}");
        }
        for wrong in ["", ".", ".hidden", "a/b", "a b", "\u{e9}", &"x".repeat(33)] {
            assert!(!is_server_name(wrong.as_bytes()), "{wrong}");
        }
    }
}
