//! Replication between real processes: what DESIGN part 4 promises holds for `herd serve`, also
//! under load, and when servers and links fail.
//!
//! Loads are small; `HERD_TEST_LOAD=10` makes them ten times as large.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/neighbor.rs"]
mod neighbor;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/relay.rs"]
mod relay;
#[path = "../support/servers.rs"]
mod servers;

mod faults;
mod handshake;
mod load;
mod one_shot;
mod plain;
mod repair;
mod shapes;
mod under_load;
