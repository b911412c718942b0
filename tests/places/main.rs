//! The places providers, in a server that asks a service on this machine which plays theirs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/embedded.rs"]
mod embedded;
#[path = "../support/places_service.rs"]
mod places_service;
#[path = "../support/served.rs"]
mod served;
#[path = "../support/talk.rs"]
mod talk;

mod asking;
mod failures;
mod google;
mod google_legacy;
mod keys;
mod overpass;
mod tls;
