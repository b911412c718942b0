//! A herd that starts, is talked to, and stops.

use std::process::{Command, Output};

use rustix::process::{Signal, kill_process};

use crate::herd_up::*;

/// Runs a command as a shell takes it, in the directory that `up` was started in.
fn shell(up: &Up, command: &str) -> Output {
    Command::new("sh").args(["-c", command]).current_dir(up.conf.dir.path()).output().unwrap()
}

/// Tells the herd to stop and checks that it does, without any trouble to tell of.
#[track_caller]
fn stops_cleanly(mut up: Up, signal: Signal) {
    up.signal(signal);
    assert_eq!(up.ended().code(), Some(0));
    let count = up.rows.len();
    let stopping = format!("Stopping {count} servers; Ctrl-C again kills them.");
    assert_eq!(up.rest(), [stopping.as_str(), "All servers have ended."]);
    assert!(up.rows.iter().all(|row| is_gone(row.pid)), "{:?}", up.rows);
    assert!(up.conf.is_free());
}

#[test]
fn the_table_says_where_the_servers_are_and_where_their_logs() {
    let up = Up::start(&["Alford", "Ball", "Welsh"], "");
    // The log directory of the conf counts from where `up` was started; here it stands whole.
    let logs = up.conf.dir.path().canonicalize().unwrap().join("logs");
    for (at, row) in up.rows.iter().enumerate() {
        assert_eq!(row.name, up.conf.names[at]);
        assert_eq!(row.address, up.conf.listen[at]);
        assert_eq!(row.neighbors, ["Ball", "Alford, Welsh", "Ball"][at]);
        assert_eq!(row.log, logs.join(format!("{}.log", row.name)));
        assert!(row.log.is_file(), "{row:?}");
        assert!(!is_gone(row.pid));
        assert!(!knows(row.address, "nobody"));
        assert!(reports(row.address, "somebody"));
    }
    stops_cleanly(up, Signal::INT);
}

#[test]
fn the_three_commands_work_as_printed() {
    let up = Up::start(&["Alford", "Ball", "Welsh"], "");
    let at = up.guide.iter().position(|line| line == "Try:").unwrap();
    let commands: Vec<_> = up.guide[at + 1..].iter().take_while(|line| !line.is_empty()).collect();
    let [report, question, both] = commands[..] else { panic!("{commands:#?}") };

    let output = shell(&up, report);
    let reply = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{reply}");
    assert!(reply.starts_with("AT Alford +") && reply.lines().count() == 1, "{reply}");

    // The report has to get to the other end of the herd.
    let mut answer = String::new();
    eventually("the question is answered", || {
        let output = shell(&up, question);
        answer = String::from_utf8(output.stdout).unwrap();
        output.status.success()
    });
    assert!(answer.starts_with(&reply), "{answer}");
    assert!(answer.contains("\"status\":\"OK\""), "{answer}");

    let output = shell(&up, both);
    let replies = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{replies}");
    assert_eq!(replies.matches("AT Ball +").count(), 2, "{replies}");
    assert!(replies.contains("Fullerton"), "{replies}");
    stops_cleanly(up, Signal::TERM);
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_a_server_that_hangs() {
    let mut up = Up::start(&["Alford", "Ball"], "");
    kill_process(up.rows[1].pid, Signal::STOP).unwrap();
    up.signal(Signal::INT);
    up.line_with("Stopping 2 servers");
    up.signal(Signal::INT);
    assert_eq!(up.ended().code(), Some(0));
    let rest = up.rest();
    let killing = format!("Killing Ball (pid {})", up.rows[1].pid.as_raw_nonzero());
    assert!(rest.contains(&killing), "{rest:#?}");
    // And not because it took too long.
    assert!(!rest.iter().any(|line| line.contains("within")), "{rest:#?}");
    assert!(up.rows.iter().all(|row| is_gone(row.pid)));
}

#[test]
fn other_programs_are_named_and_nobody_listens_for_them() {
    let theirs = free_port().local_addr().unwrap();
    let plain = format!(
        "[[server]]\nname = \"Theirs\"\nlisten = \"{theirs}\"\nlink = \"plain\"\n\
         neighbors = [\"Ball\"]\n"
    );
    let up = Up::start(&["Alford", "Ball"], &plain);
    let named = format!("Theirs (plain, {theirs})");
    assert!(up.guide.iter().any(|line| line.contains(&named)), "{:#?}", up.guide);
    assert_eq!(up.rows[1].neighbors, "Alford, Theirs");
    assert!(std::net::TcpStream::connect(theirs).is_err());
    stops_cleanly(up, Signal::TERM);
}

#[test]
fn a_herd_that_is_started_again_finds_its_records() {
    let mut up = Up::start(&["Alford", "Ball"], "[data]\ndir = \"data\"\n");
    assert!(reports(up.rows[0].address, "kiwi"));
    eventually("it is on both", || knows(up.rows[1].address, "kiwi"));
    up.signal(Signal::INT);
    assert_eq!(up.ended().code(), Some(0));
    for name in ["Alford", "Ball"] {
        assert!(up.conf.dir.path().join("data").join(name).is_dir());
    }
    let again = up.start_again();
    for row in &again.rows {
        assert!(knows(row.address, "kiwi"), "{row:?}");
    }
    stops_cleanly(again, Signal::TERM);
}
