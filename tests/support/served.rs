//! `herd serve` as a process whose signals, threads, memory and output a test looks at.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, kill_process};
use tempfile::TempDir;

pub(crate) use rustix::process::Signal;

use crate::embedded::{NAME, conf};

/// Longest wait for the line that says that the server is ready, and for its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that is killed when this is dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
    directory: TempDir,
}

impl Served {
    /// Starts `herd serve` with these sections of a conf file and these keys of `[log]`.
    pub(crate) fn start(sections: &str, log: &str) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_herd")), sections, log)
    }

    /// As [`Served::start`], with at most so many open files.
    pub(crate) fn start_with_files(files: u32, sections: &str, log: &str) -> Self {
        let mut shell = Command::new("sh");
        // It raises the soft one by itself.
        let soft = files.min(48);
        let limited = format!("ulimit -Sn {soft}; ulimit -Hn {files}; exec \"$0\" \"$@\"");
        shell.args(["-c", &limited, env!("CARGO_BIN_EXE_herd")]);
        Self::spawn(shell, sections, log)
    }

    /// As [`Served::start`], with a command that has what the process needs besides its arguments.
    pub(crate) fn spawn(mut command: Command, sections: &str, log: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("herd.toml");
        std::fs::write(&path, conf(directory.path(), sections, log)).unwrap();
        let errors = File::create(directory.path().join("stderr")).unwrap();
        let mut child = command
            .args(["serve", NAME, "--conf"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut served = Self { child, address: ([127, 0, 0, 1], 0).into(), directory };
        let (send, ready) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line).map(|_| send.send(line));
        });
        let line = ready.recv_timeout(PATIENCE).unwrap_or_default();
        let address = line.trim().strip_prefix("ready Ball ").map(str::parse);
        let Some(Ok(address)) = address else {
            panic!("the server said {line:?} and {:?}", served.stderr());
        };
        served.address = address;
        served
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the server still runs");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the log file holds now.
    pub(crate) fn log(&self) -> String {
        let path = self.directory.path().join("logs").join(format!("{NAME}.log"));
        std::fs::read_to_string(path).unwrap()
    }

    /// What it has written to standard error.
    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("stderr")).unwrap()
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        self.status("Threads:")
    }

    /// Its resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> usize {
        self.status("VmRSS:")
    }

    fn status(&self, key: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        value.split_whitespace().next().unwrap().parse().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
