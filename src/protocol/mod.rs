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
    // One bit a byte: a comparison of each in turn is what parsing would spend most of its time in.
    const BITS: u64 = 1 << b' ' | 1 << b'\t' | 1 << b'\r' | 1 << b'\n' | 1 << 0x0b | 1 << 0x0c;
    byte <= b' ' && BITS >> byte & 1 == 1
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

/// Exactly `N` more fields, or `None`.
fn exactly<'a, const N: usize>(
    mut fields: impl Iterator<Item = &'a [u8]>,
) -> Option<[&'a [u8]; N]> {
    let mut taken: [&[u8]; N] = [b""; N];
    for field in &mut taken {
        *field = fields.next()?;
    }
    match fields.next() {
        Some(_) => None,
        None => Some(taken),
    }
}
