//! The client library against scripted stand-ins for a server.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on fails")]

mod calls;
mod failures;
mod pipeline;
mod stand_in;
