//! What waits to be sent on one link: at most one entry a client, the newer by the merge order.

use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use indexmap::{Equivalent, IndexSet};
use parking_lot::{Condvar, Mutex};

use crate::records::Record;

/// What waits to be sent on one link. Its size is bounded by the number of clients, so pushing
/// never blocks for longer than the short lock; while the link is down it is closed and empty.
///
/// Two generations: pushes go into one while the other is sent, so that under steady load no entry
/// waits behind newer ones for ever.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
    /// Signalled when entries come into an empty outbox, and when it closes, finishes or is poked.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    filling: IndexSet<ByClient>,
    /// When the first of `filling` came.
    filling_since: Option<Instant>,
    sending: IndexSet<ByClient>,
    sending_since: Option<Instant>,
    /// The writer has something else to do.
    is_poked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The link is down: pushes are dropped, since all is sent when it comes up again.
    #[default]
    Closed,
    Open,
    /// The server stops: what is here is still sent.
    Finishing,
}

/// What a writer gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Records to send, each the newest that was pushed of its client.
    Records(Vec<Record>),
    /// Nothing came within the wait.
    Nothing,
    /// The writer was poked: there is something else to say.
    Poked,
    /// The link is down, or the server stops and all is sent: nothing more will come.
    Closed,
}

/// A record that is found by its client.
#[derive(Debug)]
struct ByClient(Record);

struct Client<'a>(&'a [u8]);

impl Hash for ByClient {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.client().hash(state);
    }
}

impl PartialEq for ByClient {
    fn eq(&self, other: &Self) -> bool {
        self.0.client() == other.0.client()
    }
}

impl Eq for ByClient {}

impl Hash for Client<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<ByClient> for Client<'_> {
    fn equivalent(&self, entry: &ByClient) -> bool {
        self.0 == entry.0.client()
    }
}

/// Capacity that an empty outbox keeps; what one burst needed beyond is given back.
const KEPT_CAPACITY: usize = 1024;

impl Outbox {
    /// Opens it empty: from here on nothing that is pushed is missed.
    pub fn open(&self) {
        let emptied = std::mem::replace(
            &mut *self.state.lock(),
            State { phase: Phase::Open, ..State::default() },
        );
        drop(emptied);
    }

    /// Closes and empties it, and frees a writer that waits.
    pub fn close(&self) {
        let emptied = std::mem::take(&mut *self.state.lock());
        self.changed.notify_all();
        drop(emptied);
    }

