//! One `herd serve` as a process: started, killed, frozen, told to stop, and asked how it is.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for a server to be ready: a used data directory is opened before.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Longest wait for a server that was told to stop: 5 s for its links, and 30 s for its store.
const STOPPED_WITHIN: Duration = Duration::from_secs(40);

/// How often a start is tried again while somebody else has one of its ports.
const START_TRIES: usize = 20;

/// Longest wait for `/status`.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// The exit code of a server that cannot listen.
const CANNOT_LISTEN: i32 = 3;

/// Where a server is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) listen: SocketAddr,
    pub(super) links: SocketAddr,
    pub(super) admin: SocketAddr,
}

/// One server of a herd. It is killed when this is dropped.
pub(super) struct Server {
    pub(super) name: String,
    pub(super) addresses: Addresses,
    pub(super) conf: PathBuf,
    /// Where its store is, if it has one.
    pub(super) data: Option<PathBuf>,
    /// The words that the program is started with: behind those that choose where it runs.
    pub(super) program: Vec<String>,
    pub(super) process: Option<Child>,
}

/// What `/status` says, as far as it is looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub(super) struct Status {
    pub(super) records: u64,
    pub(super) digest: String,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// Somebody else has one of its ports.
    #[error("{0} cannot listen")]
    CannotListen(String),
    #[error("{0}")]
    Failed(String),
}

impl Server {
    /// Starts it and waits until it listens.
    pub(super) fn start(&mut self) -> Result<(), StartError> {
        let name = &self.name;
        let failed = |what: String| StartError::Failed(format!("{name} did not start: {what}"));
        let errors = File::options().create(true).append(true).open(self.errors());
        let errors = errors.map_err(|error| failed(error.to_string()))?;
        let mut child = Command::new(&self.program[0])
            .args(&self.program[1..])
            // If this program is killed, its end of their input goes, and they stop too.
            .args(["serve", name, "--stop-on-eof", "--conf"])
            .arg(&self.conf)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let stdout = child.stdout.take();
        let child = self.process.insert(child);
        let (said, ready) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.map(BufReader::new).into_iter().flat_map(|lines| lines.lines()) {
                let _ = said.send(line);
            }
        });
        match ready.recv_timeout(READY_WITHIN) {
            Ok(Ok(line)) if line.starts_with(&format!("ready {name} ")) => Ok(()),
            Ok(line) => Err(failed(format!("it said {line:?}"))),
            Err(RecvTimeoutError::Timeout) => {
                Err(failed(format!("it is not ready within {READY_WITHIN:?}")))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.wait().map_err(|error| failed(error.to_string()))?;
                self.process = None;
                if status.code() == Some(CANNOT_LISTEN) {
                    return Err(StartError::CannotListen(self.name.clone()));
                }
                Err(failed(format!("it ended with {status}; see {}", self.errors().display())))
            }
        }
    }

    /// Starts it again, also when its port is taken for a moment.
    pub(super) fn start_again(&mut self) -> Result<(), StartError> {
        for _ in 1..START_TRIES {
            match self.start() {
                Err(StartError::CannotListen(_)) => thread::sleep(Duration::from_millis(100)),
                started => return started,
            }
        }
        self.start()
    }

    /// kill -9; also of one that is frozen.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.process.as_ref().and_then(|child| i32::try_from(child.id()).ok())
            && let Some(pid) = Pid::from_raw(pid)
        {
            // It may have ended by itself, which is seen elsewhere.
            let _ = kill_process(pid, signal);
        }
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// When it does not end in time or not well.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        self.signal(Signal::TERM);
        let Some(child) = &mut self.process else { return Ok(()) };
        let deadline = Instant::now() + STOPPED_WITHIN;
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                _ => return Err(format!("{} did not end within {STOPPED_WITHIN:?}", self.name)),
            }
        };
        self.process = None;
        if status.success() {
            return Ok(());
        }
        Err(format!("{}, told to stop, ended with {status}", self.name))
    }

    /// How it ended, if it did by itself.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.try_wait().ok().flatten()
    }

    /// What is in the file of its errors that tells of a panic.
    pub(super) fn panic(&self) -> Option<String> {
        let errors = std::fs::read_to_string(self.errors()).unwrap_or_default();
        errors.lines().find(|line| line.contains("panicked")).map(str::to_string)
    }

    fn errors(&self) -> PathBuf {
        self.conf.with_file_name(format!("{}.stderr", self.name))
    }

    /// What it says of itself over HTTP; `None` if it does not answer.
    pub(super) fn status(&self) -> Option<Status> {
        let mut stream = TcpStream::connect_timeout(&self.addresses.admin, STATUS_TIMEOUT).ok()?;
        stream.set_read_timeout(Some(STATUS_TIMEOUT)).ok()?;
        stream.set_write_timeout(Some(STATUS_TIMEOUT)).ok()?;
        // 1.0, so that the answer comes in one piece and the connection ends.
        write!(stream, "GET /status HTTP/1.0\r\nHost: {}\r\n\r\n", self.addresses.admin).ok()?;
        let mut answer = String::new();
        // A status is some KiB.
        stream.take(1 << 20).read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        if head.split(' ').nth(1) != Some("200") {
            return None;
        }
        // Behind the length of a chunk, if it comes in one all the same.
        let body = &body[body.find('{')?..];
        serde_json::Deserializer::from_str(body).into_iter().next()?.ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Removes a server's store; there may be none.
pub(super) fn wipe(data: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(data) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
