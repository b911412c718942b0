//! Reports of the load generator's shape: a client of 20 bytes, a location of 22, a time of 20.

use herd::protocol::reply::Fields;
use herd::protocol::{Command, Nanos};
use herd::records::Record;

/// Seconds since 1970 of a report that others are older or newer than.
pub(super) const SECOND: u32 = 1_479_413_884;

/// `IAMAT client-0000000000007 +34.0000007-118.400007 1479413884.392014450`: 70 bytes, without LF.
pub(super) fn iamat(client: usize, second: u32) -> Vec<u8> {
    let place = client % 100_000;
    format!("IAMAT client-{client:013} +34.00{place:05}-118.4{place:05} {second}.392014450").into()
}

/// What a server makes of that line.
pub(super) fn record(client: usize, second: u32) -> Record {
    let line = iamat(client, second);
    Record::new(&fields(&line))
}

/// What a server makes of an IAMAT line, before it is a record.
pub(super) fn fields(line: &[u8]) -> Fields<'_> {
    let Some(Command::Iamat(iamat)) = Command::parse(line) else {
        panic!("an IAMAT is made above")
    };
    Fields {
        client: iamat.client,
        origin: b"Alford",
        location: iamat.location,
        time_text: iamat.time_text,
        time: iamat.time,
        skew: Nanos(263_873_386),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iamat_with_its_lf_has_71_bytes() {
        for client in [0, 7, 123_456] {
            assert_eq!(iamat(client, SECOND).len() + 1, 71);
        }
    }
}
