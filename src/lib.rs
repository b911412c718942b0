//! A multi-threaded, synchronous application server herd.
//!
//! The modules, in reading order; each uses only those above it:
//!
//! - [`waits`]: what threads wait on: locks, channels, pollers
//! - [`protocol`]: the wire contract, pure: commands, replies, fields, lines
//! - [`config`]: the conf file, read and validated
//! - [`threads`]: where threads are born, named and counted
//! - [`counters`]: what a server has counted since its start
//! - [`log`]: the log of one server: traffic and events, written in batches
//! - [`listening`]: binding and accepting
//! - [`records`]: the map from client to record, and the merge: newest wins
//! - [`flood`]: outboxes, links, and what neighbors say
//! - [`store`]: what is kept on disk, and for how long
//! - [`places`]: what is near a location, and who is asked
//! - [`admin`]: HTTP for whoever watches a server
//! - [`server`]: one server: listener, pool, lots, connections, sessions
//! - [`client`]: the blocking client library
//! - [`check`]: the transcripts of the protocol, run against any server

pub mod admin;
pub mod check;
pub mod client;
pub mod config;
pub mod counters;
pub mod flood;
pub mod listening;
pub mod log;
pub mod places;
pub mod protocol;
pub mod records;
pub mod server;
pub mod store;
pub mod threads;
pub mod waits;

pub use client::Client;
