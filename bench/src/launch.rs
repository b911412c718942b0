//! Programs that are measured: started on a port of their own, ended when dropped.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::echo::Model;
use crate::process::Pid;

/// Longest wait for a program to be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How much of what a program says on its standard error is kept, in bytes.
const SAID_BYTES: u64 = 64 * 1024;

/// Why a program can't be measured.
#[derive(Debug, thiserror::Error)]
#[error("{program} did not start: {why}")]
pub(crate) struct LaunchError {
    program: String,
    why: String,
}

impl LaunchError {
    pub(crate) fn new(program: &str, why: String) -> Self {
        Self { program: program.to_string(), why }
    }
}

/// A program that runs. Its conf and log lie in a directory that goes with it.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: String,
    /// Where it can be watched, if it can.
    pub(crate) admin: Option<String>,
    _directory: Option<TempDir>,
}

impl Running {
    pub(crate) fn pid(&self) -> Pid {
        Pid(self.child.id())
    }

    /// Has it end by itself, if it is one that stops when its input ends, and waits for that.
    ///
    /// # Errors
    ///
    /// When it ends in another way than it should.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        // That closes its input first.
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("it ended with {status}")))
        }
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The outside references that are not installed.
pub(crate) fn references_missing() -> impl Iterator<Item = &'static str> {
    ["redis-server", "memcached"].into_iter().filter(|name| in_path(name).is_none())
}

/// This program itself, as a bare line echo in one of the models.
pub(crate) fn echo(model: Model) -> Result<Running, LaunchError> {
    itself("echo", &["echo", "--model", &model.to_string()])
}

/// This program itself, as a places service that takes `delay` for an answer.
pub(crate) fn places(delay: Duration) -> Result<Running, LaunchError> {
    itself("places", &["places", "--delay", &delay.as_secs_f64().to_string()])
}

fn itself(name: &str, words: &[&str]) -> Result<Running, LaunchError> {
    let program =
        std::env::current_exe().map_err(|error| LaunchError::new(name, error.to_string()))?;
    let mut command = Command::new(program);
    command.args(words);
    says_ready(name, command, None)
}

/// Redis, without anything on disk.
pub(crate) fn redis() -> Result<Running, LaunchError> {
    let words =
        ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--maxclients", "20000"];
    accepts("redis-server", "--port", &words)
}

/// memcached, with a thread for each core.
pub(crate) fn memcached() -> Result<Running, LaunchError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).to_string();
    let words = ["-l", "127.0.0.1", "-t", &threads, "-u", "nobody", "-m", "1024", "-c", "20000"];
    accepts("memcached", "-p", &words)
}

/// Starts a program that says `ready NAME ADDRESS`. If this process is killed, its end of their input goes,
/// and those that are told to stop then do.
///
/// # Errors
///
/// When it can't be started, ends, or is not ready in time; with the last line that it said.
pub(crate) fn says_ready(
    program: &str,
    mut command: Command,
    directory: Option<TempDir>,
) -> Result<Running, LaunchError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| LaunchError::new(program, command_error(&command, &error)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut running = Running { child, address: String::new(), admin: None, _directory: directory };
    let (said, ready) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = stdout.map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let _ = said.send(line);
    });
    let (complained, complaints) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let Some(mut stderr) = stderr else { return };
        let _ = stderr.by_ref().take(SAID_BYTES).read_to_end(&mut text);
        let _ = complained.send(String::from_utf8_lossy(&text).into_owned());
        // Or it would wait for ever to say more.
        let _ = io::copy(&mut stderr, &mut io::sink());
    });
    let line = ready.recv_timeout(READY_WITHIN);
    let line =
        line.map_err(|_| LaunchError::new(program, format!("not ready within {READY_WITHIN:?}")))?;
    if let ["ready", _, address] = line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        running.address = address.to_string();
        return Ok(running);
    }
    running.kill();
    let complaints = complaints.recv_timeout(READY_WITHIN).unwrap_or_default();
    let last = complaints.lines().rev().find(|line| !line.trim().is_empty());
    Err(LaunchError::new(program, last.map_or_else(|| format!("it said {line:?}"), str::to_string)))
}

/// Starts a program that says nothing, on a free port, and waits until it accepts connections.
fn accepts(program: &str, port_option: &str, words: &[&str]) -> Result<Running, LaunchError> {
    let failed = |error: io::Error| LaunchError::new(program, error.to_string());
    let path = in_path(program).ok_or_else(|| LaunchError::new(program, "not installed".into()))?;
    let port = free_ports(1).map_err(failed)?[0].to_string();
    let directory = tempfile::tempdir().map_err(failed)?;
    let mut command = Command::new(path);
    command.args(words).args([port_option, &port]).current_dir(&directory);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(failed)?;
    let address = format!("127.0.0.1:{port}");
    let running = Running { child, address, admin: None, _directory: Some(directory) };
    let deadline = Instant::now() + READY_WITHIN;
    while let Err(error) = TcpStream::connect(&running.address) {
        if Instant::now() > deadline {
            return Err(failed(error));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(running)
}

/// Ports that nobody listens on now.
///
/// # Errors
///
/// When so many can't be had.
pub(crate) fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let held: Vec<_> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// Where a program is in PATH.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn command_error(command: &Command, error: &io::Error) -> String {
    format!("{}: {error}", command.get_program().to_string_lossy())
}
