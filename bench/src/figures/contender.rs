//! The programs that are measured, and how they are set up.

use std::path::{Path, PathBuf};
use std::process::Command;

use herd::config::Config;
use herd::flood::key;
use herd::server::{Server, ServerHandle};
use tempfile::TempDir;

use super::FiguresError;
use crate::echo::Model;
use crate::launch::{self, LaunchError, Running, free_ports, says_ready};
use crate::load::Work;

/// How often a herd is started before it is said that it can't be.
const HERD_TRIES: usize = 5;

/// The name of a server without neighbors.
const LONE: &str = "Bench";

/// Where the programs are.
pub(super) struct Programs {
    herd: PathBuf,
    /// `herd-tokio`, if it is built.
    tokio: Option<PathBuf>,
}

/// One server that takes reports, or something like them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Herd(HerdConf),
    /// The variant on tokio, with a conf as the herd has.
    Tokio(HerdConf),
    Echo(Model),
    Redis,
    Memcached,
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

impl Kind {
    pub(super) fn start(self, programs: &Programs) -> Result<Running, FiguresError> {
        match self {
            Self::Herd(conf) => programs.herd(conf),
            Self::Tokio(conf) => programs.tokio(conf),
            Self::Echo(model) => Ok(launch::echo(model)?),
            Self::Redis => Ok(launch::redis()?),
            Self::Memcached => Ok(launch::memcached()?),
        }
    }

    pub(super) fn is_echo(self) -> bool {
        matches!(self, Self::Echo(_))
    }

    /// A report in its own words.
    pub(super) fn work(self) -> Work {
        match self {
            Self::Herd(_) | Self::Tokio(_) | Self::Echo(_) => Work::Iamat,
            Self::Redis => Work::Geoadd,
            Self::Memcached => Work::MemcachedSet,
        }
    }
}

impl Programs {
    pub(super) fn find(herd: Option<&Path>) -> Result<Self, FiguresError> {
        let bench = std::env::current_exe()?;
        let tokio = Some(bench.with_file_name("herd-tokio")).filter(|program| program.is_file());
        let herd = herd.map_or_else(|| bench.with_file_name("herd"), Path::to_path_buf);
        if !herd.is_file() {
            return Err(FiguresError::NoHerd(herd));
        }
        Ok(Self { herd, tokio })
    }

    /// True if it is installed, or built.
    pub(super) fn have(&self, kind: Kind) -> bool {
        match kind {
            Kind::Herd(_) | Kind::Echo(_) => true,
            Kind::Tokio(_) => self.tokio.is_some(),
            Kind::Redis => launch::in_path("redis-server").is_some(),
            Kind::Memcached => launch::in_path("memcached").is_some(),
        }
    }

    /// What is not there to be measured, and why.
    pub(super) fn missing(&self) -> Vec<String> {
        let references = launch::references_missing().map(|name| format!("{name}: not installed"));
        let tokio = self.tokio.is_none().then(|| "herd-tokio: not built".to_string());
        references.chain(tokio).collect()
    }

    /// One herd server without neighbors.
    pub(super) fn herd(&self, conf: HerdConf) -> Result<Running, FiguresError> {
        let directory = tempfile::tempdir()?;
        let data = directory.path().join("data");
        self.lone(directory, &data, conf)
    }

    /// The same with a data directory that stays.
    pub(super) fn herd_on(&self, data: &Path, conf: HerdConf) -> Result<Running, FiguresError> {
        self.lone(tempfile::tempdir()?, data, conf)
    }

    fn lone(&self, dir: TempDir, data: &Path, conf: HerdConf) -> Result<Running, FiguresError> {
        let conf = write_lone_conf(&dir, data, conf)?;
        self.serve(LONE, &conf, Some(dir))
    }

    fn tokio(&self, conf: HerdConf) -> Result<Running, FiguresError> {
        let not_built = || LaunchError::new("herd-tokio", "not built".to_string());
        let mut command = Command::new(self.tokio.as_ref().ok_or_else(not_built)?);
        let directory = tempfile::tempdir()?;
        let conf = write_lone_conf(&directory, &directory.path().join("data"), conf)?;
        command.args([LONE, "--stop-on-eof", "--conf"]).arg(conf);
        Ok(says_ready("herd-tokio", command, Some(directory))?)
    }

    /// Two herd servers with a link between them: one as a process, one in this process.
    pub(super) fn two_herds(&self, has_key: bool) -> Result<(Running, ServerHandle), FiguresError> {
        let failed = |error: &dyn std::fmt::Display| LaunchError::new("herd", error.to_string());
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
                Err(FiguresError::Launch(..)) if tries < HERD_TRIES => tries += 1,
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
        Ok(says_ready("herd", command, directory)?)
    }
}

fn write_lone_conf(directory: &TempDir, data: &Path, conf: HerdConf) -> std::io::Result<PathBuf> {
    let HerdConf { mode, workers, has_log, durability } = conf;
    let data = durability.map_or_else(String::new, |durability| {
        format!("[data]\ndir = '{}'\ndurability = \"{durability}\"\n", data.display())
    });
    let servers = format!("[[server]]\nname = \"{LONE}\"\nlisten = \"127.0.0.1:0\"\n");
    let rest = format!(
        "[pool]\nmode = \"{mode}\"\nworkers = {workers}\nmax_connections = 15000\n\
         {data}[log]\ntraffic = {has_log}\n"
    );
    write_conf(directory, &servers, &rest)
}

/// The log lies in the directory too, and takes little room there.
fn write_conf(directory: &TempDir, servers: &str, rest: &str) -> std::io::Result<PathBuf> {
    let path = directory.path().join("herd.toml");
    let logs = directory.path().join("logs");
    let text =
        format!("{servers}{rest}dir = '{}'\nmax_size = \"64MiB\"\nkeep = 1\n", logs.display());
    std::fs::write(&path, text)?;
    Ok(path)
}
