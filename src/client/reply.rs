//! What a server answers: as bytes ([`RawReply`]) and as values ([`Reply`]).

use std::fmt;

use crate::protocol::name::is_client;
use crate::protocol::{Nanos, ServerName, fields, location};

use super::ClientError;
use super::error::excerpt;

/// A reply, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To IAMAT: the record after the merge.
    At(At),
    /// To WHATSAT: the client's record and what is near it.
    Nearby(Nearby),
    /// To a line that the server does not take as a valid command.
    Invalid(Invalid),
}

/// An AT line: `AT Goloman +0.263873386 kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The server that got the client's report.
    pub server: ServerName,
    /// That server's clock when it got the report, minus the report's time.
    pub skew: Nanos,
    /// The client, 1 to 255 bytes; they need not be UTF-8.
    pub client: Vec<u8>,
    /// The location, as the client wrote it: `+34.068930-118.445127`.
    pub location: String,
    /// The time, as the client wrote it: `1479413884.392014450`.
    pub time_text: String,
    /// The time to the nanosecond, from the POSIX epoch.
    pub time: Nanos,
}

/// The answer to WHATSAT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearby {
    /// The client's record.
    pub at: At,
    /// What is near its location.
    pub places: Places,
}

/// Places in the shape of a Google Nearby Search response (`html_attributions`, `results`,
/// `status`), as the server sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    json: Vec<u8>,
}

/// The line that a server did not take as a valid command, as it copied it (`? ` and LF cut off).
///
/// An error, so that `?` can pass it on; what to mend is in the line. WHATSAT of a client that
/// the server knows nothing of is answered so too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub Vec<u8>);

/// A reply as it came, not looked at beyond where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawReply {
    bytes: Vec<u8>,
    shape: Shape,
}

/// How the bytes of a reply are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `AT ...` LF
    At,
    /// `AT ...` LF, JSON, LF LF; the JSON starts at the offset.
    Nearby(usize),
    /// `? ...` LF
    Invalid,
}

impl RawReply {
    pub(super) fn new(bytes: Vec<u8>, shape: Shape) -> Self {
        Self { bytes, shape }
    }

    /// The whole reply, with the LF or the two LF at its end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// True for a reply that starts with `? `.
    pub fn is_invalid(&self) -> bool {
        self.shape == Shape::Invalid
    }

    /// Reads the reply.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotAReply`] if its AT line has not the fields of one.
    pub fn parse(mut self) -> Result<Reply, ClientError> {
        let bytes = &mut self.bytes;
        match self.shape {
            Shape::At => Ok(Reply::At(At::parse(bytes)?)),
            Shape::Nearby(json) => {
                let at = At::parse(&bytes[..json])?;
                let json = bytes[json..bytes.len() - 2].to_vec();
                Ok(Reply::Nearby(Nearby { at, places: Places { json } }))
            }
            Shape::Invalid => {
                bytes.pop();
                bytes.drain(..2);
                Ok(Reply::Invalid(Invalid(self.bytes)))
            }
        }
    }
}

impl At {
    fn parse(line: &[u8]) -> Result<Self, ClientError> {
        Self::read(line).ok_or_else(|| ClientError::NotAReply(excerpt(line)))
    }

    fn read(line: &[u8]) -> Option<Self> {
        let mut words = fields(line);
        let mut next = || words.next();
        if next()? != b"AT" {
            return None;
        }
        let (server, skew, client, location, time) = (next()?, next()?, next()?, next()?, next()?);
        if next().is_some() || !is_client(client) || !location::is_location(location) {
            return None;
        }
        Some(Self {
            server: ServerName::parse(server)?,
            skew: Nanos::parse_skew(skew)?,
            client: client.to_vec(),
            location: String::from_utf8(location.to_vec()).ok()?,
            time: Nanos::parse_time(time)?,
            time_text: String::from_utf8(time.to_vec()).ok()?,
        })
    }
}

impl Places {
    /// The JSON text, byte for byte as the server sent it, without the two LF that end the reply.
    pub fn as_bytes(&self) -> &[u8] {
        &self.json
    }

    /// The JSON as a value.
    ///
    /// # Errors
    ///
    /// If the text is not JSON; servers of the herd send nothing else.
    pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(&self.json)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server does not take this as a valid command: {:?}", excerpt(&self.0))
    }
}

impl std::error::Error for Invalid {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_at_line_keeps_every_nanosecond() {
        let line = b"AT Goloman -0.000000001 \xff +34.068930-118.445127 1479413884.3920144509\n";
        let at = At::parse(line).unwrap();
        assert_eq!(at.server.as_str(), "Goloman");
        assert_eq!(at.skew, Nanos(-1));
        assert_eq!(at.client, b"\xff");
        assert_eq!(at.location, "+34.068930-118.445127");
        assert_eq!(at.time_text, "1479413884.3920144509");
        assert_eq!(at.time, Nanos(1_479_413_884_392_014_450));
    }

    #[test]
    fn an_at_line_with_a_field_missing_wrong_or_too_many_is_no_reply() {
        for wrong in [
            "AT\n",
            "AT A +0.0 c +1+1\n",
            "AT A +0.0 c +1+1 1 2\n",
            "AT .A +0.0 c +1+1 1\n",
            "AT A x c +1+1 1\n",
            "AT A +0.0 c +91+1 1\n",
            "AT A +0.0 c +1+1 -1\n",
        ] {
            assert!(matches!(At::parse(wrong.as_bytes()), Err(ClientError::NotAReply(_))));
        }
    }
}
