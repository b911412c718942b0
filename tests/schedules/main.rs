//! What threads do to each other, under schedules that are drawn: which one goes on at each lock, channel
//! and count is not left to the machine. The types are the product's own; sockets are pairs whose
//! input came before, and wires are channels.
//!
//!     cargo test --features shuttle --test schedules
//!
//! A schedule that fails is printed; `SCHEDULE=...` runs it alone, with the name of its test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod flooding;
mod merging;
mod neighbors;
mod places;
mod serving;
mod support;
