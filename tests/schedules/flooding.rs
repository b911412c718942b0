//! Outboxes and the flooder.

use std::collections::BTreeMap;

use herd::flood::outbox::{Outbox, Taken};
use herd::flood::{Accepted, Batch, NeighborId, flooder};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;

use crate::support::{ENDLESS, check, record, until};

/// What a link's writer takes until its outbox closes: the newest time of each client.
fn write_out(outbox: &Outbox, limit: usize) -> BTreeMap<Vec<u8>, i64> {
    let mut newest = BTreeMap::new();
    loop {
        match outbox.take(limit, ENDLESS) {
            Taken::Records(records) => {
                assert!(!records.is_empty() && records.len() <= limit);
                for record in records {
                    let time = newest.entry(record.client().to_vec()).or_insert(0);
                    *time = record.time().0.max(*time);
                }
            }
            Taken::Nothing | Taken::Poked => {}
            Taken::Closed => return newest,
        }
    }
}

fn accepted(client: &str, time: i64, from: Option<usize>) -> Accepted {
    Accepted { record: record(client, time), from: from.map(NeighborId) }
}

fn times<const N: usize>(clients: [(&str, i64); N]) -> BTreeMap<Vec<u8>, i64> {
    clients.map(|(client, time)| (client.into(), time * 1_000_000_000)).into()
}

#[test]
fn every_link_but_that_it_came_from_gets_the_newest_of_each_client() {
    check(4000, || {
        let outboxes = [Outbox::default(), Outbox::default()];
        outboxes.iter().for_each(Outbox::open);
        let (sender, batches) = flooder::channel();
        let batches_of: [Vec<Batch>; 2] = [
            vec![
                vec![accepted("kiwi", 1, None), accepted("plum", 1, None)],
                vec![accepted("kiwi", 3, None)],
            ],
            vec![vec![accepted("kiwi", 9, Some(0))], vec![accepted("plum", 2, Some(1))]],
        ];
        thread::scope(|scope| {
            let writers =
                outboxes.each_ref().map(|outbox| scope.spawn(move || write_out(outbox, 1)));
            let outboxes = &outboxes;
            let flooder = scope.spawn(move || flooder::run(&batches, || Box::new(outboxes.iter())));
            for batches in batches_of {
                let sender = sender.clone();
                scope.spawn(move || {
                    batches.into_iter().for_each(|batch| sender.send(batch).unwrap())
                });
            }
            drop(sender);
            flooder.join().unwrap();
            assert!(outboxes.iter().all(Outbox::finish));
            let [first, second] = writers.map(|writer| writer.join().unwrap());
            assert_eq!(first, times([("kiwi", 3), ("plum", 2)]));
            assert_eq!(second, times([("kiwi", 9), ("plum", 1)]));
        });
    });
}

#[test]
fn a_writer_that_waits_is_freed_by_whatever_happens_to_its_outbox() {
    for (happens, expected) in [
        (Outbox::close as fn(&Outbox), Taken::Closed),
        (|outbox| assert!(outbox.finish()), Taken::Closed),
        (Outbox::poke, Taken::Poked),
        (|outbox| outbox.push([record("kiwi", 1)]), Taken::Records(vec![record("kiwi", 1)])),
    ] {
        check(400, move || {
            let outbox = Outbox::default();
            outbox.open();
            thread::scope(|scope| {
                let writer = scope.spawn(|| outbox.take(1, ENDLESS));
                scope.spawn(|| happens(&outbox));
                let taken = writer.join().unwrap();
                assert_eq!(format!("{taken:?}"), format!("{expected:?}"));
            });
        });
    }
}

#[test]
fn what_is_pushed_after_a_link_is_up_again_is_sent_whatever_came_when_it_went_down() {
    check(2000, || {
        let outbox = Outbox::default();
        let is_up_again = AtomicBool::new(false);
        outbox.open();
        thread::scope(|scope| {
            let link = scope.spawn(|| {
                write_out(&outbox, 8);
                outbox.open();
                is_up_again.store(true, Ordering::SeqCst);
                write_out(&outbox, 8)
            });
            scope.spawn(|| outbox.push([record("kiwi", 1)]));
            outbox.close();
            until(|| is_up_again.load(Ordering::SeqCst));
            outbox.push([record("plum", 1)]);
            assert!(outbox.finish());
            let taken = link.join().unwrap();
            assert_eq!(taken.get(&b"plum"[..]), Some(&1_000_000_000));
        });
    });
}
