//! The supervisor with small shell scripts in place of servers.

use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

use super::*;

/// Longest wait for a line; no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says that it is ready, then does nothing until it is told to end or its input does.
const GOOD: &str = "echo ready $1 127.0.0.1:1; exec cat";

struct Recorder(Sender<String>);

impl Screen for Recorder {
    fn out(&self, text: &str) {
        text.lines().for_each(|line| self.err(line));
    }

    fn err(&self, text: &str) {
        let _ = self.0.send(text.to_string());
    }
}

/// An `up` that runs on a thread.
struct UpRun {
    events: Sender<Event>,
    lines: Receiver<String>,
    run: JoinHandle<Result<Exit, CommandError>>,
    _dir: TempDir,
}

const TWO: &str = "[[server]]\nname = \"A\"\nlisten = \"127.0.0.1:0\"\nneighbors = [\"B\"]\n\
                   [[server]]\nname = \"B\"\nlisten = \"127.0.0.1:0\"\n";

/// Runs `up` with a conf, where a server's command is a script with its name as `$1`.
fn up(conf: &str, script: impl Fn(&str) -> String + Send + 'static) -> UpRun {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.toml");
    std::fs::write(&path, conf).unwrap();
    let config = Config::load(&path).unwrap();
    let (events, heard) = bounded(EVENTS);
    let (out, lines) = crossbeam_channel::unbounded();
    let tell = events.clone();
    let run = thread::spawn(move || {
        let watch = signals::watch(&[], tell.clone()).unwrap();
        let serve = |name: &ServerName| {
            let mut command = Command::new("sh");
            command.args(["-c", &script(name.as_str()), "sh", name.as_str()]);
            command
        };
        let program = Path::new("/usr/bin/herd");
        let result = supervise(&config, program, &serve, &Recorder(out), tell, heard);
        watch.close();
        result
    });
    UpRun { events, lines, run, _dir: dir }
}

impl UpRun {
    /// Waits for a line that holds the text.
    #[track_caller]
    fn line_with(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no {text:?} in {seen:#?}"),
            }
        }
    }

    /// The pids in the table, once it is there.
    #[track_caller]
    fn pids(&self, names: &[&str]) -> Vec<Pid> {
        self.line_with("neighbors");
        let pid = |name: &&str| pid_in(&self.line_with(&format!("{name}  ")), "127.0.0.1:1");
        names.iter().map(pid).collect()
    }

    fn stop(&self) {
        self.events.send(Event::Stop).unwrap();
    }

    fn end(self) -> Result<Exit, CommandError> {
        self.run.join().unwrap()
    }
}

/// The first number after the text.
#[track_caller]
fn pid_in(line: &str, after: &str) -> Pid {
    let (_, rest) = line.split_once(after).unwrap_or_else(|| panic!("no {after:?} in {line:?}"));
    let digits = rest.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty());
    Pid::from_raw(digits.and_then(|digits| digits.parse().ok()).expect("a pid")).expect("a pid")
}

fn is_gone(pid: &Pid) -> bool {
    test_kill_process(*pid).is_err()
}

#[test]
fn a_herd_is_shown_when_it_is_ready_and_ends_when_told_to() {
    let up = up(TWO, |_| GOOD.to_string());
    let pids = up.pids(&["A", "B"]);
    let first = up.line_with("send --conf ");
    // The conf says port 0.
    assert!(first.contains(" 127.0.0.1:1 \"IAMAT"), "{first}");
    assert!(!pids.iter().any(is_gone));
    up.stop();
    up.line_with("Stopping 2 servers");
    up.line_with("All servers have ended");
    assert!(pids.iter().all(is_gone));
    assert_eq!(up.end().unwrap(), Exit::Ok);
}

#[test]
fn a_server_that_dies_is_said_so_and_started_again() {
    let up = up(TWO, |_| GOOD.to_string());
    let pids = up.pids(&["A", "B"]);
    kill_process(pids[1], Signal::KILL).unwrap();
    let line = up.line_with("was killed by signal 9 (SIGKILL)");
    assert!(line.starts_with("B (pid ") && line.ends_with("starting it again in 250ms"), "{line}");
    let again = pid_in(&up.line_with("B is ready again on 127.0.0.1:1"), "pid");
    kill_process(again, Signal::KILL).unwrap();
    up.line_with("starting it again in 500ms");
    assert!(!is_gone(&pids[0]));
    up.stop();
    assert_eq!(up.end().unwrap(), Exit::Ok);
    assert!(is_gone(&pids[0]));
}

#[test]
fn a_server_that_exits_before_it_is_ready_ends_all_with_its_last_words() {
    let up = up(TWO, |name| match name {
        "A" => "echo $$ >&2; exec cat".to_string(),
        // Not before A runs.
        _ => "echo herd: one >&2; echo herd: two >&2; exit 7".to_string(),
    });
    let pid = pid_in(&up.line_with("A: "), "A: ");
    let error = up.end().unwrap_err();
    assert_eq!(error.exit(), Exit::RunTime);
    let error = error.to_string();
    assert!(error.starts_with("B (pid "), "{error}");
    assert!(error.ends_with("exited with code 7 before it was ready: two"), "{error}");
    assert!(is_gone(&pid));
}

