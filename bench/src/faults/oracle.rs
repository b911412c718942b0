//! What the herd has to hold: the newest report of each client that was answered with AT, or a newer one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use herd::client::At;
use herd::protocol::Nanos;

use super::holding::Birth;

/// A client of the load: reported by one thread only, each time with a later time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Walker {
    pub(super) thread: usize,
    pub(super) number: usize,
}

/// A report that was answered with AT.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) at: At,
    pub(super) birth: Birth,
}

/// The newest report of each client that was answered.
#[derive(Default)]
pub(super) struct Oracle {
    newest: Mutex<HashMap<Vec<u8>, Answered>>,
}

/// What is wrong with what a server holds of a client.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// It was answered, and it or something newer is not there.
    Missing(Answered),
    /// Nobody reported that.
    Forged(At),
}

impl Walker {
    pub(super) fn name(self) -> String {
        format!("walker-{}-{}", self.thread, self.number)
    }
}

impl Oracle {
    pub(super) fn note(&self, answered: Answered) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.insert(answered.at.client.clone(), answered);
    }

    /// It was lost, and that is counted: nobody has to hold it any more.
    pub(super) fn forget(&self, answered: &Answered) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.remove(&answered.at.client);
    }

    /// Judges what a server holds of all the clients, `None` where it knows nothing.
    pub(super) fn judge(&self, held: &[(String, Option<At>)]) -> Vec<Verdict> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = |(client, held): &(String, Option<At>)| {
            if let Some(at) = held
                && (at.client != client.as_bytes() || at.location != location(client, at.time))
            {
                return Some(Verdict::Forged(at.clone()));
            }
            let answered = newest.get(client.as_bytes())?;
            match held {
                Some(at) if at.time > answered.at.time || *at == answered.at => None,
                // The same report, but not as it was answered.
                Some(at) if at.time == answered.at.time => Some(Verdict::Forged(at.clone())),
                _ => Some(Verdict::Missing(answered.clone())),
            }
        };
        held.iter().filter_map(verdict).collect()
    }
}

/// Where a client says it is at a time: follows from both, so that a record that was put together out
/// of two, or altered, shows.
pub(super) fn location(client: &str, time: Nanos) -> String {
    // FNV-1a, 64 bits.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in client.bytes().chain(time.0.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let sign = |bit: u64| if hash >> bit & 1 == 0 { '+' } else { '-' };
    let (latitude, longitude) = ((hash >> 8) % 89_999_999, (hash >> 24) % 179_999_999);
    format!(
        "{}{:02}.{:06}{}{:03}.{:06}",
        sign(0),
        latitude / 1_000_000,
        latitude % 1_000_000,
        sign(1),
        longitude / 1_000_000,
        longitude % 1_000_000
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use herd::protocol::ServerName;

    use super::super::holding::ServerId;
    use super::*;

    fn at(client: &str, time: i64, skew: i64) -> At {
        At {
            server: ServerName::parse(b"Ball").unwrap(),
            skew: Nanos(skew),
            client: client.into(),
            location: location(client, Nanos(time)),
            time_text: format!("0.{time:09}"),
            time: Nanos(time),
        }
    }

    /// `kiwi` was answered at time 5 with skew 1; how what is held of it is judged.
    #[track_caller]
    fn check(held: Option<At>, verdict: &str) {
        let oracle = Oracle::default();
        let now = Instant::now();
        let birth = Birth { origin: ServerId(0), sent: now, answered: now };
        oracle.note(Answered { at: at("kiwi", 5, 1), birth });
        let verdicts = oracle.judge(&[("kiwi".into(), held), ("owl".into(), None)]);
        let said = match &verdicts[..] {
            [] => "right",
            [Verdict::Missing(_)] => "missing",
            [Verdict::Forged(_)] => "forged",
            _ => "several",
        };
        assert_eq!(said, verdict);
    }

    #[test]
    fn the_report_that_was_answered_or_a_newer_one_has_to_be_there_as_it_was_made() {
        check(Some(at("kiwi", 5, 1)), "right");
        check(Some(at("kiwi", 6, 9)), "right");
        check(Some(at("kiwi", 4, 1)), "missing");
        check(None, "missing");
        check(Some(at("kiwi", 5, 2)), "forged");
        check(Some(At { time: Nanos(7), ..at("kiwi", 5, 1) }), "forged");
        check(Some(at("owl", 6, 1)), "forged");
    }

    #[test]
    fn a_location_is_one_that_servers_take() {
        for time in 0..2000 {
            assert!(herd::protocol::location::is_location(
                location("kiwi", Nanos(time)).as_bytes()
            ));
        }
    }
}
