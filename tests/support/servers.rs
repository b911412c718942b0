//! A herd of real servers, each `herd serve NAME` with a conf file: started, killed, frozen and
//! started again one by one.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use herd::admin::Status;
use herd::client::{Client, status};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::ports;
use crate::process::Process;
use crate::relay::Relay;

/// Longest wait for what has to come about. No test waits for it to pass.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The exit code of a server that cannot listen: someone else has its port.
const CANNOT_LISTEN: i32 = 3;

/// What a herd is to be.
pub(crate) struct Plan {
    edges: Vec<(String, String)>,
    others: Vec<Other>,
    late: Vec<String>,
    one_sided: bool,
    everywhere: bool,
    relays: Vec<Arc<Relay>>,
    conf: String,
    keys: Vec<(String, String)>,
    through: Vec<(String, String, SocketAddr)>,
    clocks: Vec<(String, PathBuf)>,
    differing: Vec<(String, String, String)>,
}

/// A neighbor that is no `herd serve`.
struct Other {
    name: String,
    kind: &'static str,
    addr: SocketAddr,
}

/// A herd of servers that run until it is dropped.
pub(crate) struct Herd {
    servers: Vec<Server>,
    // Dropped last: conf file and logs are in it.
    _directory: TempDir,
}

/// One server of a herd.
pub(crate) struct Server {
    pub(crate) name: String,
    /// Where clients connect.
    pub(crate) addr: SocketAddr,
    /// Where neighbors dial.
    pub(crate) links: SocketAddr,
    /// Where it is watched.
    pub(crate) admin: SocketAddr,
    neighbors: Vec<String>,
    process: Option<Process>,
    conf: PathBuf,
    keys: PathBuf,
    log: PathBuf,
    /// What its clock is set with, if it can be.
    faketime: Option<PathBuf>,
}

impl Plan {
    /// Servers with these links between them, each link listed on both sides.
    pub(crate) fn new(edges: &[(&str, &str)]) -> Self {
        Self {
            edges: edges.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            others: Vec::new(),
            late: Vec::new(),
            one_sided: false,
            everywhere: false,
            relays: Vec::new(),
            conf: String::new(),
            keys: Vec::new(),
            through: Vec::new(),
            clocks: Vec::new(),
            differing: Vec::new(),
        }
    }

    /// What the conf file says besides servers and log directory; `[log]` is open at its start.
    pub(crate) fn conf(mut self, conf: &str) -> Self {
        self.conf = conf.to_owned();
        self
    }

    /// Each link is listed on its first side only.
    pub(crate) fn listed_on_one_side(mut self) -> Self {
        self.one_sided = true;
        self
    }

    /// Clients are listened for on all addresses of this machine.
    pub(crate) fn listening_everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    /// The server that it is from dials the other one through the relay.
    pub(crate) fn relayed(mut self, relay: &Arc<Relay>) -> Self {
        self.relays.push(Arc::clone(relay));
        self
    }

