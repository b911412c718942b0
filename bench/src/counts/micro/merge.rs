//! Reports into the map.

use std::hint::black_box;

use herd::records::{Record, Records};

use super::counted;
use super::inputs::{self, SECOND, fields, iamat};

/// Clients that are known before.
const KNOWN: usize = 10_000;

/// Makes records of what was parsed, and drops them.
pub(super) fn record(operations: usize) {
    let lines: Vec<_> = (0..operations).map(|client| iamat(client, SECOND)).collect();
    let all: Vec<_> = lines.iter().map(|line| fields(line)).collect();
    counted(&mut || {
        for fields in &all {
            black_box(Record::new(black_box(fields)));
        }
    });
}

pub(super) fn newer(operations: usize) {
    report((0..operations).map(|at| inputs::record(at % KNOWN, SECOND + 1)));
}

pub(super) fn new_client(operations: usize) {
    report((0..operations).map(|at| inputs::record(KNOWN + at, SECOND)));
}

pub(super) fn older(operations: usize) {
    report((0..operations).map(|at| inputs::record(at % KNOWN, SECOND - 1)));
}

/// The map alone holds what is replaced, so that its end counts too.
fn report(reports: impl Iterator<Item = Record>) {
    let records = Records::default();
    for client in 0..KNOWN {
        records.report(&inputs::record(client, SECOND), usize::MAX);
    }
    let reports: Vec<_> = reports.collect();
    counted(&mut || {
        for report in &reports {
            black_box(records.report(black_box(report), usize::MAX));
        }
    });
}
