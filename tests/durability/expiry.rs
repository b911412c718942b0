//! `expire_after`, with real clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::kept::{Kept, kill, stop, time_of};
use crate::servers::Plan;
use crate::talk::{Talk, eventually};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_report_that_has_expired_is_not_taken() {
    let kept = Kept::new("expire_after = \"1h\"");
    let server = kept.start();
    let mut talk = Talk::to(server.addr);
    let old = format!("IAMAT kiwi +1+1 {}", now() - 2 * 3600);
    assert_eq!(talk.ask(&old), format!("? {old}"));
    assert_eq!(time_of(&mut talk, "kiwi"), None);
    let new = now() - 1800;
    assert!(talk.ask(&format!("IAMAT kiwi +1+1 {new}")).starts_with("AT "));
    assert_eq!(time_of(&mut talk, "kiwi"), Some(new));
}

#[test]
fn an_expired_record_leaves_the_map_and_the_disk_and_does_not_come_back() {
    let data = tempfile::tempdir().unwrap();
    let conf = format!("[data]\ndir = '{}'\nexpire_after = \"3s\"\n", data.path().display());
    let mut herd = Plan::new(&[("A", "B")]).conf(&conf).start();
    herd.await_links();
    herd["A"].report("kiwi", "+1+1", &now().to_string());
    eventually("it expires on both", || {
        herd.servers().iter().all(|server| server.at("kiwi").is_none())
    });
    // Killed and started again it gets all that its neighbor has.
    herd.kill("A");
    herd.start("A");
    herd["A"].report("plum", "+1+1", &now().to_string());
    eventually("the other has the newer one", || herd["B"].at("plum").is_some());
    assert_eq!(herd["A"].at("kiwi"), None);
}

#[test]
fn what_expired_is_gone_also_for_a_server_that_lets_nothing_expire() {
    let kept = Kept::new("expire_after = \"2s\"");
    let server = kept.start();
    let mut talk = Talk::to(server.addr);
    talk.ask(&format!("IAMAT kiwi +1+1 {}", now()));
    eventually("it expires", || time_of(&mut talk, "kiwi").is_none());
    stop(server);
    kept.write_conf("herd.toml", "127.0.0.1:0", "");
    let server = kept.start();
    assert_eq!(time_of(&mut Talk::to(server.addr), "kiwi"), None);
}

#[test]
fn what_expired_while_the_server_was_down_is_not_loaded() {
    let kept = Kept::new("");
    let server = kept.start();
    let mut talk = Talk::to(server.addr);
    talk.ask("IAMAT old +1+1 1479413884");
    talk.ask(&format!("IAMAT new +1+1 {}", now()));
    stop(server);
    kept.write_conf("herd.toml", "127.0.0.1:0", "expire_after = \"1d\"");
    let server = kept.start();
    let mut talk = Talk::to(server.addr);
    assert_eq!(time_of(&mut talk, "old"), None);
    assert!(time_of(&mut talk, "new").is_some());
    stop(server);
    // It left the disk too.
    kept.write_conf("herd.toml", "127.0.0.1:0", "");
    let server = kept.start();
    assert_eq!(time_of(&mut Talk::to(server.addr), "old"), None);
    kill(server);
}
