//! Replication between real processes: what DESIGN part 4 promises holds for `herd serve`, also
//! under load, and when servers and links fail.
//!
//! Loads are small; `HERD_TEST_LOAD=10` makes them ten times as large.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/neighbor.rs"]
mod neighbor;
#[path = "../support/noise.rs"]
mod noise;
#[path = "../support/outside.rs"]
mod outside;
#[path = "../support/places_service.rs"]
mod places_service;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/recorder.rs"]
mod recorder;
#[path = "../support/relay.rs"]
mod relay;
#[path = "../support/servers.rs"]
mod servers;
#[path = "../support/talk.rs"]
mod talk;

mod clocks;
mod faults;
mod handshake;
mod keys;
mod load;
mod one_shot;
mod overload;
mod plain;
mod repair;
mod shapes;
mod under_load;
