//! What a server writes: AT lines, UPDATE lines, `? ` replies, places.

use super::time::Nanos;

/// What is known of one client: the fields that an AT line and an UPDATE line share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The client that the record is of.
    pub client: &'a [u8],
    /// The server that got the client's report.
    pub origin: &'a [u8],
    /// The location, as the client wrote it.
    pub location: &'a [u8],
    /// The time, as the client wrote it.
    pub time_text: &'a [u8],
    /// The time, to the nanosecond.
    pub time: Nanos,
    /// The origin's clock minus the time.
    pub skew: Nanos,
}

/// `AT Goloman +0.263873386 kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450` LF
pub fn write_at(fields: &Fields<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"AT ");
    out.extend_from_slice(fields.origin);
    out.push(b' ');
    fields.skew.write_skew(out);
    for field in [fields.client, fields.location, fields.time_text] {
        out.push(b' ');
        out.extend_from_slice(field);
    }
    out.push(b'\n');
}

/// `UPDATE kiwi.cs.ucla.edu Goloman 1479413884.392014450 +34.068930-118.445127 +0.263873386 Hands` LF
pub fn write_update(fields: &Fields<'_>, sender: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"UPDATE");
    for field in [fields.client, fields.origin, fields.time_text, fields.location] {
        out.push(b' ');
        out.extend_from_slice(field);
    }
    out.push(b' ');
    fields.skew.write_skew(out);
    out.push(b' ');
    out.extend_from_slice(sender);
    out.push(b'\n');
}

/// `? `, a copy of the line (without its LF), LF.
pub fn write_invalid(line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"? ");
    out.extend_from_slice(line);
    out.push(b'\n');
}

/// Places JSON, then LF LF: every run of two or more LF made one, all trailing LF removed, so
/// that an empty line is the end of the reply and nothing else.
pub fn write_places(json: &[u8], out: &mut Vec<u8>) {
    // It stands behind the LF of the AT line, which counts for a run that begins there.
    let start = out.len();
    let mut rest = json;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        if end > 0 && out.len() > start {
            out.push(b'\n');
        }
        out.extend_from_slice(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    out.extend_from_slice(b"\n\n");
}

/// What a client over `max_connections` is told before its connection closes.
pub const TOO_MANY_CONNECTIONS: &[u8] = b"? too many connections\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_end_with_the_only_empty_line() {
        let mut out = Vec::new();
        write_places(b"\n\n\n{\n\n\"a\": 1\n}\n\n\n", &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "{\n\"a\": 1\n}\n\n");
        out.clear();
        write_places(b"\n\n", &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "\n\n");
    }

    #[test]
    fn an_update_of_the_longest_fields_fits_512_bytes() {
        let fields = Fields {
            client: &[b'c'; 255],
            origin: &[b'o'; 32],
            location: &[b'1'; 64],
            time_text: &[b'1'; 40],
            time: Nanos(1),
            skew: Nanos(i64::MIN),
        };
        let mut out = Vec::new();
        write_update(&fields, &[b's'; 32], &mut out);
        assert!(out.len() <= 512, "{}", out.len());
    }
}
