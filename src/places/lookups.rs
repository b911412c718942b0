//! Which look-ups are under way: at most so many calls at once, further ones wait in a bounded
//! queue without a thread, and equal ones are made once.
//!
//! Whoever asks hands in a ticket, which stands for the connection that waits. The tickets come
//! back with the answer, or with a [`Call`] when it is their turn to make one: this module wakes
//! nobody and owns no thread, so that either kind of pool can use it.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Failure, Lookup, Provider, Status, answer};
use crate::waits::Mutex;

/// Places JSON for one WHATSAT, cut to its bound; a failure in the same shape.
pub type Answer = Arc<[u8]>;

/// The look-ups of one server; `T` is the ticket.
pub struct Lookups<T> {
    provider: Arc<dyn Provider>,
    limits: LookupLimits,
    state: Mutex<State<T>>,
}

/// Bounds of a server's look-ups.
#[derive(Clone, Copy, Debug)]
pub struct LookupLimits {
    /// Calls at a time.
    pub calls: usize,
    /// Distinct look-ups that wait for a call.
    pub queued: usize,
    /// Longest wait in the queue; what waited longer gets `OVER_QUERY_LIMIT`.
    pub wait: Duration,
}

struct State<T> {
    calls: usize,
    queue: VecDeque<Queued>,
    /// Everything asked and not answered: who waits for it.
    in_flight: HashMap<Key, Vec<T>>,
}

struct Queued {
    lookup: Lookup,
    since: Instant,
}

/// A look-up by its bits: what is asked with the same numbers is the same.
type Key = (u64, u64, u64, u8);

/// What became of a question.
pub enum Asked<T> {
    /// It is answered already.
    Answered(T, Answer),
    /// The ticket is kept, and comes back with the answer or with a turn to call.
    Waiting,
    /// It is this asker's turn to call the provider, blocking.
    Call(Call<T>),
}

/// The turn to call the provider. It must be run, since others may wait for it.
#[must_use = "others may wait for this call"]
pub struct Call<T> {
    lookups: Arc<Lookups<T>>,
    lookup: Lookup,
    /// Who makes the call.
    pub ticket: T,
}

/// What a call brought.
pub struct Finished<T> {
    /// Tickets with their answers: that of the caller first.
    pub answered: Vec<(T, Answer)>,
    /// How many of them were refused, as they waited too long in the queue.
    pub late: usize,
    /// Whose turn it is now.
    pub next: Option<Call<T>>,
}

impl<T> Lookups<T> {
    /// Look-ups with that provider.
    pub fn new(provider: Arc<dyn Provider>, limits: LookupLimits) -> Arc<Self> {
        let state = State { calls: 0, queue: VecDeque::new(), in_flight: HashMap::new() };
        Arc::new(Self { provider, limits, state: Mutex::new(state) })
    }

    /// The answer, if the provider only computes: within microseconds to milliseconds.
    pub fn compute(&self, lookup: &Lookup) -> Option<Answer> {
        if lookup.bound == 0 {
            return Some(answer::none().into());
        }
        self.provider.computes().then(|| self.ask_provider(lookup))
    }

    /// Asks for places. Never blocks.
    pub fn ask(self: &Arc<Self>, lookup: Lookup, ticket: T) -> Asked<T> {
        let mut state = self.state.lock();
        if let Some(waiting) = state.in_flight.get_mut(&key(&lookup)) {
            waiting.push(ticket);
            return Asked::Waiting;
        }
        if state.calls < self.limits.calls {
            state.calls += 1;
            state.in_flight.insert(key(&lookup), Vec::new());
            return Asked::Call(Call { lookups: Arc::clone(self), lookup, ticket });
        }
        if state.queue.len() >= self.limits.queued {
            drop(state);
            return Asked::Answered(ticket, overload());
        }
        state.queue.push_back(Queued { lookup, since: Instant::now() });
        state.in_flight.insert(key(&lookup), vec![ticket]);
        Asked::Waiting
    }

    /// Calls under way and look-ups that wait for one.
    pub fn load(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.calls, state.queue.len())
    }

    /// Tickets whose answers are under way: of who waits, and of who calls.
    pub fn waiting(&self) -> usize {
        let state = self.state.lock();
        state.calls + state.in_flight.values().map(Vec::len).sum::<usize>()
    }

    /// Asks the provider. A panic of it is a failure.
    fn ask_provider(&self, lookup: &Lookup) -> Answer {
        let asked = catch_unwind(AssertUnwindSafe(|| self.provider.nearby(lookup)));
        let answered = asked.unwrap_or_else(|_| {
            let message = "the places provider failed inside; see the server's log".into();
            Err(Failure { status: Status::UnknownError, message })
        });
        answered.unwrap_or_else(|failure| answer::failure(&failure)).into()
    }
}

