//! A short fault campaign with real servers; the long one is `herd-bench faults`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The herd program. It is another package's, so cargo builds it for the tests of the whole workspace, but
/// not for this one alone.
fn herd() -> PathBuf {
    let herd = Path::new(env!("CARGO_BIN_EXE_herd-bench")).with_file_name("herd");
    assert!(herd.is_file(), "there is no {}; build it: cargo build --workspace", herd.display());
    herd
}

fn campaign(options: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_herd-bench"))
        .args(["faults", "--clients", "600", "--herd"])
        .arg(herd())
        .args(options.split(' '))
        .output()
        .unwrap()
}

/// Runs rounds in which all is well in the end.
#[track_caller]
fn check(options: &str) {
    let output = campaign(options);
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{options}:\n{said}{errors}");
    assert!(output.status.success(), "{}", output.status);
    assert!(said.contains("reports answered: ") && !said.contains("reports answered: 0;"));
}

#[test]
fn a_herd_keeps_its_promises_through_faults_that_are_always_the_same() {
    check("--rounds 2 --seed 4 --data");
}

#[test]
fn a_herd_keeps_its_promises_through_faults_that_are_drawn_anew() {
    check(&format!("--rounds 2 --seed {}", fastrand::u32(..)));
}

#[test]
fn a_herd_that_answers_after_the_commit_loses_nothing_and_its_links_take_no_flipped_bit() {
    check(&format!("--rounds 2 --seed {} --durability always --key", fastrand::u32(..)));
}

#[test]
fn a_herd_keeps_its_promises_when_packets_vanish_between_its_servers() {
    let probe = format!("herd-probe-{}", std::process::id());
    let may = Command::new("ip").args(["netns", "add", &probe]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        println!("skipped: network namespaces need root and `ip netns`");
        return;
    }
    let removed = Command::new("ip").args(["netns", "del", &probe]).status().unwrap();
    assert!(removed.success());
    check(&format!("--rounds 1 --seed {} --netns", fastrand::u32(..)));
}

#[test]
fn a_herd_that_is_not_given_the_time_to_heal_fails_the_campaign_and_says_how_to_repeat_it() {
    // To ask all servers for all takes longer.
    let output = campaign("--rounds 1 --seed 3 --within 0.01");
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}{errors}");
    assert_eq!(output.status.code(), Some(5));
    assert!(errors.contains("to repeat it: herd-bench faults --rounds 1 --seed 3"));
    let (_, kept) = errors.trim().rsplit_once(" are in ").unwrap();
    assert!(Path::new(kept).join("Alford.toml").is_file(), "{kept}");
    std::fs::remove_dir_all(kept).unwrap();
}
