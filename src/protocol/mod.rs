//! The wire contract: bytes in, bytes out. No socket, thread, clock, lock or log.
//!
//! Times and limits that a rule needs are arguments. Reading order: `cursor` (how a line is read; `lanes` is
//! why that is fast), [`decimal`], then the fields ([`time`], [`location`], [`name`]), [`command`] (what is
//! read), [`reply`] (what is written), [`framing`] (where a line ends).

pub mod command;
mod cursor;
pub mod decimal;
pub mod framing;
mod lanes;
pub mod location;
pub mod name;
pub mod reply;
pub mod time;

use cursor::Cursor;

pub use command::{Command, Iamat, Update, Whatsat};
pub use framing::Frame;
pub use location::{Coordinates, Kilometers};
pub use name::ServerName;
pub use time::Nanos;

/// White space of the protocol: space, tab, CR, LF, form feed, vertical tab.
pub fn is_white_space(byte: u8) -> bool {
    // One bit a byte: a comparison of each in turn is what parsing would spend most of its time in.
    const BITS: u64 = 1 << b' ' | 1 << b'\t' | 1 << b'\r' | 1 << b'\n' | 1 << 0x0b | 1 << 0x0c;
    byte <= b' ' && BITS >> byte & 1 == 1
}

/// The fields of a line, in order: what stands between runs of white space.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut cursor = Cursor::new(line);
    std::iter::from_fn(move || cursor.field())
}
