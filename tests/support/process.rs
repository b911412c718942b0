//! `herd serve` as a process that does not outlive its test.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Longest wait for the line that says that a server is ready.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// `herd serve`, running until it is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    /// Where it says that clients connect.
    pub(crate) addr: SocketAddr,
}

impl Process {
    /// Starts the server of that name, and waits until it listens. An error is the exit code of a
    /// server that ended instead.
    #[track_caller]
    pub(crate) fn start(name: &str, conf: &Path) -> Result<Self, Option<i32>> {
        Self::start_with(name, conf, &[])
    }

    /// As [`Process::start`], with these variables in its environment.
    #[track_caller]
    pub(crate) fn start_with(
        name: &str,
        conf: &Path,
        variables: &[(&str, &OsStr)],
    ) -> Result<Self, Option<i32>> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_herd"))
            .args(["serve", name, "--conf"])
            .arg(conf)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, ready) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        // Dropping it ends the process, also when what follows panics.
        let mut process = Self { child, addr: ([127, 0, 0, 1], 0).into() };
        let line = match ready.recv_timeout(READY_LIMIT) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(process.child.wait().unwrap().code());
            }
            Err(RecvTimeoutError::Timeout) => {
                panic!("`herd serve {name}` does not say that it is ready")
            }
        };
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["ready", said, addr] if said == name => process.addr = addr.parse().unwrap(),
            _ => panic!("`herd serve {name}` said `{line}`"),
        }
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What libfaketime leaves of a process that is killed; a later one with this id could not start.
        let id = self.child.id();
        for left in [format!("faketime_shm_{id}"), format!("sem.faketime_sem_{id}")] {
            let _ = std::fs::remove_file(Path::new("/dev/shm").join(left));
        }
    }
}
