//! Bytes to lines, lines to commands.

use std::hint::black_box;

use herd::protocol::reply::write_update;
use herd::protocol::{Command, Frame};

use super::counted;
use super::inputs::{SECOND, fields, iamat as iamat_line};

/// `[limits] max_line`, by default.
const MAX_LINE: usize = 8 * 1024;

/// Cuts the lines of what one read brings.
pub(super) fn frames(operations: usize) {
    let lines = (0..64).map(|client| iamat_line(client, SECOND));
    let input: Vec<u8> = lines.flat_map(|line| [line, b"\n".to_vec()].concat()).collect();
    counted(&mut || {
        for _ in 0..operations {
            let mut rest = black_box(&input[..]);
            while let Frame::Line(line) = Frame::first(rest, MAX_LINE) {
                rest = &rest[black_box(line).len() + 1..];
            }
        }
    });
}

pub(super) fn iamat(operations: usize) {
    parse((0..operations).map(|client| iamat_line(client, SECOND)));
}

pub(super) fn whatsat(operations: usize) {
    parse((0..operations).map(|client| format!("WHATSAT client-{client:013} 10 5").into()));
}

pub(super) fn update(operations: usize) {
    parse((0..operations).map(|client| {
        let mut line = Vec::new();
        write_update(&fields(&iamat_line(client, SECOND)), b"Hamilton", &mut line);
        line.pop();
        line
    }));
}

/// Only the last byte is wrong, so that all has to be read.
pub(super) fn invalid(operations: usize) {
    parse((0..operations).map(|client| [&iamat_line(client, SECOND)[..69], b"x"].concat()));
}

fn parse(lines: impl Iterator<Item = Vec<u8>>) {
    let lines: Vec<_> = lines.collect();
    counted(&mut || {
        for line in &lines {
            black_box(Command::parse(black_box(line)));
        }
    });
}
