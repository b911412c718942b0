//! The blocking client library.
/// A connection to one server.
#[derive(Debug)]
pub struct Client;
