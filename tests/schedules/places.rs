//! Look-ups: every ticket comes back with an answer, once, and every turn to call is taken.

use std::sync::Arc;
use std::time::Duration;

use herd::places::Lookup;
use herd::places::lookups::{Answer, Asked, Call, LookupLimits, Lookups};
use herd::protocol::{Coordinates, Kilometers};
use shuttle::sync::Mutex;
use shuttle::thread;

use crate::support::{Slow, check};

fn lookup(radius: f64) -> Lookup {
    let center = Coordinates { latitude: 34.0, longitude: -118.0 };
    Lookup { center, radius: Kilometers(radius), bound: 5 }
}

#[test]
fn every_ticket_is_answered_once_and_equal_look_ups_alike() {
    check(6000, || {
        let limits = LookupLimits { calls: 1, queued: 1, wait: Duration::from_secs(3600) };
        let lookups = Lookups::new(Arc::new(Slow), limits);
        let answered = Arc::new(Mutex::new(Vec::new()));
        // Two ask the same; of three different ones, one may find the queue full.
        let askers: Vec<_> = [1.0, 1.0, 2.0, 3.0]
            .into_iter()
            .enumerate()
            .map(|(ticket, radius)| {
                let (lookups, answered) = (Arc::clone(&lookups), Arc::clone(&answered));
                thread::spawn(move || match lookups.ask(lookup(radius), ticket) {
                    Asked::Answered(ticket, answer) => {
                        answered.lock().unwrap().push((ticket, answer))
                    }
                    Asked::Waiting => {}
                    Asked::Call(call) => run(call, &answered),
                })
            })
            .collect();
        askers.into_iter().for_each(|asker| asker.join().unwrap());
        let mut answered = answered.lock().unwrap();
        answered.sort_by_key(|(ticket, _)| *ticket);
        let tickets: Vec<usize> = answered.iter().map(|(ticket, _)| *ticket).collect();
        assert_eq!(tickets, [0, 1, 2, 3]);
        for ((_, answer), radius) in answered.iter().zip(["1", "1", "2", "3"]) {
            let answer = String::from_utf8_lossy(answer);
            let is_its_own = answer.contains(&format!(r#""status":"{radius}""#));
            assert!(is_its_own || answer.contains("OVER_QUERY_LIMIT"), "{radius}: {answer}");
        }
        assert_eq!(lookups.load(), (0, 0));
    });
}

fn run(call: Call<usize>, answered: &Mutex<Vec<(usize, Answer)>>) {
    let mut next = Some(call);
    while let Some(call) = next {
        let finished = call.run();
        answered.lock().unwrap().extend(finished.answered);
        next = finished.next;
    }
}