impl<T> Call<T> {
    /// Calls the provider: blocks for as long as it may take. Then gives the turn to the next.
    pub fn run(self) -> Finished<T> {
        let Self { lookups, lookup, ticket } = self;
        let answer = lookups.ask_provider(&lookup);
        let mut state = lookups.state.lock();
        let waited = state.in_flight.remove(&key(&lookup)).unwrap_or_default();
        let mut answered: Vec<_> = std::iter::once(ticket)
            .chain(waited)
            .map(|ticket| (ticket, Arc::clone(&answer)))
            .collect();
        let on_time = answered.len();
        let mut next = None;
        while let Some(queued) = state.queue.pop_front() {
            let waiting =
                state.in_flight.get_mut(&key(&queued.lookup)).expect("what is queued is in flight");
            if queued.since.elapsed() > lookups.limits.wait {
                let late = std::mem::take(waiting);
                state.in_flight.remove(&key(&queued.lookup));
                answered.extend(late.into_iter().map(|ticket| (ticket, overload())));
            } else {
                let ticket = waiting.remove(0);
                next = Some(Call { lookups: Arc::clone(&lookups), lookup: queued.lookup, ticket });
                break;
            }
        }
        if next.is_none() {
            state.calls -= 1;
        }
        drop(state);
        Finished { late: answered.len() - on_time, answered, next }
    }
}

fn key(lookup: &Lookup) -> Key {
    let center = lookup.center;
    (center.latitude.to_bits(), center.longitude.to_bits(), lookup.radius.0.to_bits(), lookup.bound)
}

fn overload() -> Answer {
    let message = "too many look-ups wait for the places provider; ask again later".into();
    answer::failure(&Failure { status: Status::OverQueryLimit, message }).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Coordinates, Kilometers};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers with the number of the call.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Provider for Counting {
        fn computes(&self) -> bool {
            false
        }

        fn nearby(&self, lookup: &Lookup) -> Result<Vec<u8>, Failure> {
            assert!(lookup.radius.0 < 40.0, "a radius of 40 makes this provider panic");
            let call = self.0.fetch_add(1, Ordering::SeqCst);
            Ok(format!(r#"{{"results": [], "status": "{call}"}}"#).into_bytes())
        }
    }

    const LIMITS: LookupLimits =
        LookupLimits { calls: 1, queued: 2, wait: Duration::from_secs(60) };

    fn lookups(limits: LookupLimits) -> Arc<Lookups<&'static str>> {
        Lookups::new(Arc::new(Counting::default()), limits)
    }

    fn lookup(radius: f64) -> Lookup {
        let center = Coordinates { latitude: 34.0, longitude: -118.0 };
        Lookup { center, radius: Kilometers(radius), bound: 5 }
    }

    #[track_caller]
    fn call<T>(asked: Asked<T>) -> Call<T> {
        match asked {
            Asked::Call(call) => call,
            Asked::Waiting => panic!("it waits"),
            Asked::Answered(..) => panic!("it is answered"),
        }
    }

    fn text<T: Copy>(answered: &[(T, Answer)]) -> Vec<(T, String)> {
        let word = |answer: &Answer| {
            let json: serde_json::Value = serde_json::from_slice(answer).expect("JSON");
            json["status"].as_str().expect("a status").to_owned()
        };
        answered.iter().map(|(ticket, answer)| (*ticket, word(answer))).collect()
    }

    #[test]
    fn equal_look_ups_in_flight_are_made_once() {
        let lookups = lookups(LIMITS);
        let first = call(lookups.ask(lookup(1.0), "a"));
        assert!(matches!(lookups.ask(lookup(1.0), "b"), Asked::Waiting));
        let finished = first.run();
        assert_eq!(text(&finished.answered), [("a", "0".into()), ("b", "0".into())]);
        assert!(finished.next.is_none());
        assert_eq!(lookups.load(), (0, 0));
    }

    #[test]
    fn over_the_calls_at_a_time_look_ups_wait_and_over_the_queue_they_are_refused() {
        let lookups = lookups(LIMITS);
        let first = call(lookups.ask(lookup(1.0), "a"));
        assert!(matches!(lookups.ask(lookup(2.0), "b"), Asked::Waiting));
        assert!(matches!(lookups.ask(lookup(2.0), "b2"), Asked::Waiting));
        assert!(matches!(lookups.ask(lookup(3.0), "c"), Asked::Waiting));
        let Asked::Answered("d", refused) = lookups.ask(lookup(4.0), "d") else {
            panic!("over the queue")
        };
        assert_eq!(text(&[("d", refused)]), [("d", "OVER_QUERY_LIMIT".into())]);
        let second = first.run().next.expect("b's turn");
        assert_eq!((second.ticket, lookups.load()), ("b", (1, 1)));
        let finished = second.run();
        assert_eq!(text(&finished.answered), [("b", "1".into()), ("b2", "1".into())]);
        assert_eq!(text(&finished.next.expect("c's turn").run().answered), [("c", "2".into())]);
        assert_eq!(lookups.load(), (0, 0));
    }

    #[test]
    fn what_waited_too_long_for_a_call_is_told_so() {
        let lookups = lookups(LookupLimits { wait: Duration::ZERO, ..LIMITS });
        let first = call(lookups.ask(lookup(1.0), "a"));
        assert!(matches!(lookups.ask(lookup(2.0), "b"), Asked::Waiting));
        let finished = first.run();
        assert_eq!(text(&finished.answered), [("a", "0".into()), ("b", "OVER_QUERY_LIMIT".into())]);
        assert_eq!(finished.late, 1);
        assert_eq!(lookups.load(), (0, 0));
    }

    #[test]
    fn a_provider_that_panics_is_a_failure_and_frees_its_place() {
        let lookups = lookups(LIMITS);
        let finished = call(lookups.ask(lookup(40.0), "a")).run();
        assert_eq!(text(&finished.answered), [("a", "UNKNOWN_ERROR".into())]);
        assert_eq!(text(&call(lookups.ask(lookup(1.0), "b")).run().answered), [("b", "0".into())]);
    }
}
