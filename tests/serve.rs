//! `herd serve`, the program: what it says when it is ready, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use herd::Client;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longest wait for a server; no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// A conf file in a directory that is also the working directory of `serve`.
struct Conf {
    dir: TempDir,
}

/// `herd serve` that is ready, killed when it is dropped.
struct Serve {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Conf {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Few enough connections for any limit of open files, which a server would warn of.
        let text = format!("{text}[pool]\nmax_connections = 100\n");
        std::fs::write(dir.path().join("herd.toml"), text).unwrap();
        Self { dir }
    }

    /// One server, Alford.
    fn alone(listen: &str, more: &str) -> Self {
        Self::new(&format!("[[server]]\nname = \"Alford\"\nlisten = \"{listen}\"\n{more}"))
    }

    fn serve(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
        command.args(["serve", "--conf", "herd.toml"]).args(words).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts Alford and waits for the line that says that it is ready.
    fn start(&self) -> Serve {
        Serve::of(self.serve(&["Alford"]))
    }

    /// The exit code and the one line on stderr of a `serve` that does not start.
    #[track_caller]
    fn refuses(&self, name: &str, code: i32) -> String {
        let Output { status, stdout, stderr } = self.serve(&[name]).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(code), "{said}");
        assert_eq!(stdout, b"");
        assert!(said.starts_with("herd: ") && said.lines().count() == 1, "{said}");
        said
    }
}

impl Serve {
    #[track_caller]
    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.strip_prefix("ready Alford ").and_then(|rest| rest.strip_suffix('\n'));
        let address = address.and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| {
            let _ = child.kill();
            panic!("{line:?}")
        });
        Self { child, stdout, address }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    #[track_caller]
    fn answers(&self) {
        let mut client = Client::connect(self.address, PATIENCE).unwrap();
        client.report_now("kiwi", "+34.068930-118.445127").unwrap().unwrap();
    }

    /// Waits for its end, which has to be a clean one without another word on stdout.
    #[track_caller]
    fn ends_cleanly(&mut self) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_line_says_where_it_listens_and_either_signal_ends_it_cleanly() {
    for (listen, signal) in
        [("127.0.0.1:0", Signal::TERM), ("localhost:0", Signal::INT), ("0.0.0.0:0", Signal::TERM)]
    {
        let conf = Conf::alone(listen, "");
        let mut serve = conf.start();
        assert_ne!(serve.address.port(), 0);
        serve.answers();
        kill_process(serve.pid(), signal).unwrap();
        serve.ends_cleanly();
    }
}

#[test]
fn an_ipv6_address_is_said_in_brackets() {
    if TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let serve = Conf::alone("[::1]:0", "").start();
    assert!(serve.address.is_ipv6());
    serve.answers();
}

#[test]
fn the_end_of_its_input_ends_it_only_if_it_was_told_so() {
    let conf = Conf::alone("127.0.0.1:0", "");
    // Its input is at its end from the start.
    conf.start().answers();

    let mut command = conf.serve(&["Alford", "--stop-on-eof"]);
    command.stdin(Stdio::piped());
    let mut serve = Serve::of(command);
    serve.answers();
    drop(serve.child.stdin.take());
    serve.ends_cleanly();
}

#[test]
fn a_server_that_nobody_listens_to_serves_on() {
    let conf = Conf::alone("127.0.0.1:0", "");
    let mut command = conf.serve(&["Alford"]);
    // As `herd serve Alford | true` leaves it.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = command.stdout(writer).spawn().unwrap();
    drop(command);
    let log = conf.dir.path().join("logs/Alford.log");
    let start = std::time::Instant::now();
    while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains("answers on")) {
        assert!(start.elapsed() < PATIENCE && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_port_in_use_is_exit_code_3_with_its_owner_and_the_key_to_change() {
    let first = Conf::alone("127.0.0.1:0", "").start();
    let pid = first.pid().as_raw_nonzero();
    // The same port of another address is of no interest. (Only Linux has it without more ado.)
    let _other = TcpListener::bind(("127.0.0.2", first.address.port()));

    let said = Conf::alone(&first.address.to_string(), "").refuses("Alford", 3);
    let expected = format!(
        "herd: Alford cannot listen on {}: the port is in use by herd (pid {pid}); stop that, or \
         change its `listen` in herd.toml\n",
        first.address
    );
    assert_eq!(said, expected);

    let more = format!(
        "links = \"{}\"\n[[server]]\nname = \"Ball\"\nlisten = \"127.0.0.1:0\"\n\
         neighbors = [\"Alford\"]\n",
        first.address
    );
    let said = Conf::alone("127.0.0.1:0", &more).refuses("Alford", 3);
    assert!(said.contains(&format!("(pid {pid})")) && said.contains("`links`"), "{said}");

    let admin = format!("admin = \"{}\"\n", first.address);
    let conf = Conf::alone("127.0.0.1:0", &admin);
    let said = conf.refuses("Alford", 3);
    assert!(said.contains(&format!("(pid {pid})")) && said.contains("`admin`"), "{said}");
    assert!(!conf.dir.path().join("logs").exists(), "nothing is touched");
}

#[test]
fn a_name_that_is_not_in_the_conf_or_not_ours_is_exit_code_1() {
    let plain = "[[server]]\nname = \"Ball\"\nlisten = \"127.0.0.1:9\"\nlink = \"plain\"\n\
                 neighbors = [\"Alford\"]\n";
    let conf = Conf::alone("127.0.0.1:0", plain);
    let said = conf.refuses("Welsh", 1);
    assert!(said.ends_with("no server is named \"Welsh\"; servers are Alford, Ball\n"), "{said}");
    let said = conf.refuses("Ball", 1);
    assert!(said.contains("link = \"plain\""), "{said}");
    assert!(!conf.dir.path().join("logs").exists());
}

#[test]
fn a_places_key_that_is_not_there_is_exit_code_2_and_says_where_it_was_looked_for() {
    let more = "[places]\nprovider = \"google\"\nkey_file = \"no such file\"\n";
    let said = Conf::alone("127.0.0.1:0", more).refuses("Alford", 2);
    assert!(said.contains("key_file") && said.contains("no such file"), "{said}");
}

#[test]
fn a_log_that_cannot_be_written_is_exit_code_4_with_a_remedy() {
    let conf = Conf::alone("127.0.0.1:0", "[log]\ndir = \"herd.toml\"\n");
    let said = conf.refuses("Alford", 4);
    assert!(said.contains("cannot make the log directory herd.toml"), "{said}");
    assert!(said.contains("`dir` under [log]"), "{said}");

    let conf = Conf::alone("127.0.0.1:0", "");
    std::fs::create_dir_all(conf.dir.path().join("logs/Alford.log")).unwrap();
    let said = conf.refuses("Alford", 4);
    assert!(said.contains(Path::new("logs").join("Alford.log").to_str().unwrap()), "{said}");
}
