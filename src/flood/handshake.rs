//! The first line each way on a link: `HELLO <server> <version> <instance> ...`, and the heartbeat.

use std::fmt;
use std::time::Duration;

use crate::protocol::{ServerName, fields};

/// What we speak: updates, heartbeats, and digests with which copies are compared and repaired.
pub const VERSION: u32 = 2;

/// The oldest version that we understand: the one before ours, without digests. All records are sent to
/// such a neighbor when its link comes up.
pub const OLDEST_VERSION: u32 = 1;

/// Longest HELLO line that is read, in bytes with its LF. A later version may add fields.
pub const MAX_HELLO_BYTES: usize = 512;

/// What a link says when it has nothing to say, so that the other side knows it is there.
pub const BEAT: &[u8] = b"BEAT\n";

/// Who is at the other end: `HELLO Goloman 2 9f86d081884c7d65 expire_after=86400`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The server's name.
    pub name: ServerName,
    /// The version of links that it speaks.
    pub version: u32,
    /// Random, new at each start of the server.
    pub instance: Instance,
    /// How long records live there: what does not agree would be repaired again and again.
    pub expire_after: Lifetime,
}

/// How long a server keeps records: what it says of `[data] expire_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// A server of version 1 says nothing.
    Unsaid,
    /// `expire_after=never`
    Unlimited,
    /// `expire_after=86400`, in whole seconds.
    Limited(Duration),
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
    /// Reads a line, with or without its LF. Fields after the instance are `key=value`, in any order; what
    /// we do not know is for later versions.
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
            expire_after: found.find_map(Lifetime::parse).unwrap_or(Lifetime::Unsaid),
        };
        if (OLDEST_VERSION..=VERSION).contains(&hello.version) {
            Ok(hello)
        } else {
            Err(HelloError::Version(hello.version))
        }
    }

    /// The line, with its LF.
    pub fn line(&self) -> Vec<u8> {
        let Self { name, version, instance, expire_after } = self;
        format!("HELLO {name} {version} {:016x}{expire_after}\n", instance.0).into_bytes()
    }

    /// The same server, as it speaks to one that speaks `version`: to an older one as that understands it.
    #[must_use]
    pub fn speaking(&self, version: u32) -> Self {
        Self { version: self.version.min(version), ..self.clone() }
    }
}

impl Lifetime {
    /// What the conf says.
    pub fn of(expire_after: Option<Duration>) -> Self {
        expire_after
            .map_or(Self::Unlimited, |after| Self::Limited(Duration::from_secs(after.as_secs())))
    }

    fn parse(field: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(field.strip_prefix(b"expire_after=")?).ok()?;
        match value {
            "never" => Some(Self::Unlimited),
            seconds => Some(Self::Limited(Duration::from_secs(seconds.parse().ok()?))),
        }
    }

    /// True if both say how long records live, and not the same.
    pub fn differs_from(self, other: Self) -> bool {
        self != other && self != Self::Unsaid && other != Self::Unsaid
    }
}

/// As a field of a HELLO, with the space before it.
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsaid => Ok(()),
            Self::Unlimited => f.write_str(" expire_after=never"),
            Self::Limited(after) => write!(f, " expire_after={}", after.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: u32) -> Hello {
        let name = ServerName::parse(b"Goloman").expect("a name");
        let expire_after = Lifetime::Unsaid;
        Hello { name, version, instance: Instance(0x0123_4567_89ab_cdef), expire_after }
    }

    #[test]
    fn a_hello_reads_as_it_was_written_and_later_fields_are_ignored() {
        for version in [1, 2] {
            assert_eq!(Hello::parse(&hello(version).line()), Ok(hello(version)));
        }
        assert_eq!(Hello::parse(b"HELLO Goloman 1 0123456789abcdef more of it\n"), Ok(hello(1)));
    }

    #[test]
    fn a_hello_says_how_long_records_live() {
        let day = Duration::from_hours(24);
        for (expire_after, field) in
            [(Lifetime::of(None), "never"), (Lifetime::of(Some(day)), "86400")]
        {
            let hello = Hello { expire_after, ..hello(2) };
            let line = format!("HELLO Goloman 2 0123456789abcdef expire_after={field}\n");
            assert_eq!(hello.line(), line.as_bytes());
            assert_eq!(Hello::parse(format!("{} x=1", line.trim_end()).as_bytes()), Ok(hello));
        }
        assert!(Lifetime::of(None).differs_from(Lifetime::of(Some(day))));
        assert!(!Lifetime::of(Some(day)).differs_from(Lifetime::of(Some(day))));
        assert!(!Lifetime::of(None).differs_from(Lifetime::Unsaid));
    }

    #[test]
    fn a_newer_server_speaks_to_an_older_one_as_that_does() {
        assert_eq!(hello(2).speaking(1), hello(1));
        assert_eq!(hello(1).speaking(2), hello(1));
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
        assert_eq!(Hello::parse(&hello(3).line()), Err(HelloError::Version(3)));
    }
}