    /// Lets the writer send what is here, then tells it [`Taken::Closed`]. False if it was closed
    /// before, so that there is nothing to send.
    pub fn finish(&self) -> bool {
        let mut state = self.state.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Finishing;
        }
        self.changed.notify_all();
        state.phase == Phase::Finishing
    }

    /// Adds records; of two of a client the newer stays. Dropped when closed.
    pub fn push(&self, records: impl IntoIterator<Item = Record>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        if state.phase == Phase::Closed {
            return;
        }
        let was_empty = state.is_empty();
        for record in records {
            state.insert(record);
        }
        if !state.filling.is_empty() {
            state.filling_since.get_or_insert(now);
        }
        if was_empty && !state.is_empty() {
            self.changed.notify_all();
        }
    }

    /// Has the writer look for something else to say: ends its wait, or its next one.
    pub fn poke(&self) {
        self.state.lock().is_poked = true;
        self.changed.notify_all();
    }

    /// Takes up to `limit` records, oldest generation first. Blocks until there are some, until it
    /// closes or is poked, or for `wait` at most.
    pub fn take(&self, limit: usize, wait: Duration) -> Taken {
        let deadline = Instant::now() + wait;
        let mut state = self.state.lock();
        loop {
            if state.phase == Phase::Closed {
                return Taken::Closed;
            }
            if !state.is_empty() {
                return Taken::Records(state.take(limit));
            }
            if state.phase == Phase::Finishing {
                return Taken::Closed;
            }
            if std::mem::take(&mut state.is_poked) {
                return Taken::Poked;
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return if state.is_empty() {
                    Taken::Nothing
                } else {
                    Taken::Records(state.take(limit))
                };
            }
        }
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        let state = self.state.lock();
        state.filling.len() + state.sending.len()
    }

    /// Age of what waits longest, to within the time that its generation took to come; zero if nothing waits.
    pub fn lag(&self) -> Duration {
        let since = {
            let state = self.state.lock();
            // The generation that is sent is the older one.
            state.sending_since.or(state.filling_since)
        };
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.filling.is_empty() && self.sending.is_empty()
    }

    fn insert(&mut self, record: Record) {
        let client = Client(record.client());
        let generation =
            if self.sending.contains(&client) { &mut self.sending } else { &mut self.filling };
        match generation.get(&client) {
            Some(waiting) if !record.is_newer_than(&waiting.0) => {}
            _ => {
                generation.replace(ByClient(record));
            }
        }
    }

    fn take(&mut self, limit: usize) -> Vec<Record> {
        if self.sending.is_empty() {
            std::mem::swap(&mut self.sending, &mut self.filling);
            self.sending_since = self.filling_since.take();
        }
        let rest = self.sending.len().saturating_sub(limit);
        let taken = self.sending.drain(rest..).map(|entry| entry.0).collect();
        if rest == 0 {
            self.sending_since = None;
            self.sending.shrink_to(KEPT_CAPACITY);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Nanos;
    use crate::protocol::reply::Fields;

    const NOW: Duration = Duration::ZERO;

    fn record(client: &str, time: i64) -> Record {
        Record::new(&Fields {
            client: client.as_bytes(),
            origin: b"A",
            location: b"+1+1",
            time_text: time.to_string().as_bytes(),
            time: Nanos(time),
            skew: Nanos(0),
        })
    }

    #[test]
    fn of_each_client_only_the_newest_waits_whatever_came_first() {
        let outbox = Outbox::default();
        outbox.open();
        outbox.push([record("kiwi", 2), record("plum", 1), record("kiwi", 3), record("kiwi", 1)]);
        assert_eq!(outbox.len(), 2);
        let Taken::Records(mut taken) = outbox.take(10, NOW) else { panic!("two wait") };
        taken.sort_by(|a, b| a.client().cmp(b.client()));
        assert_eq!(taken, [record("kiwi", 3), record("plum", 1)]);
        assert_eq!(outbox.take(10, NOW), Taken::Nothing);
    }

    #[test]
    fn an_entry_does_not_wait_behind_what_comes_later() {
        let outbox = Outbox::default();
        outbox.open();
        outbox.push([record("first", 1), record("second", 1)]);
        let mut seen = Vec::new();
        for round in 0..3 {
            let Taken::Records(taken) = outbox.take(1, NOW) else { panic!("some wait") };
            seen.extend(taken.iter().map(|record| record.client().to_vec()));
            outbox.push([record(&format!("later{round}"), 1)]);
        }
        assert!(
            seen.contains(&b"first".to_vec()) && seen.contains(&b"second".to_vec()),
            "{seen:?}"
        );
    }

    #[test]
    fn an_entry_that_is_being_sent_still_takes_newer_ones() {
        let outbox = Outbox::default();
        outbox.open();
        outbox.push([record("a", 1), record("b", 1)]);
        outbox.take(1, NOW);
        outbox.push([record("a", 2), record("b", 2)]);
        let mut taken = Vec::new();
        while let Taken::Records(more) = outbox.take(1, NOW) {
            taken.extend(more);
        }
        taken.sort_by(|a, b| a.client().cmp(b.client()));
        assert_eq!(taken, [record("a", 2), record("b", 2)]);
    }

    #[test]
    fn lag_is_the_age_of_the_oldest_generation_that_waits() {
        let outbox = Outbox::default();
        assert_eq!(outbox.lag(), Duration::ZERO);
        outbox.open();
        let before = Instant::now();
        outbox.push([record("a", 1), record("b", 1)]);
        let pushed = Instant::now();
        outbox.take(1, NOW);
        outbox.push([record("c", 1)]);
        let (least, lag, most) = (pushed.elapsed(), outbox.lag(), before.elapsed());
        assert!((least..=most).contains(&lag), "b waits since {lag:?}, not {least:?} to {most:?}");
        outbox.take(1, NOW);
        let (lag, most) = (outbox.lag(), pushed.elapsed());
        assert!(lag > Duration::ZERO && lag <= most, "c waits since {lag:?} of {most:?}");
        outbox.take(1, NOW);
        assert_eq!(outbox.lag(), Duration::ZERO, "nothing waits");
        outbox.push([record("d", 1)]);
        outbox.close();
        assert_eq!(outbox.lag(), Duration::ZERO, "a closed one is empty");
    }

    #[test]
    fn a_closed_outbox_is_empty_and_takes_nothing() {
        let outbox = Outbox::default();
        outbox.push([record("kiwi", 1)]);
        assert_eq!((outbox.len(), outbox.take(1, NOW)), (0, Taken::Closed));
        assert!(!outbox.finish(), "nothing is to be sent");
        outbox.open();
        outbox.push([record("kiwi", 1)]);
        outbox.close();
        assert_eq!((outbox.len(), outbox.take(1, NOW)), (0, Taken::Closed));
    }

    #[test]
    fn a_finishing_outbox_gives_what_it_has_and_then_closes() {
        let outbox = Outbox::default();
        outbox.open();
        outbox.push([record("kiwi", 1)]);
        assert!(outbox.finish());
        assert_eq!(outbox.take(1, NOW), Taken::Records(vec![record("kiwi", 1)]));
        assert_eq!(outbox.take(1, Duration::MAX / 4), Taken::Closed);
    }

    #[test]
    fn a_poked_writer_is_freed_once_and_gets_what_waits_first() {
        let outbox = Outbox::default();
        outbox.open();
        outbox.push([record("kiwi", 1)]);
        outbox.poke();
        outbox.poke();
        assert_eq!(outbox.take(1, NOW), Taken::Records(vec![record("kiwi", 1)]));
        assert_eq!(outbox.take(1, NOW), Taken::Poked);
        assert_eq!(outbox.take(1, NOW), Taken::Nothing);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| outbox.take(1, Duration::from_secs(60)));
            outbox.poke();
            assert_eq!(writer.join().expect("the writer ends"), Taken::Poked);
        });
    }

    #[test]
    fn a_waiting_writer_is_freed_by_a_push_and_by_a_close() {
        let outbox = Outbox::default();
        outbox.open();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                (outbox.take(1, Duration::from_secs(60)), outbox.take(1, Duration::from_secs(60)))
            });
            outbox.push([record("kiwi", 1)]);
            while !outbox.is_empty() {
                std::thread::yield_now();
            }
            outbox.close();
            let seen = writer.join().expect("the writer ends");
            assert_eq!(seen, (Taken::Records(vec![record("kiwi", 1)]), Taken::Closed));
        });
    }
}