    /// Does not start a server; a test starts it later or plays it itself.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.late.push(name.to_owned());
        self
    }

    /// A neighbor of another kind, which some link leads to.
    pub(crate) fn other(mut self, name: &str, kind: &'static str, addr: SocketAddr) -> Self {
        self.others.push(Other { name: name.to_owned(), kind, addr });
        self
    }

    /// What the key file of a server holds; one that is not named so has none. `[links]`, if the conf
    /// has it, comes last there.
    pub(crate) fn key(mut self, name: &str, keys: &str) -> Self {
        self.keys.push((name.to_owned(), keys.to_owned()));
        self
    }

    /// One server dials another at this address instead.
    pub(crate) fn through(mut self, from: &str, to: &str, addr: SocketAddr) -> Self {
        self.through.push((from.to_owned(), to.to_owned(), addr));
        self
    }

    /// In the conf file of that server, one text stands instead of another.
    pub(crate) fn but_in(mut self, name: &str, text: &str, instead: &str) -> Self {
        self.differing.push((name.to_owned(), text.to_owned(), instead.to_owned()));
        self
    }

    /// A server whose clock can be set ([`Server::set_clock`]), with this libfaketime.
    pub(crate) fn clock(mut self, name: &str, faketime: &Path) -> Self {
        self.clocks.push((name.to_owned(), faketime.to_owned()));
        self
    }

    /// Starts all of it and waits until the servers listen.
    pub(crate) fn start(&self) -> Herd {
        // Someone outside this process can take a port between its choice and its use.
        for _ in 0..5 {
            if let Some(herd) = self.try_start() {
                return herd;
            }
        }
        panic!("others take every port that is free");
    }

    fn try_start(&self) -> Option<Herd> {
        let directory = tempfile::tempdir().unwrap();
        let mut servers = self.servers(directory.path());
        for Server { name, conf, keys, .. } in &servers {
            std::fs::write(conf, self.text(name, directory.path(), &servers)).unwrap();
            if let Some((_, text)) = self.keys.iter().find(|(of, _)| of == name) {
                write_keys(keys, text);
            }
        }
        for relay in &self.relays {
            let to = servers.iter().find(|server| server.name == relay.to).unwrap();
            relay.leads_to(to.links);
        }
        for server in servers.iter_mut().filter(|server| !self.late.contains(&server.name)) {
            if server.faketime.is_some() {
                server.set_clock(0);
            }
            match server.run() {
                Ok(process) => server.process = Some(process),
                Err(Some(CANNOT_LISTEN)) => return None,
                Err(code) => panic!("`herd serve {}` ended with {code:?}", server.name),
            }
        }
        Some(Herd { servers, _directory: directory })
    }

    fn servers(&self, directory: &Path) -> Vec<Server> {
        let mut names: Vec<&String> = self.edges.iter().flat_map(|(a, b)| [a, b]).collect();
        names.sort();
        names.dedup();
        names.retain(|name| self.others.iter().all(|other| other.name != **name));
        let server = |name: &String| {
            // All are held until those of the whole herd are known.
            let held = [ports::listener(), ports::listener(), ports::listener()];
            let [addr, links, admin] =
                held.each_ref().map(|port: &TcpListener| port.local_addr().unwrap());
            let neighbor = |(a, b): &(String, String)| match name {
                name if a == name => Some(b.clone()),
                name if b == name => Some(a.clone()),
                _ => None,
            };
            let server = Server {
                neighbors: self.edges.iter().filter_map(neighbor).collect(),
                name: name.clone(),
                addr,
                links,
                admin,
                process: None,
                conf: directory.join(format!("{name}.toml")),
                keys: directory.join(format!("{name}.key")),
                log: directory.join(format!("{name}.log")),
                faketime: {
                    let mut clocks = self.clocks.iter();
                    clocks.find(|(of, _)| of == name).map(|(_, library)| library.clone())
                },
            };
            (server, held)
        };
        let (servers, _held): (Vec<_>, Vec<_>) = names.into_iter().map(server).unzip();
        servers
    }

    /// The conf file of one of the servers.
    fn text(&self, of: &str, directory: &Path, servers: &[Server]) -> String {
        let mut text = String::new();
        let mut server = |name: &str, addr: SocketAddr, rest: String| {
            let neighbors = self.listed_by(name);
            writeln!(
                text,
                "[[server]]\nname = \"{name}\"\nlisten = \"{addr}\"\nneighbors = {neighbors:?}\n{rest}"
            )
            .unwrap();
        };
        for Server { name, addr, links, admin, .. } in servers {
            let ip = if self.everywhere { Ipv4Addr::UNSPECIFIED.into() } else { addr.ip() };
            let listen = SocketAddr::new(ip, addr.port());
            let through = self.through.iter().find(|(from, to, _)| from == of && to == name);
            let relay = self.relays.iter().find(|it| it.from == of && it.to == *name);
            let links = through.map_or(*links, |(_, _, addr)| *addr);
            let links = relay.map_or(links, |relay| relay.addr);
            server(name, listen, format!("links = \"{links}\"\nadmin = \"{admin}\""));
        }
        for Other { name, kind, addr } in &self.others {
            server(name, *addr, format!("link = \"{kind}\""));
        }
        writeln!(text, "[log]\ndir = '{}'\n{}", directory.display(), self.conf).unwrap();
        if self.keys.iter().any(|(name, _)| name == of) {
            let section = if self.conf.contains("[links]") { "" } else { "[links]\n" };
            let path = directory.join(format!("{of}.key"));
            writeln!(text, "{section}key_file = '{}'", path.display()).unwrap();
        }
        for (_, from, to) in self.differing.iter().filter(|(name, ..)| name == of) {
            text = text.replace(from, to);
        }
        text
    }

    fn listed_by(&self, name: &str) -> Vec<&str> {
        let listed = self.edges.iter().filter_map(|(a, b)| match name {
            name if a == name => Some(b.as_str()),
            name if b == name && !self.one_sided => Some(a.as_str()),
            _ => None,
        });
        listed.collect()
    }
}

