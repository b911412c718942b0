//! `herd check`: our own servers keep every rule, and servers that break one are found out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod command;
mod faulty;
mod rules;

#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/process.rs"]
mod process;
#[path = "../support/relay.rs"]
mod relay;
#[path = "../support/servers.rs"]
mod servers;
