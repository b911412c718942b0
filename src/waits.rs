//! What threads wait on and share, from one place: locks, channels, pollers, counts.
//!
//! They are those of `parking_lot`, `crossbeam-channel`, `polling` and std. Under the feature
//! `shuttle`, which is for `tests/schedules` alone, they are stand-ins that let the test say which
//! thread goes on at each step, so that it meets schedules that a machine hardly ever draws.

#[cfg(feature = "shuttle")]
mod scheduled;

#[cfg(not(feature = "shuttle"))]
mod real {
    pub use std::sync::atomic;

    pub use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
    pub use parking_lot::{Condvar, Mutex};
    pub use polling::Poller;
}

#[cfg(not(feature = "shuttle"))]
pub use real::*;
#[cfg(feature = "shuttle")]
pub use scheduled::*;
