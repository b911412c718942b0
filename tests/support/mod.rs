//! The herd binary as a server of its own, for tests.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// Longest wait for the line that says that a server is ready.
const READY_LIMIT: Duration = Duration::from_secs(20);

/// `herd serve`, running on a port of its own until it is dropped.
pub(crate) struct Serve {
    child: Child,
    pub(crate) addr: SocketAddr,
    /// Conf file and log; removed at the end.
    _directory: TempDir,
}

impl Serve {
    /// Starts a server of this name without neighbors, and waits until it listens. `conf` is what
    /// the conf file says besides its address and its log.
    pub(crate) fn start(name: &str, conf: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("herd.toml");
        let log = directory.path().join("logs");
        let text = format!(
            "[[server]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\n\
             [log]\ndir = '{}'\n{conf}",
            log.display()
        );
        std::fs::write(&path, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_herd"))
            .args(["serve", name, "--conf"])
            .arg(&path)
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
        let mut serve = Self { child, addr: ([127, 0, 0, 1], 0).into(), _directory: directory };
        let line = ready.recv_timeout(READY_LIMIT).unwrap_or_else(|error| {
            panic!("`herd serve {name}` does not say that it is ready: {error}")
        });
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["ready", said, addr] if said == name => serve.addr = addr.parse().unwrap(),
            _ => panic!("`herd serve {name}` said `{line}`"),
        }
        serve
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
