//! The command as it is typed: what it prints of our own servers and of others, and how it ends.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use crate::ports;
use crate::servers::Plan;

/// Runs the command, checks its exit code, and gives what is on stdout and stderr.
#[track_caller]
fn ends(args: &[&str], code: i32) -> (String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_herd")).arg("check").args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    (stdout, stderr)
}

/// Our servers A, B and C in a ring, A with a neighbor that the command plays.
#[track_caller]
fn a_ring_keeps_every_rule(pool: &str) {
    let other: SocketAddr = ports::listener().local_addr().unwrap();
    let ring = [("A", "B"), ("B", "C"), ("C", "A"), ("A", "Other")];
    let herd = Plan::new(&ring).other("Other", "plain", other).conf(pool).start();
    herd.await_links();
    let addrs = ["A", "B", "C"].map(|name| herd[name].addr.to_string());
    let neighbor = format!("Other={other}");
    let (stdout, _) = ends(&[&addrs[0], &addrs[1], &addrs[2], "--neighbor", &neighbor], 0);
    for said in [
        "\nA: all 225 rules hold\n",
        "\nB: all 225 rules hold\n",
        "\nC: all 225 rules hold\n",
        "\nthe herd of A, B, C: all 8 rules hold\n",
        "\nA beside its neighbor Other: all 13 rules hold\n",
        "\n14 skipped: for a server that closes each connection after 1 reply\n",
    ] {
        assert!(stdout.contains(said), "{said}\n{stdout}");
    }
}

#[test]
fn a_ring_of_our_own_keeps_every_rule() {
    a_ring_keeps_every_rule("");
}

#[test]
fn a_ring_of_our_own_keeps_every_rule_with_a_worker_for_each_connection() {
    a_ring_keeps_every_rule("[pool]\nmode = \"pinned\"\nworkers = 64");
}

#[test]
fn a_server_of_one_reply_a_connection_is_held_to_what_is_about_it() {
    let conf = "[limits]\ncommands_per_connection = 1";
    let herd = Plan::new(&[("A", "B")]).conf(conf).start();
    herd.await_links();
    let addrs = ["A", "B"].map(|name| herd[name].addr.to_string());
    let (stdout, _) = ends(&[&addrs[0], &addrs[1], "--commands-per-connection", "1"], 0);
    assert!(stdout.contains("A: all 14 rules hold\n"), "{stdout}");
    assert!(stdout.contains("the herd of A, B: all 8 rules hold\n"), "{stdout}");
}

/// A server that answers each line with what a function says.
fn scripted(answer: fn(&str) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                for line in BufReader::new(&stream).lines().map_while(Result::ok) {
                    if (&stream).write_all(answer(&line).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    addr
}

#[test]
fn what_is_broken_is_shown_with_its_place_and_ends_with_5() {
    let addr = scripted(|line| format!("! {line}\n"));
    let (stdout, _) = ends(&[&addr, "--name", "Ball", "--only", "has no reply"], 5);
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[0], format!("Ball at {addr}"));
    assert_eq!(lines[2], "FAILS update.txt:4: an update has no reply");
    assert!(lines[3].starts_with("    line 7: other bytes, from `! UPDATE c"), "{stdout}");
    assert!(lines[4].starts_with("    sent     UPDATE c"), "{stdout}");
    assert_eq!(lines[5], "    expected ? HELLO\\n");
    assert!(lines[6].starts_with("    got      ! UPDATE c"), "{stdout}");
    assert!(stdout.contains("\nBall: 1 of 1 rules fail\n"), "{stdout}");
}

#[test]
fn a_server_that_does_not_say_its_name_breaks_a_rule() {
    let addr = scripted(|line| format!("? {line}\n"));
    let (stdout, _) = ends(&[&addr], 5);
    assert!(stdout.contains("FAILS name: an AT line says the server's name"), "{stdout}");
    assert!(stdout.contains("--name"), "{stdout}");
    assert!(stdout.contains("expected AT {server} {skew} c"), "{stdout}");
}

#[test]
fn a_server_that_cannot_be_connected_to_ends_with_4() {
    let addr = ports::listener().local_addr().unwrap().to_string();
    let (stdout, stderr) = ends(&[&addr], 4);
    assert_eq!(stdout, "");
    assert!(stderr.starts_with(&format!("herd: cannot connect to {addr}: ")), "{stderr}");
}

#[test]
fn a_neighbor_that_cannot_listen_ends_with_3() {
    let addr = scripted(|line| format!("? {line}\n"));
    let (_, stderr) = ends(&[&addr, "--neighbor", &format!("Other={addr}")], 3);
    assert!(stderr.starts_with(&format!("herd: cannot listen on {addr} as Other: ")), "{stderr}");
}

#[test]
fn a_wrong_command_line_ends_with_1() {
    let twice = scripted(|line| format!("? {line}\n"));
    for (args, why) in [
        (&[][..], "HOST:PORT"),
        (&["Ball"], "`Ball` is not HOST:PORT"),
        (&["a:1", "--only", "no such rule"], "no rule has `no such rule` in it"),
        (&["a:1", "b:2", "--name", "A"], "--name"),
        (&["a:1", "--max-line", "1"], "512"),
        (&[&twice, &twice, "--name", "A", "--name", "A"], "two of the servers have the name A"),
    ] {
        let (stdout, stderr) = ends(args, 1);
        assert_eq!(stdout, "");
        assert!(stderr.contains(why), "{stderr}");
    }
}

#[test]
fn the_list_has_every_rule() {
    let (stdout, _) = ends(&["--list"], 0);
    assert_eq!(stdout.lines().count(), 242 + 8 + 13);
    let (stdout, _) = ends(&["--list", "--only", "newer"], 0);
    assert!(stdout.lines().all(|line| line.contains("newer")), "{stdout}");
    assert!(stdout.contains("merge.txt:") && stdout.contains("neighbor: "), "{stdout}");
}
