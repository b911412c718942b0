//! `expire_after`: which records are too old to be kept, and the thread that takes them away.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::log::Level;
use parking_lot::{Condvar, Mutex};

use crate::counters::Counters;
use crate::log::Log;
use crate::protocol::Nanos;
use crate::records::Records;
use crate::records::digest::SHARDS;
use crate::threads;

/// Ticks in `expire_after`: what is expired changes so seldom, and otherwise all servers agree.
const TICKS: u32 = 64;

/// The shortest tick.
const LEAST_TICK: Duration = Duration::from_secs(1);

/// How often the clock is looked at, at least: it may have been set.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The thread that expires records.
#[derive(Debug)]
pub struct ExpiryThread {
    stop: Arc<Stop>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Stop {
    is_stopping: Mutex<bool>,
    changed: Condvar,
}

/// Records of before this time are expired, at this time of the clock: a whole number of ticks, so that all
/// servers say the same but within a moment of the tick.
pub fn horizon(now: Nanos, expire_after: Duration) -> Nanos {
    let (after, tick) = (nanos(expire_after), nanos(tick(expire_after)));
    let ticks = (i128::from(now.0) - after).div_euclid(tick);
    Nanos(i64::try_from(ticks * tick).unwrap_or(i64::MIN))
}

/// `expire_after` / 64, at least a second.
pub fn tick(expire_after: Duration) -> Duration {
    (expire_after / TICKS).max(LEAST_TICK)
}

/// The clock, since the POSIX epoch.
fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(since.as_nanos().try_into().unwrap_or(i64::MAX))
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX / 4)
}

/// Takes away what is expired now, and lets nothing in that is. Returns how many records went.
pub fn expire(records: &Records, horizon: Nanos) -> usize {
    (0..SHARDS).map(|shard| records.expire(shard, horizon).len()).sum()
}

/// As [`expire`], by the system's clock.
pub fn expire_now(records: &Records, expire_after: Duration) -> usize {
    expire(records, horizon(now(), expire_after))
}

impl ExpiryThread {
    /// Starts it. It wakes at each tick, and when the clock was set.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn start(
        records: Arc<Records>,
        expire_after: Duration,
        log: Log,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let stop = Arc::<Stop>::default();
        let thread = {
            let stop = Arc::clone(&stop);
            threads::spawn("expire", "", move || {
                let mut last = None;
                loop {
                    let now = now();
                    let horizon = horizon(now, expire_after);
                    if last.replace(horizon) != Some(horizon) {
                        let expired = expire(&records, horizon);
                        counters.expired.add(expired as u64);
                        if expired > 0 {
                            log.event(Level::Debug, format_args!("{expired} records have expired"));
                        }
                    }
                    if stop.wait(until_next_tick(now, expire_after).min(LOOK_EVERY)) {
                        return;
                    }
                }
            })?
        };
        Ok(Self { stop, thread })
    }

    /// Ends it, at once or when the shards that it is at are through.
    pub fn stop(self) {
        *self.stop.is_stopping.lock() = true;
        self.stop.changed.notify_all();
        // A panic was reported when it happened.
        let _ = self.thread.join();
    }
}

impl Stop {
    /// Waits so long, or until the stop, which is true.
    fn wait(&self, wait: Duration) -> bool {
        let mut is_stopping = self.is_stopping.lock();
        self.changed.wait_while_for(&mut is_stopping, |is_stopping| !*is_stopping, wait);
        *is_stopping
    }
}

/// How long until [`horizon`] says something else.
fn until_next_tick(now: Nanos, expire_after: Duration) -> Duration {
    let (after, tick) = (nanos(expire_after), nanos(tick(expire_after)));
    let left = tick - (i128::from(now.0) - after).rem_euclid(tick);
    Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn the_horizon_moves_in_whole_ticks() {
        let after = Duration::from_secs(640);
        let at = |seconds: i64| horizon(Nanos(seconds * SECOND), after).0 / SECOND;
        assert_eq!((at(10_640), at(10_649), at(10_650)), (10_000, 10_000, 10_010));
        assert_eq!(at(0), -640, "before the epoch nothing is expired");
    }

    #[test]
    fn a_tick_is_a_second_at_least() {
        assert_eq!(tick(Duration::from_secs(2)), Duration::from_secs(1));
        assert_eq!(tick(Duration::from_secs(6400)), Duration::from_secs(100));
        assert_eq!(horizon(Nanos(10 * SECOND + 5), Duration::from_secs(2)), Nanos(8 * SECOND));
    }

    #[test]
    fn two_clocks_within_a_tick_agree() {
        let after = Duration::from_secs(6400);
        let ours = horizon(Nanos(1_000_050 * SECOND), after);
        assert_eq!(horizon(Nanos(1_000_099 * SECOND), after), ours);
        let left = until_next_tick(Nanos(1_000_050 * SECOND), after);
        assert_eq!(left, Duration::from_secs(50));
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let longest = Duration::from_secs(36_500 * 24 * 3600);
        assert!(horizon(Nanos(0), longest).0 < 0);
        assert!(horizon(Nanos(i64::MAX), Duration::from_secs(1)).0 > 0);
        assert_eq!(horizon(Nanos(i64::MIN), longest), Nanos(i64::MIN));
    }
}
