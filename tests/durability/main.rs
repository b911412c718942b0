//! What is on disk: real servers that are killed, stopped, started twice, damaged, and out of room.
//!
//! Few rounds; `HERD_TEST_ROUNDS=100` makes them more.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/relay.rs"]
mod relay;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/talk.rs"]
mod talk;

mod expiry;
mod full;
mod kept;
mod kill;
mod start;
