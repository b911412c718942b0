//! Records to lines.

use std::hint::black_box;
use std::time::SystemTime;

use herd::log::{Level, Stamp, escape_into};
use herd::protocol::reply::{write_at, write_update};
use herd::records::Record;

use super::counted;
use super::inputs::{SECOND, iamat, record};

/// Lines that one buffer takes, as in a turn.
const LINES: usize = 64;

/// Replies.
pub(super) fn at(operations: usize) {
    format(operations, |record, out| write_at(&record.fields(), out));
}

/// What goes to neighbors.
pub(super) fn update(operations: usize) {
    format(operations, |record, out| write_update(&record.fields(), b"Hamilton", out));
}

fn format(operations: usize, write: impl Fn(&Record, &mut Vec<u8>)) {
    let records: Vec<_> = (0..operations).map(|client| record(client, SECOND)).collect();
    let mut out = Vec::new();
    counted(&mut || {
        for batch in records.chunks(LINES) {
            out.clear();
            for record in batch {
                write(black_box(record), &mut out);
            }
            black_box(&out);
        }
    });
}

/// A line of the traffic log: a command and its reply.
pub(super) fn log_line(operations: usize) {
    let exchange = |client| {
        let mut reply = Vec::new();
        write_at(&record(client, SECOND).fields(), &mut reply);
        reply.pop();
        (iamat(client, SECOND), reply)
    };
    let exchanges: Vec<_> = (0..operations).map(exchange).collect();
    let stamp = Stamp::of(SystemTime::now());
    let mut out = Vec::new();
    counted(&mut || {
        for batch in exchanges.chunks(LINES) {
            out.clear();
            for (line, reply) in batch {
                stamp.begin(Level::Info, &mut out);
                out.extend_from_slice(b"127.0.0.1:40312 ");
                escape_into(black_box(line), &mut out);
                out.extend_from_slice(b" -> ");
                escape_into(black_box(reply), &mut out);
                out.push(b'\n');
            }
            black_box(&out);
        }
    });
}
