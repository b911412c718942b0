//! A herd of real servers whose links can be made to fail one by one: each server has a conf of its own,
//! in which its neighbors' links addresses are those of the wires to them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;
use tempfile::TempDir;

use super::holding::{Event, Pair, ServerId, Timeline};
use super::namespaces::Namespaces;
use super::plan::{Fault, NAMES, Shape};
use super::server::{Addresses, Server, StartError, Status, wipe};
use super::wire::{Condition, Wire};
use super::{FaultsError, Setting};

/// Below what systems give to those who ask for any port: nobody gets one of these by chance while the
/// server that it is meant for is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How often a herd is started before it is said that it can't be.
const START_TRIES: usize = 5;

/// Servers, and what joins them. All of it ends when this is dropped.
pub(super) struct Herd {
    pub(super) servers: Vec<Server>,
    pub(super) shape: Shape,
    pub(super) timeline: Timeline,
    net: Net,
    directory: TempDir,
}

/// What joins the servers.
enum Net {
    Wires(Vec<(ServerId, ServerId, Wire)>),
    Namespaces(Namespaces),
}

impl Herd {
    /// Draws a herd, starts it and waits until its servers listen.
    pub(super) fn start(setting: &Setting, rng: &mut Rng) -> Result<Self, FaultsError> {
        let mut tries = 1;
        loop {
            let mut herd = Self::draw(setting, rng)?;
            let started = herd.servers.iter_mut().try_for_each(Server::start);
            match started {
                Ok(()) => return Ok(herd),
                // Somebody else got one of the ports that were free.
                Err(StartError::CannotListen(_)) if tries < START_TRIES => tries += 1,
                Err(error) => {
                    return Err(FaultsError::Start { why: error.to_string(), kept: herd.keep() });
                }
            }
        }
    }

    fn draw(setting: &Setting, rng: &mut Rng) -> Result<Self, FaultsError> {
        let shape = Shape::draw(rng);
        let rest = conf_of_all(rng);
        let directory = tempfile::Builder::new().prefix("herd-faults-").tempdir()?;
        let key = directory.path().join("herd.key");
        if setting.has_key {
            make_key(&setting.herd, &key)?;
        }
        let ids = (0..NAMES.len()).map(ServerId);
        let (net, addresses) = if setting.has_namespaces {
            let namespaces = Namespaces::new(NAMES.len()).map_err(FaultsError::NoNamespaces)?;
            let at = |id, port| SocketAddr::new(namespaces.address(id), port);
            let addresses = ids.clone().map(|id| Addresses {
                listen: at(id, 12_000),
                links: at(id, 13_000),
                admin: at(id, 14_000),
            });
            let addresses: Vec<_> = addresses.collect();
            (Net::Namespaces(namespaces), addresses)
        } else {
            let addresses = free_addresses(rng)?;
            let mut wires = Vec::new();
            for Pair(a, b) in &shape.pairs {
                for (from, to) in [(*a, *b), (*b, *a)] {
                    wires.push((from, to, Wire::new(addresses[to.0].links, rng.u64(..))?));
                }
            }
            (Net::Wires(wires), addresses)
        };
        let servers = ids.map(|id| {
            let program = setting.herd.display().to_string();
            let mut words = match &net {
                Net::Namespaces(namespaces) => namespaces.runs_in(id),
                Net::Wires(_) => Vec::new(),
            };
            words.push(program);
            Server {
                name: NAMES[id.0].to_string(),
                addresses: addresses[id.0],
                conf: directory.path().join(format!("{}.toml", NAMES[id.0])),
                data: setting.durability.map(|_| directory.path().join("data").join(NAMES[id.0])),
                program: words,
                process: None,
            }
        });
        let timeline = Timeline::new(NAMES.len(), shape.pairs.clone(), setting.disk());
        let herd = Self { servers: servers.collect(), shape, timeline, net, directory };
        for at in 0..NAMES.len() {
            let text = herd.conf(ServerId(at), setting, &key, &rest);
            std::fs::write(&herd.servers[at].conf, text)?;
        }
        Ok(herd)
    }