impl std::ops::Index<&str> for Herd {
    type Output = Server;

    #[track_caller]
    fn index(&self, name: &str) -> &Server {
        self.servers.iter().find(|server| server.name == name).unwrap()
    }
}

impl Herd {
    /// All servers, running or not, in the order of their names.
    pub(crate) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The conf file of the first server, in which all are.
    pub(crate) fn conf(&self) -> PathBuf {
        self.servers[0].conf.clone()
    }

    /// Starts a server that does not run.
    #[track_caller]
    pub(crate) fn start(&mut self, name: &str) {
        let server = self.server(name);
        assert!(server.process.is_none(), "{name} runs");
        let deadline = Instant::now() + LIMIT;
        server.process = loop {
            match server.run() {
                Ok(process) => break Some(process),
                // Someone outside this process has its port, and may leave it.
                Err(Some(CANNOT_LISTEN)) if Instant::now() < deadline => {}
                Err(code) => panic!("`herd serve {name}` ended with {code:?}"),
            }
        };
    }

    /// kill -9.
    #[track_caller]
    pub(crate) fn kill(&mut self, name: &str) {
        let mut process = self.server(name).process.take().unwrap();
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }

    /// SIGTERM, and how the server ended.
    #[track_caller]
    pub(crate) fn terminate(&mut self, name: &str) -> ExitStatus {
        self[name].signal(Signal::TERM);
        self.ended(name)
    }

