//! Watching a server: its admin address, and `herd status`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/embedded.rs"]
mod embedded;
#[path = "../support/places_service.rs"]
mod places_service;
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

mod ask;
mod exposition;
mod herd;
mod pages;
mod rude;
mod status_command;