    /// The conf file as that server has it.
    fn conf(&self, me: ServerId, setting: &Setting, key: &Path, rest: &str) -> String {
        let mut text = String::new();
        for (at, server) in self.servers.iter().enumerate() {
            let id = ServerId(at);
            let neighbors: Vec<_> = self
                .shape
                .pairs
                .iter()
                .filter(|pair| pair.0 == id)
                .map(|pair| NAMES[pair.1.0])
                .collect();
            let Addresses { listen, admin, links } = server.addresses;
            let links = self.wire(me, id).map_or(links, |wire| wire.address);
            let _ = writeln!(
                text,
                "[[server]]\nname = \"{}\"\nlisten = \"{listen}\"\nlinks = \"{links}\"\nadmin = \"{admin}\"\n\
                 neighbors = {neighbors:?}",
                server.name
            );
        }
        text.push_str("[admin]\nbeyond_loopback = true\n");
        if let Some(durability) = setting.durability {
            let data = self.directory.path().join("data");
            let _ =
                writeln!(text, "[data]\ndir = '{}'\ndurability = \"{durability}\"", data.display());
        }
        text.push_str(rest);
        if setting.has_key {
            let _ = writeln!(text, "key_file = '{}'", key.display());
        }
        let logs = self.directory.path().join("logs");
        let _ = writeln!(text, "[log]\ntraffic = false\ndir = '{}'", logs.display());
        text
    }

    fn wire(&self, from: ServerId, to: ServerId) -> Option<&Wire> {
        let Net::Wires(wires) = &self.net else { return None };
        wires.iter().find(|wire| (wire.0, wire.1) == (from, to)).map(|(_, _, wire)| wire)
    }

    /// Does it.
    pub(super) fn begin(&mut self, fault: &Fault) -> Result<(), String> {
        match fault {
            Fault::Kill(victims) => {
                for victim in victims {
                    self.timeline.note(Event::Killed(*victim));
                }
                // All are hit before one is waited for.
                victims.iter().for_each(|victim| self.servers[victim.0].signal(Signal::KILL));
                victims.iter().for_each(|victim| self.servers[victim.0].kill());
                Ok(())
            }
            Fault::Wipe(victim) => {
                self.timeline.note(Event::Killed(*victim));
                self.timeline.note(Event::Wiped(*victim));
                let server = &mut self.servers[victim.0];
                server.kill();
                let wiped = server.data.as_ref().map_or(Ok(()), |data| wipe(data));
                wiped.map_err(|error| {
                    format!("the data of {} can't be removed: {error}", server.name)
                })
            }
            Fault::Stop(victim) => {
                self.timeline.note(Event::Stopped(*victim));
                self.servers[victim.0].stop()
            }
            Fault::Freeze(victims) => {
                for victim in victims {
                    self.timeline.note(Event::Frozen(*victim));
                    self.servers[victim.0].signal(Signal::STOP);
                }
                Ok(())
            }
            Fault::Wire { .. } | Fault::Partition { .. } => {
                for (pair, condition) in self.struck(fault) {
                    self.timeline.note(Event::Broken(pair.into()));
                    self.set(pair, condition)?;
                }
                Ok(())
            }
        }
    }

    /// Mends it.
    pub(super) fn end(&mut self, fault: &Fault) -> Result<(), String> {
        match fault {
            Fault::Kill(victims) => victims.iter().try_for_each(|victim| self.start_again(*victim)),
            Fault::Wipe(victim) | Fault::Stop(victim) => self.start_again(*victim),
            Fault::Freeze(victims) => {
                for victim in victims {
                    self.servers[victim.0].signal(Signal::CONT);
                    self.timeline.note(Event::Thawed(*victim));
                }
                Ok(())
            }
            Fault::Wire { .. } | Fault::Partition { .. } => {
                for (pair, _) in self.struck(fault) {
                    self.set(pair, Condition::Whole)?;
                    self.timeline.note(Event::Whole(pair.into()));
                }
                Ok(())
            }
        }
    }

    fn start_again(&mut self, id: ServerId) -> Result<(), String> {
        self.servers[id.0].start_again().map_err(|error| error.to_string())?;
        self.timeline.note(Event::Started(id));
        Ok(())
    }

