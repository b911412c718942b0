//! What threads wait on and share, from one place: locks, channels, pollers, counts.
//!
//! They are those of `parking_lot`, `crossbeam-channel` and std, and our own poller over epoll. Under the feature
//! `shuttle`, which is for `tests/schedules` alone, they are stand-ins that let the test say which
//! thread goes on at each step, so that it meets schedules that a machine hardly ever draws.

mod poller;
#[cfg(feature = "shuttle")]
mod scheduled;

pub use poller::{Awaits, Event, Ready};

#[cfg(not(feature = "shuttle"))]
mod real {
    pub use std::sync::atomic;
    use std::time::{Duration, Instant};

    pub use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
    pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

    pub use super::poller::Poller;

    /// True if more than `limit` has passed since `began`.
    pub fn is_over(began: Instant, limit: Duration) -> bool {
        began.elapsed() > limit
    }
}

#[cfg(not(feature = "shuttle"))]
pub use real::*;
#[cfg(feature = "shuttle")]
pub use scheduled::*;
