//! What the architecture says is absent, is absent: read off the sources, and off what cargo builds.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that cannot go on fails")]

mod absences;
mod modules;
mod runtimes;
mod source;