    /// The directions of links that a fault is about.
    fn struck(&self, fault: &Fault) -> Vec<(Direction, Condition)> {
        match fault {
            Fault::Wire { from, to, condition } => {
                vec![(Direction { from: *from, to: *to }, *condition)]
            }
            Fault::Partition { side, condition } => {
                let crosses = |pair: &&Pair| side.contains(&pair.0) != side.contains(&pair.1);
                let both = |pair: &Pair| {
                    [Direction { from: pair.0, to: pair.1 }, Direction { from: pair.1, to: pair.0 }]
                };
                let pairs = self.shape.pairs.iter().filter(crosses).flat_map(both);
                pairs.map(|direction| (direction, *condition)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn set(&self, Direction { from, to }: Direction, condition: Condition) -> Result<(), String> {
        match &self.net {
            Net::Wires(_) => {
                if let Some(wire) = self.wire(from, to) {
                    wire.set(condition);
                }
                Ok(())
            }
            Net::Namespaces(namespaces) => {
                let (forth, back) = match condition {
                    Condition::Swallowed { forth, back } => (forth, back),
                    _ => (false, false),
                };
                namespaces.drop_packets(from, to, forth)?;
                namespaces.drop_packets(to, from, back)
            }
        }
    }

    /// Who ended without being told to, or panicked.
    pub(super) fn casualty(&mut self) -> Option<String> {
        self.servers.iter_mut().find_map(|server| {
            if let Some(panic) = server.panic() {
                return Some(format!("{} panicked: {panic}", server.name));
            }
            let status = server.ended()?;
            Some(format!("{} ended by itself, with {status}", server.name))
        })
    }

    /// What each server says of itself, if all do.
    pub(super) fn statuses(&self) -> Option<Vec<Status>> {
        self.servers.iter().map(Server::status).collect()
    }

    /// Ends the servers, and leaves confs, logs and data where they are.
    pub(super) fn keep(mut self) -> PathBuf {
        self.servers.iter_mut().for_each(Server::kill);
        self.directory.disable_cleanup(true);
        self.directory.path().to_path_buf()
    }
}

/// From one neighbor to another.
#[derive(Clone, Copy, Debug)]
struct Direction {
    from: ServerId,
    to: ServerId,
}

impl From<Direction> for Pair {
    fn from(Direction { from, to }: Direction) -> Self {
        Self::new(from, to)
    }
}

/// What is drawn of the conf, the same for all: `[links]` is open at its end.
fn conf_of_all(rng: &mut Rng) -> String {
    let pool = match rng.u8(..5) {
        0 => "[pool]\nmode = \"pinned\"\nworkers = 32\n",
        _ => "",
    };
    let timeout = Duration::from_millis(rng.u64(500..2000));
    format!(
        "{pool}[links]\ntimeout = \"{}ms\"\nsync_interval = \"{}s\"\n",
        timeout.as_millis(),
        rng.u8(1..=3)
    )
}

/// Addresses on loopback that nobody listens on now.
fn free_addresses(rng: &mut Rng) -> Result<Vec<Addresses>, FaultsError> {
    // Not of the seed: several campaigns may run. All are held until all are known.
    let mut ports = Rng::with_seed(rng.u64(..) ^ u64::from(std::process::id()) << 32);
    let mut held = Vec::new();
    let mut one = || {
        for _ in 0..PORTS.len() {
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, ports.u16(PORTS))) {
                let address = listener.local_addr()?;
                held.push(listener);
                return Ok(address);
            }
        }
        Err(std::io::Error::other(format!("no port of {PORTS:?} is free")))
    };
    let mut all = Vec::new();
    for _ in NAMES {
        all.push(Addresses { listen: one()?, links: one()?, admin: one()? });
    }
    Ok(all)
}

fn make_key(herd: &Path, key: &Path) -> Result<(), FaultsError> {
    let output = Command::new(herd).arg("keygen").arg(key).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(FaultsError::NoKey(String::from_utf8_lossy(&output.stderr).trim().to_string()))
}
