//! `herd status`: what it prints, and how it ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};

use crate::herd::are_equal;
use crate::servers::{Herd, LIMIT, Plan, eventually};

fn command(conf: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args(["status", "--conf"]).arg(conf).stdin(Stdio::null());
    command
}

/// The exit code, and what is on standard output; standard error is empty.
#[track_caller]
fn status(conf: &Path) -> (i32, String) {
    let Output { status, stdout, stderr } = command(conf).output().unwrap();
    assert_eq!(String::from_utf8(stderr).unwrap(), "");
    (status.code().unwrap(), String::from_utf8(stdout).unwrap())
}

/// The row of a server, its cells one space apart.
#[track_caller]
fn row(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn herd() -> Herd {
    let herd = Plan::new(&[("Alford", "Ball"), ("Ball", "Welsh")]).start();
    herd.await_links();
    herd["Alford"].report("kiwi", "+1+1", "1");
    are_equal(&herd, 1);
    herd
}

#[test]
fn a_herd_that_is_up_and_equal_ends_with_0_and_is_shown_in_a_table() {
    let herd = herd();
    let (code, text) = status(&herd.conf());
    assert_eq!(code, 0, "{text}");
    let digest = &herd["Ball"].status().digest[..8];
    assert_eq!(text.lines().next(), Some("name    state  records  digest    links  lag"));
    assert_eq!(row(&text, "Alford"), format!("Alford up 1 {digest} 1/1 0.0 s"));
    assert_eq!(row(&text, "Ball"), format!("Ball up 1 {digest} 2/2 0.0 s"));
    assert_eq!(row(&text, "Welsh"), format!("Welsh up 1 {digest} 1/1 0.0 s"));
    assert!(text.ends_with("\nAll servers are up and hold the same records.\n"), "{text}");
}

#[test]
fn a_server_that_is_down_or_frozen_ends_it_with_4_and_is_named() {
    let mut herd = herd();
    let admin = herd["Welsh"].admin;
    herd.kill("Welsh");
    let (code, text) = status(&herd.conf());
    assert_eq!(code, 4, "{text}");
    assert_eq!(row(&text, "Welsh"), format!("Welsh down - - - - nobody listens on {admin}"));
    assert!(row(&text, "Alford").starts_with("Alford up 1 "));
    assert!(
        text.ends_with("2 of 3 servers are known to be up, and hold the same records.\n"),
        "{text}"
    );
    eventually("the link is down", || {
        row(&status(&herd.conf()).1, "Ball").contains(" 1/2 0.0 s link to Welsh down (")
    });

    herd["Alford"].signal(Signal::STOP);
    let (code, text) = status(&herd.conf());
    assert_eq!(code, 4, "{text}");
    assert!(row(&text, "Alford").ends_with(" within 2s"), "{text}");
    herd["Alford"].signal(Signal::CONT);
}

#[test]
fn servers_that_differ_with_all_links_up_are_catching_up_which_is_0() {
    // Two herds with a conf that takes them for one.
    let herds = [Plan::new(&[("A", "B")]).start(), Plan::new(&[("C", "D")]).start()];
    herds.iter().for_each(Herd::await_links);
    herds[0]["A"].report("kiwi", "+1+1", "1");
    are_equal(&herds[0], 1);
    let directory = tempfile::tempdir().unwrap();
    let conf = directory.path().join("herd.toml");
    let text = |name: &str, server: &crate::servers::Server, neighbors: &str| {
        format!(
            "[[server]]\nname = \"{name}\"\nlisten = \"{}\"\nadmin = \"{}\"\nneighbors = {neighbors}\n",
            server.addr, server.admin
        )
    };
    let both = text("A", &herds[0]["A"], "[\"C\"]") + &text("C", &herds[1]["C"], "[]");
    std::fs::write(&conf, both).unwrap();
    let (code, text) = status(&conf);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("their records differ (A | C), and are catching up"), "{text}");
    drop(herds);
}

#[test]
fn a_server_without_admin_is_unknown_and_does_not_count_as_up() {
    let herd = herd();
    let conf = herd.conf();
    let text = std::fs::read_to_string(&conf).unwrap();
    let admin = format!("admin = \"{}\"\n", herd["Ball"].admin);
    assert!(text.contains(&admin));
    std::fs::write(&conf, text.replace(&admin, "")).unwrap();
    let (code, text) = status(&conf);
    assert_eq!(code, 4, "{text}");
    assert!(row(&text, "Ball").starts_with("Ball unknown - - - - the conf gives it no `admin`"));
}

#[test]
fn a_conf_that_is_wrong_or_not_there_ends_it_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let conf = directory.path().join("herd.toml");
    for text in [None, Some("[[server]]\nname = 3\n")] {
        if let Some(text) = text {
            std::fs::write(&conf, text).unwrap();
        }
        let output = command(&conf).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8(output.stderr).unwrap().contains("herd.toml"));
    }
}

#[test]
fn watching_shows_it_again_and_again_until_it_is_interrupted_which_is_no_error() {
    let herd = herd();
    for signal in [Signal::INT, Signal::TERM] {
        let mut child = command(&herd.conf())
            .args(["--watch", "--interval", "0.05"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().try_for_each(|line| send.send(line.unwrap())));
        let mut shown = 0;
        while shown < 3 {
            let line = lines.recv_timeout(LIMIT).unwrap();
            // No terminal is cleared where there is none.
            assert!(!line.contains('\x1b'), "{line:?}");
            shown += usize::from(line == "All servers are up and hold the same records.");
        }
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn watching_ends_well_when_nobody_reads_it() {
    let herd = herd();
    let mut child = command(&herd.conf())
        .args(["--watch", "--interval", "0.05"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
