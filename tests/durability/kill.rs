//! kill -9 and SIGTERM in the middle of a load.

use std::time::{Duration, Instant};

use crate::kept::{Answered, Kept, Load, kill, lost, rounds, stop};
use crate::servers::Plan;
use crate::talk::{Talk, eventually};

fn times_of_round(round: u64) -> u64 {
    1_000_000_000 + round * 1_000_000
}

#[test]
fn with_always_nothing_that_was_answered_is_lost_to_kill_9() {
    for mode in ["lots", "pinned"] {
        let kept = Kept::new(&format!("durability = \"always\"\n[pool]\nmode = \"{mode}\""));
        let mut answered = Answered::default();
        for round in 0..rounds(4) {
            let server = kept.start();
            assert_eq!(lost(server.addr, &answered), [""; 0], "round {round}, {mode}");
            let load = Load::start(server.addr, times_of_round(round));
            load.await_answers(50 + fastrand::usize(..200));
            kill(server);
            answered = load.ended();
        }
        let server = kept.start();
        assert_eq!(lost(server.addr, &answered), [""; 0], "{mode}");
    }
}

#[test]
fn with_always_nothing_is_lost_when_all_servers_are_killed_at_once() {
    let data = tempfile::tempdir().unwrap();
    let conf = format!("[data]\ndir = '{}'\ndurability = \"always\"\n", data.path().display());
    let mut herd = Plan::new(&[("A", "B"), ("B", "C")]).conf(&conf).start();
    for round in 0..rounds(2) {
        let load = Load::start(herd["A"].addr, times_of_round(round));
        load.await_answers(100 + fastrand::usize(..200));
        for name in ["A", "B", "C"] {
            herd.kill(name);
        }
        let answered = load.ended();
        for name in ["A", "B", "C"] {
            herd.start(name);
        }
        assert_eq!(lost(herd["A"].addr, &answered), [""; 0]);
        // The others get what they had not got yet.
        eventually("all servers have it", || lost(herd["C"].addr, &answered).is_empty());
    }
}

#[test]
fn with_interval_only_what_is_younger_than_the_interval_is_lost_to_kill_9() {
    let interval = Duration::from_millis(100);
    // By far more than a commit takes, for a machine that is busy with other tests.
    let late = interval + Duration::from_secs(4);
    let kept = Kept::new("interval = \"100ms\"");
    let server = kept.start();
    let mut talk = Talk::to(server.addr);
    let mut old = Answered::default();
    for client in (0..100).map(|number| format!("old{number}")) {
        assert!(talk.ask(&format!("IAMAT {client} +1+1 7")).starts_with("AT "));
        old.0.insert(client, (7, Instant::now()));
    }
    let reported = Instant::now();
    let load = Load::start(server.addr, times_of_round(0));
    load.await_answers(100);
    eventually("some are old enough", || reported.elapsed() > late);
    let killed = Instant::now();
    kill(server);
    let mut answered = load.ended();
    answered.0.extend(old.0);
    let server = kept.start();
    let lost = lost(server.addr, &answered);
    let old: Vec<_> =
        lost.iter().filter(|client| killed.duration_since(answered.0[*client].1) > late).collect();
    println!("lost to kill -9: {} of {} newest reports", lost.len(), answered.0.len());
    assert!(old.is_empty(), "older than {late:?}: {old:?}");
    // Those that are lost are known all the same, as they were a moment before.
    let known = Answered(answered.0.keys().map(|c| (c.clone(), (0, killed))).collect());
    assert_eq!(crate::kept::lost(server.addr, &known), [""; 0]);
}

#[test]
fn a_stop_in_the_middle_of_a_load_loses_nothing() {
    for durability in ["none", "interval", "always"] {
        let kept = Kept::new(&format!("durability = \"{durability}\"\ninterval = \"1h\""));
        let server = kept.start();
        let load = Load::start(server.addr, times_of_round(0));
        load.await_answers(200);
        stop(server);
        let answered = load.ended();
        let server = kept.start();
        assert_eq!(lost(server.addr, &answered), [""; 0], "{durability}");
        assert!(!kept.log().contains("not written"), "{}", kept.log());
    }
}
