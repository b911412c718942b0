//! The first line each way on a link: `HELLO <server> <version> <instance>`, and the heartbeat.

use crate::protocol::{ServerName, fields};

/// What we speak.
pub const VERSION: u32 = 1;

/// The oldest version that we understand: ours and the one before, of which there is none yet.
pub const OLDEST_VERSION: u32 = 1;

/// Longest HELLO line that is read, in bytes with its LF. A later version may add fields.
pub const MAX_HELLO_BYTES: usize = 512;

/// What a link says when it has nothing to say, so that the other side knows it is there.
pub const BEAT: &[u8] = b"BEAT\n";

/// Who is at the other end: `HELLO Goloman 1 9f86d081884c7d65`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The server's name.
    pub name: ServerName,
    /// The version of links that it speaks.
    pub version: u32,
    /// Random, new at each start of the server.
    pub instance: Instance,
}

/// Tells one run of a server from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance(pub u64);

/// Why a HELLO is not one. The connection closes; no state has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Some other protocol, or a client that dialed the wrong port.
    #[error("its first line is not `HELLO <server> <version> <instance>`")]
    NotHello,
    /// A server too old or too new for us.
    #[error(
        "it speaks version {0} of links, and we {OLDEST_VERSION} to {VERSION}: upgrade one version at a time"
    )]
    Version(u32),
}

impl Hello {
    /// Reads a line, with or without its LF. Fields after the instance are for later versions.
    ///
    /// # Errors
    ///
    /// [`HelloError`]
    pub fn parse(line: &[u8]) -> Result<Self, HelloError> {
        let mut found = fields(line);
        let mut next = || found.next().ok_or(HelloError::NotHello);
        let (word, name, version, instance) = (next()?, next()?, next()?, next()?);
        let text =
            |field: &[u8]| String::from_utf8(field.to_vec()).map_err(|_| HelloError::NotHello);
        if word != b"HELLO" {
            return Err(HelloError::NotHello);
        }
        let hello = Self {
            name: ServerName::parse(name).ok_or(HelloError::NotHello)?,
            version: text(version)?.parse().map_err(|_| HelloError::NotHello)?,
            instance: Instance(
                u64::from_str_radix(&text(instance)?, 16).map_err(|_| HelloError::NotHello)?,
            ),
        };
        if (OLDEST_VERSION..=VERSION).contains(&hello.version) {
            Ok(hello)
        } else {
            Err(HelloError::Version(hello.version))
        }
    }

    /// The line, with its LF.
    pub fn line(&self) -> Vec<u8> {
        format!("HELLO {} {} {:016x}\n", self.name, self.version, self.instance.0).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: u32) -> Hello {
        let name = ServerName::parse(b"Goloman").expect("a name");
        Hello { name, version, instance: Instance(0x0123_4567_89ab_cdef) }
    }

    #[test]
    fn a_hello_reads_as_it_was_written_and_later_fields_are_ignored() {
        assert_eq!(Hello::parse(&hello(1).line()), Ok(hello(1)));
        assert_eq!(Hello::parse(b"HELLO Goloman 1 0123456789abcdef more of it\n"), Ok(hello(1)));
    }

    #[test]
    fn what_is_no_hello_of_our_version_is_refused() {
        for line in [
            "",
            "HELLO",
            "HELLO Goloman 1",
            "HELLO Go/man 1 1",
            "HELLO G x 1",
            "HELLO G 1 xyz",
            "IAMAT a +1+1 1",
        ] {
            assert_eq!(Hello::parse(line.as_bytes()), Err(HelloError::NotHello), "{line}");
        }
        assert_eq!(Hello::parse(&hello(0).line()), Err(HelloError::Version(0)));
        assert_eq!(Hello::parse(&hello(2).line()), Err(HelloError::Version(2)));
    }
}
