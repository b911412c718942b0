//! The programs that are measured: started on a port of their own, ended when dropped.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use herd::config::Config;
use herd::flood::key;
use herd::server::{Server, ServerHandle};
use tempfile::TempDir;

use super::FiguresError;
use crate::process::Pid;

/// Longest wait for a program to be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// How often a herd is started before it is said that it can't be.
const HERD_TRIES: usize = 5;

/// Where the programs are.
pub(super) struct Programs {
    herd: PathBuf,
    bench: PathBuf,
    redis: Option<PathBuf>,
    memcached: Option<PathBuf>,
}

/// A program that runs. Conf and log lie in a directory that goes with it.
pub(super) struct Running {
    child: Child,
    pub(super) address: String,
    /// Where it can be watched, if it can.
    pub(super) admin: Option<String>,
    _directory: Option<TempDir>,
}

/// How a herd server is set up.
#[derive(Clone, Copy, Debug)]
pub(super) struct HerdConf {
    pub(super) mode: &'static str,
    pub(super) workers: usize,
    pub(super) has_log: bool,
    /// `[data] durability`; `None`: nothing is kept on disk.
    pub(super) durability: Option<&'static str>,
}

/// Who is whose neighbor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Each of the one before.
    Line,
    /// And the first of the last.
    Ring,
}

impl Programs {
    pub(super) fn find(herd: Option<&Path>) -> Result<Self, FiguresError> {
        let bench = std::env::current_exe()?;
        let herd = herd.map_or_else(|| bench.with_file_name("herd"), Path::to_path_buf);
        if !herd.is_file() {
            return Err(FiguresError::NoHerd(herd));
        }
        let (redis, memcached) = (in_path("redis-server"), in_path("memcached"));
        Ok(Self { herd, bench, redis, memcached })
    }

    /// Names what is not installed.
    pub(super) fn missing(&self) -> impl Iterator<Item = &'static str> {
        let all = [("redis-server", &self.redis), ("memcached", &self.memcached)];
        all.into_iter().filter(|(_, path)| path.is_none()).map(|(name, _)| name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        !self.missing().any(|missing| missing == name)
    }

    /// One herd server without neighbors.
    pub(super) fn herd(&self, conf: HerdConf) -> Result<Running, FiguresError> {
        let HerdConf { mode, workers, has_log, durability } = conf;
        let directory = tempfile::tempdir()?;
        let data = durability.map_or_else(String::new, |durability| {
            let dir = directory.path().join("data");
            format!("[data]\ndir = '{}'\ndurability = \"{durability}\"\n", dir.display())
        });
        let servers = "[[server]]\nname = \"Bench\"\nlisten = \"127.0.0.1:0\"\n";
        let rest = format!(
            "[pool]\nmode = \"{mode}\"\nworkers = {workers}\nmax_connections = 15000\n\
             {data}[log]\ntraffic = {has_log}\n"
        );
        let conf = write_conf(&directory, servers, &rest)?;
        self.serve("Bench", &conf, Some(directory))
    }

    /// Two herd servers with a link between them: one as a process, one in this process.
    pub(super) fn two_herds(&self, has_key: bool) -> Result<(Running, ServerHandle), FiguresError> {
        let failed = |error: &dyn std::fmt::Display| FiguresError::Start("herd", error.to_string());
        let ports = free_ports(4)?;
        let servers = format!(
            "[[server]]\nname = \"S0\"\nlisten = \"127.0.0.1:{}\"\nlinks = \"127.0.0.1:{}\"\n\
             neighbors = [\"S1\"]\n\
             [[server]]\nname = \"S1\"\nlisten = \"127.0.0.1:{}\"\nlinks = \"127.0.0.1:{}\"\n",
            ports[0], ports[1], ports[2], ports[3]
        );
        let directory = tempfile::tempdir()?;
        let key_file = directory.path().join("herd.key");
        let links = if has_key {
            key::write_new(&key_file)?;
            format!("[links]\nkey_file = '{}'\n", key_file.display())
        } else {
            String::new()
        };
        let rest = format!("{links}[log]\ntraffic = false\n");
        let conf = write_conf(&directory, &servers, &rest)?;
        let config = Config::load(&conf).map_err(|error| failed(&error))?;
        let name = &config.servers[1].name;
        let here = Server::bind(&config, name)
            .and_then(|server| server.start(&config))
            .map_err(|error| failed(&error))?;
        Ok((self.serve("S0", &conf, Some(directory))?, here))
    }

    /// As many herd servers in a line or a ring, with links between them.
    pub(super) fn herds(&self, count: usize, shape: Shape) -> Result<Vec<Running>, FiguresError> {
        let mut tries = 1;
        loop {
            match self.try_herds(count, shape) {
                // Somebody else got one of the ports that were free.
                Err(FiguresError::Start(..)) if tries < HERD_TRIES => tries += 1,
                herds => return herds,
            }
        }
    }

