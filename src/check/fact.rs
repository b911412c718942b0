//! What an AT line and an UPDATE say of a client, and which of two is newer, by the protocol's words
//! alone: the rules for herds are judged by it, so it shares nothing with the server's own merge.

use std::cmp::{Ordering, Reverse};

use crate::protocol::{Nanos, fields};

/// What is said of a client, in the bytes in which it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) client: Vec<u8>,
    pub(super) origin: Vec<u8>,
    pub(super) time: Vec<u8>,
    pub(super) location: Vec<u8>,
    pub(super) skew: Vec<u8>,
}

impl Fact {
    /// Reads `AT <origin> <skew> <client> <location> <time>` LF, written so and no other way.
    pub(super) fn of_at(line: &[u8]) -> Option<Self> {
        let said: Vec<_> = fields(line).collect();
        let [b"AT", origin, skew, client, location, time] = said[..] else { return None };
        let fact = Self::new(client, origin, time, location, skew);
        (fact.at() == line).then_some(fact)
    }

    /// Reads `UPDATE <client> <origin> <time> <location> <skew> <sender>` LF, as a server must send
    /// it, and its sender.
    pub(super) fn of_update(line: &[u8]) -> Option<(Self, Vec<u8>)> {
        let said: Vec<_> = fields(line).collect();
        let [b"UPDATE", client, origin, time, location, skew, sender] = said[..] else {
            return None;
        };
        let fact = Self::new(client, origin, time, location, skew);
        let mut normalised = Vec::new();
        Nanos::parse_skew(skew)?.write_skew(&mut normalised);
        Nanos::parse_time(time)?;
        let is_as_it_must = fact.update(sender) == line && normalised == skew;
        is_as_it_must.then(|| (fact, sender.to_vec()))
    }

    pub(super) fn new(
        client: &[u8],
        origin: &[u8],
        time: &[u8],
        location: &[u8],
        skew: &[u8],
    ) -> Self {
        let [client, origin, time, location, skew] =
            [client, origin, time, location, skew].map(<[u8]>::to_vec);
        Self { client, origin, time, location, skew }
    }

    /// The AT line, with its LF.
    pub(super) fn at(&self) -> Vec<u8> {
        let Self { client, origin, time, location, skew } = self;
        line(&[b"AT", origin, skew, client, location, time])
    }

    /// The UPDATE line of this sender, with its LF.
    pub(super) fn update(&self, sender: &[u8]) -> Vec<u8> {
        let Self { client, origin, time, location, skew } = self;
        line(&[b"UPDATE", client, origin, time, location, skew, sender])
    }

    /// The time, to the nanosecond. Of what is none it is the least.
    pub(super) fn nanos(&self) -> Nanos {
        Nanos::parse_time(&self.time).unwrap_or(Nanos(i64::MIN))
    }

    /// Newest wins: the later time; then the lower skew; then the greater origin, location, time
    /// bytes.
    pub(super) fn merge_order(&self, other: &Self) -> Ordering {
        let key = |fact: &Self| (fact.nanos(), Reverse(Nanos::parse_skew(&fact.skew)));
        let bytes = |fact: &Self| (fact.origin.clone(), fact.location.clone(), fact.time.clone());
        key(self).cmp(&key(other)).then_with(|| bytes(self).cmp(&bytes(other)))
    }
}

fn line(fields: &[&[u8]]) -> Vec<u8> {
    let mut line = fields.join(&b' ');
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &[u8] = b"AT Ball +0.263873386 kiwi +34.068930-118.445127 1479413884.392014450\n";

    #[test]
    fn an_at_line_becomes_the_update_of_a_sender() {
        let fact = Fact::of_at(AT).unwrap();
        assert_eq!(fact.at(), AT);
        let update =
            b"UPDATE kiwi Ball 1479413884.392014450 +34.068930-118.445127 +0.263873386 Welsh\n";
        assert_eq!(fact.update(b"Welsh"), update);
        assert_eq!(Fact::of_update(update), Some((fact, b"Welsh".to_vec())));
    }

    #[test]
    fn what_is_written_otherwise_is_not_read() {
        for wrong in [
            "UPDATE a A 1 +1+1 +0.5 B\n",
            "UPDATE a A 1 +1+1 0.500000000 B\n",
            "UPDATE a A 1 +1+1 -0.000000000 B\n",
            "UPDATE a A 1 +1+1  +0.500000000 B\n",
            "UPDATE a A 1 +1+1 +0.500000000 B\r\n",
            "UPDATE a A 1 +1+1 +0.500000000\n",
            "UPDATE a A 1 +1+1 +0.500000000 B",
            "UPDATE a A x +1+1 +0.500000000 B\n",
            "AT A +0.500000000 a +1+1 1\n",
        ] {
            assert_eq!(Fact::of_update(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(Fact::of_at(b"AT A +0.5 a  +1+1 1\n"), None);
    }

    #[test]
    fn each_field_decides_where_those_before_it_are_equal() {
        let fact = |time: &str, skew: &str, origin: &str, location: &str| {
            let [time, skew, origin, location] = [time, skew, origin, location].map(str::as_bytes);
            Fact::new(b"kiwi", origin, time, location, skew)
        };
        let rising = [
            fact("9", "+0.000000000", "C", "+3+3"),
            fact("10", "+2.000000000", "C", "+3+3"),
            fact("10", "+1.000000000", "A", "+2+2"),
            fact("10", "+1.000000000", "B", "+1+1"),
            fact("10", "+1.000000000", "B", "+2+2"),
            fact("10.0", "+1.000000000", "B", "+2+2"),
            fact("10", "-1.000000000", "A", "+1+1"),
        ];
        for pair in rising.windows(2) {
            assert_eq!(pair[0].merge_order(&pair[1]), Ordering::Less, "{pair:?}");
        }
    }
}
