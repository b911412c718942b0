//! A `herd up` of a conf of its own, and what became of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use herd::Client;
use herd::protocol::Kilometers;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

/// Longest wait for anything; no test waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often ports are chosen anew because another process took one before the herd did.
const ATTEMPTS: usize = 10;

/// A conf file in a directory of its own, with a line of servers on free ports: each is the neighbor
/// of the one before.
pub struct Conf {
    pub dir: TempDir,
    /// Its name has a space, so that a shell needs quotes.
    pub path: PathBuf,
    pub names: Vec<&'static str>,
    pub listen: Vec<SocketAddr>,
    pub links: Vec<SocketAddr>,
}

/// `herd up`, killed when it is dropped.
pub struct Up {
    pub conf: Conf,
    pub rows: Vec<Row>,
    /// What came after the table, to the line about Ctrl-C.
    pub guide: Vec<String>,
    child: Child,
    stderr: Receiver<String>,
}

/// A line of the table.
#[derive(Debug)]
pub struct Row {
    pub name: String,
    pub address: SocketAddr,
    pub neighbors: String,
    pub pid: Pid,
    pub log: PathBuf,
}

impl Conf {
    /// `more` stands after the servers.
    pub fn new(names: &[&'static str], more: &str) -> Self {
        // Held together, so that all are different.
        let held: Vec<_> = (0..2 * names.len()).map(|_| free_port()).collect();
        let mut addresses = held.iter().map(|held| held.local_addr().unwrap());
        let listen: Vec<_> = addresses.by_ref().take(names.len()).collect();
        let links: Vec<_> = addresses.collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my herd.toml");
        let mut text = String::new();
        for at in 0..names.len() {
            let neighbors = names.get(at + 1).map(|name| format!("\"{name}\"")).unwrap_or_default();
            let (name, listen, links) = (names[at], listen[at], links[at]);
            write!(
                text,
                "[[server]]\nname = \"{name}\"\nlisten = \"{listen}\"\nlinks = \"{links}\"\n\
                 neighbors = [{neighbors}]\n"
            )
            .unwrap();
        }
        // Few enough connections for any limit of open files, which a server would warn of.
        std::fs::write(&path, text + more + "[pool]\nmax_connections = 100\n").unwrap();
        Self { dir, path, names: names.to_vec(), listen, links }
    }

    /// `herd up` of this conf, started in its directory.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
        command.args(["up", "--conf"]).arg(&self.path).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// True if nobody listens on any address of the servers.
    pub fn is_free(&self) -> bool {
        self.listen.iter().chain(&self.links).all(|address| TcpListener::bind(address).is_ok())
    }
}

impl Up {
    /// Starts the servers and waits until they are ready.
    pub fn start(names: &[&'static str], more: &str) -> Self {
        (0..ATTEMPTS)
            .find_map(|_| Self::try_start(Conf::new(names, more)))
            .expect("ports that stay free from when they are chosen")
    }

    /// As [`Up::start`] once it has ended, with its conf file, in its directory.
    pub fn start_again(mut self) -> Self {
        // This one still has to be dropped.
        let nothing = Conf::new(&[], "");
        let conf = std::mem::replace(&mut self.conf, nothing);
        Self::try_start(conf).expect("nobody else has got the ports")
    }

    /// `None` if a port was taken meanwhile.
    fn try_start(conf: Conf) -> Option<Self> {
        let mut child = conf.command().spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        // Dropping it ends the process, also when what follows panics.
        let mut up = Self { conf, rows: Vec::new(), guide: Vec::new(), child, stderr };
        loop {
            match stdout.recv_timeout(PATIENCE) {
                Ok(line) if line.starts_with("name ") => {
                    for _ in 0..up.conf.names.len() {
                        up.rows.push(Row::parse(&stdout.recv_timeout(PATIENCE).unwrap()));
                    }
                }
                Ok(line) => {
                    let is_last = line.starts_with("Ctrl-C ");
                    up.guide.push(line);
                    if is_last {
                        return Some(up);
                    }
                }
                Err(e) => {
                    let status = up.ended();
                    let said = up.rest();
                    assert_eq!(status.code(), Some(3), "{e}: {said:#?}");
                    return None;
                }
            }
        }
    }

    /// Waits for a line on stderr that holds the text.
    #[track_caller]
    pub fn line_with(&self, text: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.stderr.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(e) => panic!("no {text:?} ({e}) in {seen:#?}"),
            }
        }
    }

    /// All further lines on stderr, to its end.
    pub fn rest(&self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Ok(line) = self.stderr.recv_timeout(PATIENCE) {
            rest.push(line);
        }
        rest
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for `up` itself to end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        ended(&mut self.child)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // One that a test stopped could not see that `up` is gone.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            for row in &self.rows {
                let _ = kill_process(row.pid, Signal::CONT);
            }
        }
        // The servers stop when it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Row {
    /// `Ball  127.0.0.1:12001  Holiday, Welsh  4711  /tmp/logs/Ball.log`
    pub fn parse(line: &str) -> Self {
        let cells: Vec<_> =
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let [name, address, neighbors, pid, log] = cells[..] else { panic!("{line}") };
        Self {
            name: name.to_string(),
            address: address.parse().unwrap(),
            neighbors: neighbors.to_string(),
            pid: Pid::from_raw(pid.parse().unwrap()).unwrap(),
            log: log.into(),
        }
    }
}

/// A listener on a port that no other test of this process got, and that no connection to elsewhere
/// gets, so that nobody takes it by chance while its server is down.
pub fn free_port() -> TcpListener {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let free = || {
        let port = fastrand::u16(20_000..32_000);
        let is_new = GIVEN.lock().unwrap().insert(port);
        is_new.then(|| TcpListener::bind(("127.0.0.1", port)).ok())?
    };
    std::iter::repeat_with(free).take(1000).flatten().next().expect("a free port")
}

/// The lines, until they end, read on a thread so that waiting for one has a limit.
pub fn lines(input: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(input).lines().map_while(Result::ok) {
            // Whoever does not listen any more still lets the program write.
            let _ = send.send(line);
        }
    });
    lines
}

#[track_caller]
pub fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    eventually("the program ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.expect("it has ended")
}

/// Polls until it holds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// True for a process that has ended, also while whoever inherited it has not taken note.
pub fn is_gone(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // `4711 (herd) Z ...`
    let is_zombie = stat.is_ok_and(|stat| stat.contains(") Z "));
    is_zombie || test_kill_process(pid).is_err()
}

/// True if the server there takes a report of where the client is.
pub fn reports(address: SocketAddr, client: &str) -> bool {
    let said = Client::connect(address, PATIENCE)
        .and_then(|mut server| server.report_now(client, "+34.068930-118.445127"));
    matches!(said, Ok(Ok(_)))
}

/// True if the server there answers and knows where the client is.
pub fn knows(address: SocketAddr, client: &str) -> bool {
    let asked = Client::connect(address, PATIENCE)
        .and_then(|mut server| server.places_near(client, Kilometers(1.0), 0));
    matches!(asked, Ok(Ok(_)))
}
