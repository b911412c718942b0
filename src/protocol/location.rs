//! Locations (ISO 6709, decimal degrees) and radii.

use super::cursor::Cursor;
use super::decimal::Decimal;

/// Longest location field, in bytes.
pub const MAX_LOCATION_BYTES: usize = 64;

/// A point on the earth, in decimal degrees: latitude -90 to 90, longitude -180 to 180.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    /// Degrees, north positive.
    pub latitude: f64,
    /// Degrees, east positive.
    pub longitude: f64,
}

/// A distance in kilometers.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Kilometers(pub f64);

/// True for sign NUM sign NUM, latitude first, both in range, at most 64 bytes:
/// `+34.068930-118.445127`. Ranges are compared as decimals: `+90.00000000000000000001+0` is out.
pub fn is_location(text: &[u8]) -> bool {
    let mut cursor = Cursor::new(text);
    text.len() <= MAX_LOCATION_BYTES && read(&mut cursor).is_some() && cursor.is_at_end()
}

/// The value of a location field, to the nearest floats; `None` if [`is_location`] is false.
pub fn coordinates(text: &[u8]) -> Option<Coordinates> {
    if !is_location(text) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let second = 1 + text[1..].find(['+', '-'])?;
    let (latitude, longitude) = text.split_at(second);
    Some(Coordinates { latitude: latitude.parse().ok()?, longitude: longitude.parse().ok()? })
}

/// Reads sign NUM sign NUM, both in range, of any length.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.sign()?;
    let latitude = Decimal::read(cursor)?;
    cursor.sign()?;
    let longitude = Decimal::read(cursor)?;
    (!latitude.exceeds(90) && !longitude.exceeds(180)).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_two_signed_decimals_in_range() {
        for right in
            ["+34.068930-118.445127", "+0+0", "-90-180", "+90.0+180.000", "+0090-00180", "-0-0"]
        {
            assert!(is_location(right.as_bytes()), "{right}");
        }
        let wrong = [
            "",
            "+",
            "+1",
            "1+1",
            "+1+",
            "+1+1+1",
            "++1+1",
            "+1.+1",
            "+.5+1",
            "+1e1+1",
            "+1+1 ",
            "+91+0",
            "+90.00000000000000000001+0",
            "-90.1+0",
            "+0+180.0000000001",
            "+0-181",
            "+NaN+0",
            "+1,+1",
        ];
        for wrong in wrong {
            assert!(!is_location(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn a_location_has_at_most_64_bytes() {
        let of_length = |length: usize| format!("+1.{}+2", "0".repeat(length - 5));
        assert!(is_location(of_length(64).as_bytes()));
        assert!(!is_location(of_length(65).as_bytes()));
    }

    #[test]
    fn coordinates_keep_sign_and_order() {
        let read = coordinates(b"-00.5+180");
        assert_eq!(read, Some(Coordinates { latitude: -0.5, longitude: 180.0 }));
    }
}
