//! The log of one server.
