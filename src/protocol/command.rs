//! What clients and neighbors say: `IAMAT`, `WHATSAT`, `UPDATE`.

use super::decimal::Decimal;
use super::location::{Kilometers, is_location};
use super::name::{is_client_field, is_server_name};
use super::reply::Fields;
use super::time::Nanos;
use super::{exactly, fields};

/// Largest radius of a WHATSAT, in kilometers.
pub const MAX_RADIUS_KM: u64 = 50;

/// Largest bound of a WHATSAT, in places.
pub const MAX_BOUND: u64 = 20;

/// A line that follows the grammar of one of the commands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command<'a> {
    /// A client says where it is.
    Iamat(Iamat<'a>),
    /// A client asks what is near another.
    Whatsat(Whatsat<'a>),
    /// A server passes a record on.
    Update(Update<'a>),
}

/// `IAMAT <client> <location> <time>`: `IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iamat<'a> {
    /// 1 to 255 bytes without white space.
    pub client: &'a [u8],
    /// A valid location, as the client wrote it.
    pub location: &'a [u8],
    /// The time, as the client wrote it.
    pub time_text: &'a [u8],
    /// The time, to the nanosecond.
    pub time: Nanos,
}

/// `WHATSAT <client> <radius> <bound>`: `WHATSAT kiwi.cs.ucla.edu 10 5`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Whatsat<'a> {
    /// The client whose surroundings are asked for.
    pub client: &'a [u8],
    /// 0 to 50.
    pub radius: Kilometers,
    /// 0 to 20 places.
    pub bound: u8,
}

/// `UPDATE <client> <origin> <time> <location> <skew> <sender>`:
/// `UPDATE kiwi.cs.ucla.edu Goloman 1479413884.392014450 +34.068930-118.445127 +0.263873386 Hands`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    /// The client the record is of.
    pub client: &'a [u8],
    /// The server that got the client's IAMAT.
    pub origin: &'a [u8],
    /// A valid location, as the client wrote it.
    pub location: &'a [u8],
    /// The time, as the client wrote it.
    pub time_text: &'a [u8],
    /// The time, to the nanosecond.
    pub time: Nanos,
    /// The origin's clock minus the time, cut to nanoseconds.
    pub skew: Nanos,
    /// The server that the line was sent out of.
    pub sender: &'a [u8],
}

impl<'a> Command<'a> {
    /// Reads one line (its LF may be there or not); `None` if it is not a valid command. Whether
    /// the time is too far ahead, the client known, and UPDATE allowed here is not judged.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = fields(line);
        match fields.next()? {
            b"IAMAT" => Iamat::read(fields).map(Self::Iamat),
            b"WHATSAT" => Whatsat::read(fields).map(Self::Whatsat),
            b"UPDATE" => Update::read(fields).map(Self::Update),
            _ => None,
        }
    }
}

impl<'a> Iamat<'a> {
    fn read(fields: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let [client, location, time_text] = exactly(fields)?;
        if !is_client_field(client) || !is_location(location) {
            return None;
        }
        Some(Self { client, location, time_text, time: Nanos::parse_time(time_text)? })
    }
}

impl<'a> Whatsat<'a> {
    fn read(fields: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let [client, radius, bound] = exactly(fields)?;
        if !is_client_field(client) || Decimal::parse(radius)?.exceeds(MAX_RADIUS_KM) {
            return None;
        }
        if bound.contains(&b'.') || Decimal::parse(bound)?.exceeds(MAX_BOUND) {
            return None;
        }
        // Both are ASCII digits by now, so neither can fail.
        let radius = std::str::from_utf8(radius).ok()?.parse().ok()?;
        let bound = bound.iter().fold(0, |bound, digit| bound * 10 + (digit - b'0'));
        Some(Self { client, radius: Kilometers(radius), bound })
    }
}

impl<'a> Update<'a> {
    /// What it says of the client.
    pub fn fields(&self) -> Fields<'a> {
        Fields {
            client: self.client,
            origin: self.origin,
            location: self.location,
            time_text: self.time_text,
            time: self.time,
            skew: self.skew,
        }
    }

    /// Reads an UPDATE line; `None` if it is not a valid one.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        match Command::parse(line)? {
            Command::Update(update) => Some(update),
            _ => None,
        }
    }

    fn read(fields: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let [client, origin, time_text, location, skew, sender] = exactly(fields)?;
        let is_valid = is_client_field(client)
            && is_server_name(origin)
            && is_location(location)
            && is_server_name(sender);
        if !is_valid {
            return None;
        }
        let time = Nanos::parse_time(time_text)?;
        let skew = Nanos::parse_skew(skew)?;
        Some(Self { client, origin, location, time_text, time, skew, sender })
    }
}
