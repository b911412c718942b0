//! `herd-tokio` as a process, its conf files, and clients of it.

#![allow(dead_code, reason = "each test crate uses a part of it")]

#[path = "../../../../../tests/support/ports.rs"]
mod ports;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use herd::client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longest wait for what has to come about. No test waits for it to pass.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// `herd-tokio`, running until it is dropped.
pub(crate) struct Variant {
    child: Child,
    /// Where it says that clients connect.
    pub(crate) address: SocketAddr,
}

/// A directory with a conf file, and the logs of its servers.
pub(crate) struct Conf {
    directory: TempDir,
}

/// A server of a conf file. It has neighbors on either side, and these are named on one.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    neighbors: &'static [&'static str],
}

impl Conf {
    /// Of one server, `Ball`, on any port. `rest` is what the file says besides; `[log]` is open at its start.
    pub(crate) fn alone(rest: &str) -> Self {
        let address = ([127, 0, 0, 1], 0).into();
        Self::of(&[Place { name: "Ball", address, neighbors: &[] }], rest)
    }

    /// Of several servers.
    pub(crate) fn of(places: &[Place], rest: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for Place { name, address, neighbors } in places {
            writeln!(
                text,
                "[[server]]\nname = \"{name}\"\nlisten = \"{address}\"\nneighbors = {neighbors:?}"
            )
            .unwrap();
        }
        writeln!(text, "[log]\ndir = '{}'\n{rest}", directory.path().display()).unwrap();
        let conf = Self { directory };
        std::fs::write(conf.path(), text).unwrap();
        conf
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("herd.toml")
    }

    /// What the log of a server holds now.
    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(format!("{name}.log"))).unwrap()
    }

    /// Starts one of its servers, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(&self, name: &str) -> Variant {
        let mut child = command(name, &self.path()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, ready) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        // Dropping it ends the process, also when what follows panics.
        let mut variant = Variant { child, address: ([127, 0, 0, 1], 0).into() };
        let line = ready.recv_timeout(LIMIT).unwrap();
        let address = line.strip_prefix(&format!("ready {name} ")).unwrap();
        variant.address = address.parse().unwrap();
        variant
    }
}

/// Servers on ports that nobody else gets.
pub(crate) fn places<const N: usize>(
    of: [(&'static str, &'static [&'static str]); N],
) -> [Place; N] {
    // All are held until all are known.
    let held = of.map(|(name, neighbors)| (name, neighbors, ports::listener()));
    held.each_ref().map(|(name, neighbors, port): &(_, _, TcpListener)| Place {
        name,
        address: port.local_addr().unwrap(),
        neighbors,
    })
}

/// The program, to be started with standard input open.
pub(crate) fn command(name: &str, conf: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd-tokio"));
    command.arg(name).arg("--conf").arg(conf).arg("--stop-on-eof");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

impl Variant {
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address, LIMIT).unwrap()
    }

    #[track_caller]
    pub(crate) fn report(&self, client: &str, location: &str) {
        self.client().report_now(client, location).unwrap().unwrap();
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[track_caller]
    pub(crate) fn terminate(self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.ended()
    }

    #[track_caller]
    pub(crate) fn close_its_input(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.ended()
    }

    #[track_caller]
    fn ended(mut self) -> ExitStatus {
        let mut status = None;
        eventually("the server ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Variant {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The AT line that a server has of a client. Bound 0 asks nobody for places.
#[track_caller]
pub(crate) fn at(address: SocketAddr, client: &str) -> Option<Vec<u8>> {
    let (mut sender, mut receiver) = Client::connect(address, LIMIT).unwrap().split();
    sender.send(format!("WHATSAT {client} 0 0")).unwrap();
    sender.finish().unwrap();
    let reply = receiver.receive_raw().unwrap().unwrap();
    let line = reply.as_bytes().split_inclusive(|&byte| byte == b'\n').next().unwrap();
    (!reply.is_invalid()).then(|| line.to_vec())
}

/// Waits until all these servers say the same of a client, and know it.
#[track_caller]
pub(crate) fn agree(servers: &[SocketAddr], client: &str) -> Vec<u8> {
    let mut agreed = None;
    eventually("all servers say the same of a client", || {
        let said: Vec<_> = servers.iter().map(|server| at(*server, client)).collect();
        agreed = said[0].clone();
        agreed.is_some() && said.iter().all(|at| *at == agreed)
    });
    agreed.unwrap()
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
