//! Load generator and measurements for herd.
fn main() {}
