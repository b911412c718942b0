//! What clients and neighbors say: `IAMAT`, `WHATSAT`, `UPDATE`.

use super::cursor::Cursor;
use super::decimal::Decimal;
use super::location::{self, Kilometers, MAX_LOCATION_BYTES};
use super::name::{is_client_field, is_server_name};
use super::reply::Fields;
use super::time::{MAX_TIME_BYTES, Nanos};

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
        let mut cursor = Cursor::new(line);
        match cursor.field()? {
            b"IAMAT" => Iamat::read(&mut cursor).map(Self::Iamat),
            b"WHATSAT" => Whatsat::read(&mut cursor).map(Self::Whatsat),
            b"UPDATE" => Update::read(&mut cursor).map(Self::Update),
            _ => None,
        }
    }
}

impl<'a> Iamat<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let client = client(cursor)?;
        let location = location(cursor)?;
        let (time_text, time) = time(cursor)?;
        cursor.end()?;
        Some(Self { client, location, time_text, time })
    }
}

impl<'a> Whatsat<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let client = client(cursor)?;
        let (radius_text, radius) = cursor.field_of(Decimal::read)?;
        let (bound_text, bound) = cursor.field_of(Decimal::read)?;
        cursor.end()?;
        if radius.exceeds(MAX_RADIUS_KM) || bound.exceeds(MAX_BOUND) || bound_text.contains(&b'.') {
            return None;
        }
        // Both are digits by now and not too great, so neither can fail.
        let radius = std::str::from_utf8(radius_text).ok()?.parse().ok()?;
        let bound = u8::try_from(bound.whole()?).ok()?;
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

    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let client = client(cursor)?;
        let origin = server(cursor)?;
        let (time_text, time) = time(cursor)?;
        let location = location(cursor)?;
        let (_, skew) = cursor.field_of(Nanos::read_skew)?;
        let sender = server(cursor)?;
        cursor.end()?;
        Some(Self { client, origin, location, time_text, time, skew, sender })
    }
}

fn client<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    cursor.field().filter(|field| is_client_field(field))
}

fn server<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    cursor.field().filter(|field| is_server_name(field))
}

fn location<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let (location, ()) = cursor.field_of(location::read)?;
    (location.len() <= MAX_LOCATION_BYTES).then_some(location)
}

fn time<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], Nanos)> {
    cursor.field_of(Nanos::read_time).filter(|(text, _)| text.len() <= MAX_TIME_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::protocol::fields;
    use crate::protocol::location::is_location;

    /// Reads the fields of a line one by one, after all have been found.
    fn by_fields(line: &[u8]) -> Option<Command<'_>> {
        let fields: Vec<&[u8]> = fields(line).collect();
        match *fields {
            [b"IAMAT", client, location, time_text] => {
                let time = Nanos::parse_time(time_text)?;
                let is_valid = is_client_field(client) && is_location(location);
                is_valid.then_some(Command::Iamat(Iamat { client, location, time_text, time }))
            }
            [b"WHATSAT", client, radius, bound] => {
                let is_valid = is_client_field(client)
                    && !Decimal::parse(radius)?.exceeds(MAX_RADIUS_KM)
                    && !Decimal::parse(bound)?.exceeds(MAX_BOUND)
                    && bound.iter().all(u8::is_ascii_digit);
                let text = |field| std::str::from_utf8(field).ok();
                let radius = Kilometers(text(radius)?.parse().ok()?);
                let bound = text(bound)?.parse().ok()?;
                is_valid.then_some(Command::Whatsat(Whatsat { client, radius, bound }))
            }
            [b"UPDATE", client, origin, time_text, location, skew, sender] => {
                let is_valid = is_client_field(client)
                    && is_server_name(origin)
                    && is_location(location)
                    && is_server_name(sender);
                let (time, skew) = (Nanos::parse_time(time_text)?, Nanos::parse_skew(skew)?);
                let update = Update { client, origin, location, time_text, time, skew, sender };
                is_valid.then_some(Command::Update(update))
            }
            _ => None,
        }
    }

    const LINES: [&str; 5] = [
        "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
        " \tIAMAT k -90+180 0 \r",
        "WHATSAT kiwi.cs.ucla.edu 10 5",
        "WHATSAT kiwi 50.000000000000 000000000000000000000000020",
        "UPDATE kiwi Goloman 1479413884.392014450 +34.068930-118.445127 +0.263873386 Hands",
    ];

    #[test]
    fn the_lines_that_are_changed_below_are_commands() {
        for line in LINES {
            assert!(Command::parse(line.as_bytes()).is_some(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn a_line_is_read_in_one_go_as_its_fields_are_one_by_one(
            line in select(&LINES),
            changes in vec((any::<prop::sample::Index>(), 0..2_usize, select(b"019.+- \t\r\0\x1fz\xb5".to_vec()), 0..12_usize), 0..3),
        ) {
            let mut line = line.as_bytes().to_vec();
            for (at, removed, byte, count) in changes {
                let at = at.index(line.len());
                line.splice(at..at + removed, std::iter::repeat_n(byte, count));
                line.push(b' ');
            }
            prop_assert_eq!(Command::parse(&line), by_fields(&line), "{}", line.escape_ascii());
        }
    }
}
