//! Merging several records together: whoever else merges meanwhile, nobody waits for ever, each report is answered
//! in its order, and the newest is what is left.

use std::sync::Arc;

use herd::records::{Merged, Record, Records};
use shuttle::thread;

use crate::support::{check, record};

/// In different orders, one client twice: its shard is locked already when the second is come to.
const ORDERS: [[&str; 5]; 2] =
    [["kiwi", "plum", "kiwi", "fig", "pear"], ["pear", "fig", "kiwi", "plum", "kiwi"]];

#[test]
fn those_who_merge_together_never_lock_each_other_out_and_keep_the_order_of_their_own() {
    check(2000, || {
        let records = Arc::new(Records::default());
        let reporters: Vec<_> = ORDERS
            .into_iter()
            .zip([0, 10])
            .map(|(order, start)| {
                let records = Arc::clone(&records);
                thread::spawn(move || {
                    let reports: Vec<Record> =
                        (start..).zip(order).map(|(time, client)| record(client, time)).collect();
                    let mut merged = Vec::new();
                    records.report_all(&reports, usize::MAX, &mut merged);
                    assert_eq!(merged.len(), reports.len());
                    for (report, merged) in reports.iter().zip(merged) {
                        // What is held instead is never older, and not what was to come later.
                        match merged {
                            Merged::Stored { .. } => {}
                            Merged::Held(held) => {
                                assert!(held.is_newer_than(report) && !reports.contains(&held));
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                })
            })
            .collect();
        let reader = {
            let records = Arc::clone(&records);
            thread::spawn(move || records.get(b"kiwi").is_none_or(|kiwi| kiwi.client() == b"kiwi"))
        };
        assert!(reader.join().unwrap());
        reporters.into_iter().for_each(|reporter| reporter.join().unwrap());
        let left = |client: &str, time| {
            assert_eq!(records.get(client.as_bytes()), Some(record(client, time)), "{client}");
        };
        left("pear", 10);
        left("fig", 11);
        left("plum", 13);
        left("kiwi", 14);
        assert_eq!(records.len(), 4);
    });
}
