//! `herd up`, the program, with real servers.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on fails")]

mod failures;
mod herd_up;
mod refusals;
mod running;