#[test]
fn a_server_that_finds_its_port_taken_or_the_conf_wrong_ends_all_with_its_exit_code() {
    for exit in [Exit::Conf, Exit::CannotListen, Exit::RunTime] {
        let up = up(TWO, move |_| format!("exit {}", exit as i32));
        assert_eq!(up.end().unwrap_err().exit(), exit);
    }
}

#[test]
fn a_herd_of_other_programs_only_is_a_wrong_conf() {
    let plain = "[[server]]\nname = \"P\"\nlisten = \"127.0.0.1:9\"\nlink = \"plain\"\n";
    let error = up(plain, |_| unreachable!("nothing is started")).end().unwrap_err();
    assert_eq!(error.exit(), Exit::Conf);
    assert!(error.to_string().contains("nothing to start"), "{error}");
}

#[test]
fn a_program_that_cannot_be_started_ends_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.toml");
    std::fs::write(&path, TWO).unwrap();
    let config = Config::load(&path).unwrap();
    let (events, heard) = bounded(EVENTS);
    let (out, _lines) = crossbeam_channel::unbounded();
    let serve = |_: &ServerName| Command::new(dir.path().join("nothing here"));
    let error = supervise(&config, Path::new("/"), &serve, &Recorder(out), events, heard);
    assert!(error.unwrap_err().to_string().starts_with("cannot start A: "));
}

#[test]
fn being_told_to_stop_twice_kills_servers_that_do_not_listen() {
    // An ignored signal stays ignored over exec.
    let up = up(TWO, |_| format!("trap '' TERM; {GOOD}"));
    let pids = up.pids(&["A", "B"]);
    up.stop();
    up.line_with("Stopping 2 servers");
    up.stop();
    // And not because they took too long.
    let next = up.lines.recv_timeout(PATIENCE).unwrap();
    assert!(next.starts_with("Killing A"), "{next}");
    up.line_with("Killing B");
    assert_eq!(up.end().unwrap(), Exit::Ok);
    assert!(pids.iter().all(is_gone));
}

#[test]
fn being_told_to_stop_before_all_are_ready_stops_those_that_run() {
    let up = up(TWO, |name| match name {
        "A" => GOOD.to_string(),
        _ => "echo $$ >&2; exec cat".to_string(),
    });
    let pid = pid_in(&up.line_with("B: "), "B: ");
    up.stop();
    assert_eq!(up.end().unwrap(), Exit::Ok);
    assert!(is_gone(&pid));
}

#[test]
fn what_a_server_prints_is_passed_on_with_its_name() {
    let script = "echo on stderr >&2; echo on stdout; echo ready $1 127.0.0.1:1; exec cat";
    let up = up(TWO, move |_| script.to_string());
    let mut lines: Vec<_> = (0..4).map(|_| up.line_with(": on std")).collect();
    lines.sort();
    assert_eq!(lines, ["A: on stderr", "A: on stdout", "B: on stderr", "B: on stdout"]);
    up.stop();
    assert_eq!(up.end().unwrap(), Exit::Ok);
}

#[test]
fn a_server_whose_child_keeps_its_pipes_open_is_still_seen_to_die() {
    // Both lines on one pipe, so that they come in this order.
    let script = "sleep 100 & echo $!; echo ready $1 127.0.0.1:1; wait";
    let one = "[[server]]\nname = \"A\"\nlisten = \"127.0.0.1:0\"\n";
    let up = up(one, move |_| script.to_string());
    let sleeper = pid_in(&up.line_with("A: "), "A: ");
    let pid = up.pids(&["A"])[0];
    kill_process(pid, Signal::KILL).unwrap();
    up.line_with("was killed by signal 9");
    kill_process(sleeper, Signal::KILL).unwrap();
    let sleeper = pid_in(&up.line_with("A: "), "A: ");
    up.line_with("A is ready again");
    up.stop();
    assert_eq!(up.end().unwrap(), Exit::Ok);
    kill_process(sleeper, Signal::KILL).unwrap();
}

#[test]
fn a_taken_port_is_named_with_its_owner_and_nothing_is_started() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let conf = format!(
        "[[server]]\nname = \"A\"\nlisten = \"127.0.0.1:0\"\nlinks = \"{address}\"\n\
         neighbors = [\"B\"]\n[[server]]\nname = \"B\"\nlisten = \"127.0.0.1:0\"\n"
    );
    let up = up(&conf, |_| unreachable!("nothing is started"));
    let error = up.end().unwrap_err();
    assert_eq!(error.exit(), Exit::CannotListen);
    let error = error.to_string();
    assert!(error.starts_with(&format!("A cannot listen on {address}: ")), "{error}");
    assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
    assert!(error.contains("`links`"), "{error}");
}

#[test]
fn servers_that_are_other_programs_are_named_and_not_started() {
    let conf = format!(
        "{TWO}[[server]]\nname = \"P\"\nlisten = \"127.0.0.1:9\"\nlink = \"plain\"\n\
         neighbors = [\"A\"]\n[[server]]\nname = \"O\"\nlisten = \"127.0.0.1:10\"\n\
         link = \"one-shot\"\nneighbors = [\"A\"]\n"
    );
    let up = up(&conf, |name| match name {
        "A" | "B" => GOOD.to_string(),
        _ => unreachable!("{name} is not ours"),
    });
    let line = up.line_with("Not started");
    assert!(line.ends_with("P (plain, 127.0.0.1:9), O (one-shot, 127.0.0.1:10)"), "{line}");
    up.stop();
    assert_eq!(up.end().unwrap(), Exit::Ok);
}
