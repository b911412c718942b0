//! The wire contract: bytes in, bytes out. No socket, thread, clock, lock or log.
//!
//! Times and limits that a rule needs are arguments. Reading order: [`decimal`], then the fields
//! ([`time`], [`location`], [`name`]), [`command`] (what is read), [`reply`] (what is written),
//! [`framing`] (where a line ends).

pub mod command;
pub mod decimal;
pub mod framing;
pub mod location;
pub mod name;
pub mod reply;
pub mod time;

pub use command::{Command, Iamat, Update, Whatsat};
pub use framing::Frame;
pub use location::{Coordinates, Kilometers};
pub use name::ServerName;
pub use time::Nanos;

/// White space of the protocol: space, tab, CR, LF, form feed, vertical tab.
pub fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

/// The fields of a line, in order: what stands between runs of white space.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|&byte| !is_white_space(byte))?;
        let from = &rest[start..];
        let end = from.iter().position(|&byte| is_white_space(byte)).unwrap_or(from.len());
        let (field, after) = from.split_at(end);
        rest = after;
        Some(field)
    })
}

/// Exactly `N` fields, or `None`.
fn exactly<const N: usize>(line: &[u8]) -> Option<[&[u8]; N]> {
    let mut found = fields(line);
    let mut taken: [&[u8]; N] = [b""; N];
    for field in &mut taken {
        *field = found.next()?;
    }
    match found.next() {
        Some(_) => None,
        None => Some(taken),
    }
}
