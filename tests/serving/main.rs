//! What serving clients promises beside the protocol: limits, clients that misbehave, slow places,
//! idle connections, stops, and the log of it all. In both modes of the pool where they may differ.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/embedded.rs"]
mod embedded;
#[path = "../support/outside.rs"]
mod outside;
#[path = "../support/places_service.rs"]
mod places_service;
#[path = "../support/served.rs"]
mod served;
#[path = "../support/talk.rs"]
mod talk;

mod addresses;
mod counts;
mod files;
mod idle;
mod limits;
mod log;
mod pinned;
mod places;
mod rates;
mod records;
mod rude;
mod stop;
