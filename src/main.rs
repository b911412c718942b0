//! Command line to command to exit code.
fn main() {}