    /// How a server that was told to stop ended.
    #[track_caller]
    pub(crate) fn ended(&mut self, name: &str) -> ExitStatus {
        let mut process = self.server(name).process.take().unwrap();
        let mut ended = None;
        eventually("a server ends after SIGTERM", || {
            ended = process.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }

    /// Waits until every link between servers that run has come up, both ways.
    #[track_caller]
    pub(crate) fn await_links(&self) {
        for server in self.running() {
            for neighbor in server.neighbors.iter().filter(|name| self.runs(name)) {
                server.logs(1, &[&format!("link {neighbor} up: ")]);
            }
        }
    }

    fn runs(&self, name: &str) -> bool {
        self.running().any(|server| server.name == name)
    }

    /// The AT line of a client once all servers that run say the same of it, and it is as wanted.
    #[track_caller]
    pub(crate) fn agree_on(&self, client: &str, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut said = Vec::new();
        let mut agreed = None;
        eventually_or("all servers say the same of a client", || {
            said = self.running().map(|server| server.at(client)).collect();
            agreed = said[0].clone().filter(|at| wanted(at));
            agreed.is_some() && said.iter().all(|at| *at == said[0])
        })
        .unwrap_or_else(|error| panic!("{error}: {client}: {}", shown(&said)));
        agreed.unwrap()
    }

    /// The AT lines of clients once all servers that run say the same of all of them.
    #[track_caller]
    pub(crate) fn agree_on_all(&self, clients: &[String]) -> Vec<Option<Vec<u8>>> {
        let mut said: Vec<Vec<_>> = Vec::new();
        eventually_or("all servers say the same of all clients", || {
            said = self.running().map(|server| server.ats(clients)).collect();
            said.iter().all(|ats| *ats == said[0])
        })
        .unwrap_or_else(|error| {
            let is_split = |at: &usize| said.iter().any(|ats| ats[*at] != said[0][*at]);
            let split: Vec<_> = (0..clients.len()).filter(is_split).collect();
            let of_first: Vec<_> = said.iter().map(|ats| ats[split[0]].clone()).collect();
            let names: Vec<_> = self.running().map(|server| &server.name).collect();
            panic!("{error}: {} are split, the first: {names:?}: {}", split.len(), shown(&of_first))
        });
        said.swap_remove(0)
    }

    fn running(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(|server| server.process.is_some())
    }

    #[track_caller]
    fn server(&mut self, name: &str) -> &mut Server {
        self.servers.iter_mut().find(|server| server.name == name).unwrap()
    }
}

impl Server {
    #[track_caller]
    fn run(&self) -> Result<Process, Option<i32>> {
        let Some(faketime) = &self.faketime else { return Process::start(&self.name, &self.conf) };
        let offset = self.clock_file();
        let variables: [(&str, &OsStr); 4] = [
            ("LD_PRELOAD", faketime.as_os_str()),
            ("FAKETIME_TIMESTAMP_FILE", offset.as_os_str()),
            ("FAKETIME_NO_CACHE", OsStr::new("1")),
            // Only the time of day is set on real machines too.
            ("FAKETIME_DONT_FAKE_MONOTONIC", OsStr::new("1")),
        ];
        Process::start_with(&self.name, &self.conf, &variables)
    }

    /// Sets its clock so many seconds after this machine's, or before it.
    #[track_caller]
    pub(crate) fn set_clock(&self, seconds: i64) {
        let new = self.clock_file().with_extension("new-clock");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(new, self.clock_file()).unwrap();
    }

    fn clock_file(&self) -> PathBuf {
        self.conf.with_extension("clock")
    }

    /// A connection as a client.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.addr, LIMIT).unwrap()
    }

    /// The AT line that it has of a client, with its LF.
    #[track_caller]
    pub(crate) fn at(&self, client: &str) -> Option<Vec<u8>> {
        self.ats(&[client.to_owned()]).remove(0)
    }

    /// The AT lines that it has of clients, byte for byte, and `None` where it knows nothing.
    #[track_caller]
    pub(crate) fn ats(&self, clients: &[String]) -> Vec<Option<Vec<u8>>> {
        let (mut sender, mut receiver) = self.client().split();
        std::thread::scope(|scope| {
            // Bound 0 asks nobody.
            let lines = clients.iter().map(|client| format!("WHATSAT {client} 0 0"));
            scope.spawn(move || {
                for line in lines {
                    sender.send(line).unwrap();
                }
                sender.finish().unwrap();
            });
            let mut ats = Vec::with_capacity(clients.len());
            while let Some(reply) = receiver.receive_raw().unwrap() {
                let bytes = reply.as_bytes();
                let line = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
                ats.push((!reply.is_invalid()).then(|| bytes[..line].to_vec()));
            }
            assert_eq!(ats.len(), clients.len());
            ats
        })
    }

    /// Reports a place, and gives the AT line, with its LF, of the answer.
    #[track_caller]
    pub(crate) fn report(&self, client: &str, location: &str, time: &str) -> Vec<u8> {
        let (mut sender, mut receiver) = self.client().split();
        sender.send(format!("IAMAT {client} {location} {time}")).unwrap();
        sender.finish().unwrap();
        let reply = receiver.receive_raw().unwrap().unwrap();
        assert!(!reply.is_invalid(), "{}", reply.as_bytes().escape_ascii());
        reply.as_bytes().to_vec()
    }

    /// What it tells whoever watches it.
    #[track_caller]
    pub(crate) fn status(&self) -> Status {
        status(&self.admin.to_string(), LIMIT).unwrap()
    }

    /// Writes its key file anew, at once for who reads it.
    pub(crate) fn set_keys(&self, text: &str) {
        write_keys(&self.keys, text);
    }

    /// Its key file.
    pub(crate) fn key_file(&self) -> &Path {
        &self.keys
    }

    /// Sends a signal to its process.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().unwrap();
        kill_process(Pid::from_child(&process.child), signal).unwrap();
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8(log).unwrap()
    }

    /// Waits until its log has a line that contains all of these, so many times.
    #[track_caller]
    pub(crate) fn logs(&self, times: usize, parts: &[&str]) {
        eventually_or("a server logs it", || self.logged(parts) >= times)
            .unwrap_or_else(|error| panic!("{error}: {parts:?} {times} times:\n{}", self.events()));
    }

    /// How many lines of its log contain all of these.
    pub(crate) fn logged(&self, parts: &[&str]) -> usize {
        let log = self.log();
        log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
    }

    /// The lines of its log about links.
    fn events(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains(" link")).collect();
        lines.join("\n")
    }
}

fn write_keys(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Waits until a condition holds, and panics when it does not within the limit.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_or(what, condition).unwrap_or_else(|error| panic!("{error}"));
}

fn eventually_or(what: &str, mut condition: impl FnMut() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        if Instant::now() >= deadline {
            return Err(format!("not within {LIMIT:?}: {what}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn shown(ats: &[Option<Vec<u8>>]) -> String {
    let shown = |at: &Option<Vec<u8>>| {
        at.as_ref()
            .map_or_else(|| "nothing".into(), |at| at.trim_ascii_end().escape_ascii().to_string())
    };
    ats.iter().map(shown).collect::<Vec<_>>().join(" | ")
}
