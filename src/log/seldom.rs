//! Saying the same kind of thing seldom, however often it happens.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lets through one event of a kind in a while, and counts those between.
///
/// ```
/// use std::time::{Duration, Instant};
/// use herd::log::Seldom;
///
/// let seldom = Seldom::every(Duration::from_secs(10));
/// let now = Instant::now();
/// assert_eq!(seldom.says(now), Some(0));
/// assert_eq!(seldom.says(now), None);
/// assert_eq!(seldom.says(now + Duration::from_secs(10)), Some(1), "one was left out");
/// ```
#[derive(Debug)]
pub struct Seldom {
    every: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    said: Option<Instant>,
    left_out: u64,
}

impl Seldom {
    /// Once in `every`.
    pub fn every(every: Duration) -> Self {
        Self { every, state: Mutex::default() }
    }

    /// Whether to say it now: `Some` of how often it happened since it was said last, this time not counted.
    pub fn says(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        let is_due =
            state.said.is_none_or(|said| now.saturating_duration_since(said) >= self.every);
        if is_due {
            state.said = Some(now);
            Some(std::mem::take(&mut state.left_out))
        } else {
            state.left_out += 1;
            None
        }
    }
}
