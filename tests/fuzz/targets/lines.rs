//! Where lines end: whatever the pieces that input comes in, the lines are those that a byte by byte
//! reading finds.
//!
//! Input: the limit of a line, a seed for the sizes of pieces, then what a client sends.

#![no_main]

use herd::protocol::Frame;
use libfuzzer_sys::fuzz_target;

/// What was read of one connection.
#[derive(Debug, Default, PartialEq)]
struct Read {
    lines: Vec<Vec<u8>>,
    /// The start of a line over the limit, behind which nothing is read.
    too_long: Option<Vec<u8>>,
    /// What came of a line that is not whole.
    rest: Vec<u8>,
}

fuzz_target!(|data: &[u8]| {
    let &[max_line, seed, ref input @ ..] = data else { return };
    let max_line = usize::from(max_line);
    let expected = byte_by_byte(input, max_line);
    assert_eq!(in_pieces(&[input], max_line), expected);
    let mut sizes = fastrand::Rng::with_seed(u64::from(seed));
    let mut pieces = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(sizes.usize(1..=rest.len().min(12)));
        pieces.push(piece);
        rest = after;
    }
    assert_eq!(in_pieces(&pieces, max_line), expected);
});

/// As sessions and peers read: what is not whole waits for more.
fn in_pieces(pieces: &[&[u8]], max_line: usize) -> Read {
    let mut read = Read::default();
    for piece in pieces {
        read.rest.extend_from_slice(piece);
        let mut taken = 0;
        loop {
            match Frame::first(&read.rest[taken..], max_line) {
                Frame::Line(line) => {
                    taken += line.len() + 1;
                    read.lines.push(line.to_vec());
                }
                Frame::TooLong(start) => {
                    read.too_long = Some(start.to_vec());
                    read.rest.clear();
                    return read;
                }
                Frame::Partial => break,
            }
        }
        read.rest.drain(..taken);
    }
    read
}

fn byte_by_byte(input: &[u8], max_line: usize) -> Read {
    let mut read = Read::default();
    for &byte in input {
        match byte {
            b'\n' => read.lines.push(std::mem::take(&mut read.rest)),
            _ if read.rest.len() == max_line => {
                read.too_long = Some(std::mem::take(&mut read.rest));
                return read;
            }
            _ => read.rest.push(byte),
        }
    }
    read
}
