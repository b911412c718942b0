//! A server that keeps its data, with whatever becomes of its process.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process::Process;
use crate::talk::{LIMIT, Talk, eventually};

/// Its name.
pub(crate) const NAME: &str = "Ball";

/// A conf file with a data directory beside it.
pub(crate) struct Kept {
    dir: TempDir,
    data: PathBuf,
}

impl Kept {
    /// `data` are further keys of `[data]`; sections may follow.
    pub(crate) fn new(data: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("data");
        Self::keeping_at(dir, at, data)
    }

    /// As [`Kept::new`], with its data elsewhere.
    pub(crate) fn keeping_at(dir: TempDir, data_dir: PathBuf, data: &str) -> Self {
        let kept = Self { dir, data: data_dir };
        kept.write_conf("herd.toml", "127.0.0.1:0", data);
        kept
    }

    /// Writes another conf file over the same data.
    pub(crate) fn write_conf(&self, name: &str, listen: &str, data: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        let text = format!(
            "[[server]]\nname = \"{NAME}\"\nlisten = \"{listen}\"\n[log]\ndir = '{}'\n\
             [data]\ndir = '{}'\n{data}\n",
            self.dir.path().join("logs").display(),
            self.data.display()
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn conf(&self) -> PathBuf {
        self.dir.path().join("herd.toml")
    }

    /// The directory of its store.
    pub(crate) fn store(&self) -> PathBuf {
        self.data.join(NAME)
    }

    #[track_caller]
    pub(crate) fn start(&self) -> Process {
        Process::start(NAME, &self.conf()).unwrap_or_else(|code| panic!("ended with {code:?}"))
    }

    pub(crate) fn log(&self) -> String {
        let path = self.dir.path().join("logs").join(format!("{NAME}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }
}

/// The exit code and the words on stderr of a server that does not start.
pub(crate) fn refused(conf: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.args(["serve", NAME, "--conf"]).arg(conf).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + LIMIT;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            None => {
                child.kill().unwrap();
                break child.wait().unwrap();
            }
        }
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status.code(), said)
}

/// Every file below, with its length and when it was changed.
pub(crate) fn listing(path: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::metadata(&path).unwrap();
        files.push(format!("{path:?} {} {:?}", metadata.len(), metadata.modified().unwrap()));
        if path.is_dir() {
            files.extend(listing(&path));
        }
    }
    files.sort();
    files
}

#[track_caller]
pub(crate) fn kill(mut process: Process) {
    process.child.kill().unwrap();
    process.child.wait().unwrap();
}

/// SIGTERM; it has to end well.
#[track_caller]
pub(crate) fn stop(mut process: Process) {
    kill_process(Pid::from_child(&process.child), Signal::TERM).unwrap();
    let mut status = None;
    eventually("the server ends", || {
        status = process.child.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success(), "{status:?}");
}

/// What a load was answered with AT: of each client the newest time, and when the answer came.
#[derive(Default)]
pub(crate) struct Answered(pub(crate) HashMap<String, (u64, Instant)>);

/// Connections, each with clients of its own, that report until the server is gone.
pub(crate) struct Load {
    threads: Vec<std::thread::JoinHandle<Answered>>,
    answers: std::sync::Arc<AtomicUsize>,
}

const CONNECTIONS: usize = 4;
const CLIENTS: u64 = 10;
const OUTSTANDING: u64 = 4;

impl Load {
    /// Reports with times from `from` on.
    pub(crate) fn start(address: SocketAddr, from: u64) -> Self {
        let answers = std::sync::Arc::<AtomicUsize>::default();
        let threads = (0..CONNECTIONS)
            .map(|connection| {
                let answers = std::sync::Arc::clone(&answers);
                std::thread::spawn(move || report(address, connection, from, &answers))
            })
            .collect();
        Self { threads, answers }
    }

    /// Waits until so many reports were answered with AT.
    #[track_caller]
    pub(crate) fn await_answers(&self, count: usize) {
        eventually("reports are answered", || self.answers.load(Ordering::SeqCst) >= count);
    }

    /// What was answered until the server was gone.
    pub(crate) fn ended(self) -> Answered {
        let mut all = Answered::default();
        for thread in self.threads {
            all.0.extend(thread.join().unwrap().0);
        }
        all
    }
}

fn report(address: SocketAddr, connection: usize, from: u64, answers: &AtomicUsize) -> Answered {
    let mut answered = Answered::default();
    let Ok(stream) = TcpStream::connect_timeout(&address, LIMIT) else { return answered };
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut input = BufReader::new(&stream);
    let mut sent = 0;
    for received in 0.. {
        while sent < received + OUTSTANDING {
            let client = sent % CLIENTS;
            let line = format!("IAMAT c{connection}-{client} +1+1 {}\n", from + sent);
            if (&stream).write_all(line.as_bytes()).is_err() {
                return answered;
            }
            sent += 1;
        }
        let mut reply = String::new();
        // A reply that is cut short is none.
        if !input.read_line(&mut reply).is_ok_and(|_| reply.ends_with('\n')) {
            return answered;
        }
        if let ["AT", _, _, client, _, time] = reply.split_whitespace().collect::<Vec<_>>()[..] {
            answered.0.insert(client.to_owned(), (time.parse().unwrap(), Instant::now()));
            answers.fetch_add(1, Ordering::SeqCst);
        }
    }
    answered
}

/// The clients whose newest answered report a server does not have, nor a newer one.
#[track_caller]
pub(crate) fn lost(address: SocketAddr, answered: &Answered) -> Vec<String> {
    let mut talk = Talk::to(address);
    let is_lost = |(client, (time, _)): &(&String, &(u64, Instant))| {
        time_of(&mut talk, client).is_none_or(|held| held < *time)
    };
    answered.0.iter().filter(is_lost).map(|(client, _)| client.clone()).collect()
}

/// The time of a client's record.
#[track_caller]
pub(crate) fn time_of(talk: &mut Talk, client: &str) -> Option<u64> {
    let line = talk.ask(&format!("WHATSAT {client} 1 0"));
    let time = line.strip_prefix("AT ")?.rsplit(' ').next().unwrap().parse().unwrap();
    talk.places();
    Some(time)
}

/// How many rounds a test of kills has.
pub(crate) fn rounds(by_default: u64) -> u64 {
    std::env::var("HERD_TEST_ROUNDS").ok().map_or(by_default, |rounds| rounds.parse().unwrap())
}
