//! A multi-threaded, synchronous application server herd.
//!
//! The modules, in reading order; each uses only those above it:

/// The transcripts of the protocol, run against any server.
pub mod check;
/// The blocking client library.
pub mod client;
/// The conf file, read and validated.
pub mod config;
/// Flooding: outboxes, links, and what neighbors say.
pub mod flood;
/// Binding and accepting.
pub mod listening;
/// The log of one server: traffic and events, written in batches by a thread of its own.
pub mod log;
/// What is near a location, and who is asked.
pub mod places;
/// The wire contract, pure: commands, replies, fields, lines.
pub mod protocol;
/// The map from client to record, and the merge: newest wins.
pub mod records;
/// One server: listener, pool, lots, connections, sessions.
pub mod server;
/// Where threads are born, named and counted.
pub mod threads;

pub use client::Client;