    /// The first one's directory is that of all.
    fn try_herds(&self, count: usize, shape: Shape) -> Result<Vec<Running>, FiguresError> {
        let ports = free_ports(3 * count)?;
        let address = |port: u16| format!("127.0.0.1:{port}");
        let servers: String = (0..count)
            .map(|at| {
                let [listen, links, admin] = [0, 1, 2].map(|port| address(ports[3 * at + port]));
                let neighbor = match (at, shape) {
                    (0, Shape::Line) => String::new(),
                    (0, Shape::Ring) => format!("\"S{}\"", count - 1),
                    _ => format!("\"S{}\"", at - 1),
                };
                format!(
                    "[[server]]\nname = \"S{at}\"\nlisten = \"{listen}\"\nlinks = \"{links}\"\n\
                     admin = \"{admin}\"\nneighbors = [{neighbor}]\n"
                )
            })
            .collect();
        let directory = tempfile::tempdir()?;
        let conf = write_conf(&directory, &servers, "[log]\n")?;
        let mut running = Vec::new();
        let mut directory = Some(directory);
        for at in 0..count {
            let mut server = self.serve(&format!("S{at}"), &conf, directory.take())?;
            server.admin = Some(address(ports[3 * at + 2]));
            running.push(server);
        }
        Ok(running)
    }

    fn serve(
        &self,
        name: &str,
        conf: &Path,
        directory: Option<TempDir>,
    ) -> Result<Running, FiguresError> {
        let mut command = Command::new(&self.herd);
        // If this program is killed, its end of their input goes, and they stop too.
        command.args(["serve", name, "--stop-on-eof", "--conf"]).arg(conf);
        says_ready("herd", command, directory)
    }

    /// A bare line echo on tokio.
    pub(super) fn echo(&self) -> Result<Running, FiguresError> {
        let mut command = Command::new(&self.bench);
        command.arg("echo");
        says_ready("echo", command, None)
    }

    /// Without anything on disk.
    pub(super) fn redis(&self) -> Result<Running, FiguresError> {
        let port = free_ports(1)?[0];
        let port_word = port.to_string();
        let words =
            ["--bind", "127.0.0.1", "--port", &port_word, "--save", "", "--appendonly", "no"];
        accepts("redis-server", self.redis.as_deref(), port, &words.map(OsStr::new))
    }

    /// With a thread for each core.
    pub(super) fn memcached(&self) -> Result<Running, FiguresError> {
        let port = free_ports(1)?[0];
        let threads = thread::available_parallelism().map_or(1, usize::from).to_string();
        let port_word = port.to_string();
        let words = [
            "-l",
            "127.0.0.1",
            "-p",
            &port_word,
            "-t",
            &threads,
            "-u",
            "nobody",
            "-m",
            "1024",
            "-c",
            "20000",
        ];
        accepts("memcached", self.memcached.as_deref(), port, &words.map(OsStr::new))
    }
}

impl Running {
    pub(super) fn pid(&self) -> Pid {
        Pid(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program that says `ready NAME ADDRESS`.
fn says_ready(
    name: &'static str,
    mut command: Command,
    directory: Option<TempDir>,
) -> Result<Running, FiguresError> {
    let failed = |why: String| FiguresError::Start(name, why);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let stdout = child.stdout.take().ok_or_else(|| failed("it has no output".into()))?;
    let (said, ready) = mpsc::channel();
    let mut running = Running { child, address: String::new(), admin: None, _directory: directory };
    thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = said.send(line);
    });
    let line = ready.recv_timeout(READY_WITHIN).map_err(|error| failed(error.to_string()))?;
    match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        ["ready", _, address] => running.address = address.to_string(),
        _ => return Err(failed(format!("it said {line:?}"))),
    }
    Ok(running)
}

/// Starts a program that says nothing, and waits until it accepts connections.
fn accepts(
    name: &'static str,
    path: Option<&Path>,
    port: u16,
    words: &[&OsStr],
) -> Result<Running, FiguresError> {
    let failed = |why: String| FiguresError::Start(name, why);
    let path = path.ok_or_else(|| failed("it is not installed".into()))?;
    let directory = tempfile::tempdir()?;
    let child = Command::new(path)
        .args(words)
        .current_dir(&directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let address = format!("127.0.0.1:{port}");
    let running = Running { child, address, admin: None, _directory: Some(directory) };
    let deadline = Instant::now() + READY_WITHIN;
    while let Err(error) = TcpStream::connect(&running.address) {
        if Instant::now() > deadline {
            return Err(failed(error.to_string()));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(running)
}

/// Ports that nobody listens on now.
fn free_ports(count: usize) -> Result<Vec<u16>, FiguresError> {
    let held: Vec<_> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    Ok(held
        .iter()
        .map(TcpListener::local_addr)
        .collect::<Result<Vec<_>, _>>()?
        .iter()
        .map(std::net::SocketAddr::port)
        .collect())
}

/// The log lies in the directory too, and takes little room there.
fn write_conf(directory: &TempDir, servers: &str, rest: &str) -> Result<PathBuf, FiguresError> {
    let path = directory.path().join("herd.toml");
    let logs = directory.path().join("logs");
    let text =
        format!("{servers}{rest}dir = '{}'\nmax_size = \"64MiB\"\nkeep = 1\n", logs.display());
    std::fs::write(&path, text)?;
    Ok(path)
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}
