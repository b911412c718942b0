//! The servers of one sample: one, or a herd of five in the seed's ring. They end when it is dropped.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::CompareError;
use super::rivals::{Kind, Programs, Rival};
use super::scale::Scale;
use crate::launch::{self, LaunchError, Running};
use crate::process::Pid;

/// The variable that holds what passes for an API key.
const KEY: &str = "HERD_BENCH_PLACES_KEY";

/// The name of a neighbor that somebody plays.
pub(super) const PLAYED: &str = "Check";

/// How often a herd is started before it is said that it can't be.
const TRIES: usize = 5;

/// Servers of a herd, as the seed has them.
pub(super) const SERVERS: usize = 5;

/// What a rival is set up for.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Of clients, at each server.
    pub(super) connections: usize,
    /// Replies after which a connection is closed.
    pub(super) commands_per_connection: Option<u64>,
    pub(super) has_log: bool,
    /// Where a places service is.
    pub(super) places: Option<String>,
    /// Where `Check`, a neighbor that somebody plays, is to be dialed.
    pub(super) played_neighbor: Option<String>,
}

/// A rival that runs.
pub(super) struct Herd<'a> {
    rival: Rival,
    programs: &'a Programs,
    servers: Vec<Option<Running>>,
    addresses: Vec<String>,
    directory: TempDir,
}

impl Setup {
    pub(super) fn of(connections: usize) -> Self {
        Self {
            connections,
            commands_per_connection: None,
            has_log: true,
            places: None,
            played_neighbor: None,
        }
    }
}

impl<'a> Herd<'a> {
    /// One server without neighbors.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(super) fn lone(
        rival: Rival,
        programs: &'a Programs,
        setup: &Setup,
    ) -> Result<Self, CompareError> {
        Self::try_start(rival, programs, setup, 1)
    }

    /// Five servers.
    ///
    /// # Errors
    ///
    /// When one of them does not start.
    pub(super) fn five(
        rival: Rival,
        programs: &'a Programs,
        setup: &Setup,
    ) -> Result<Self, CompareError> {
        let mut tries = 1;
        loop {
            match Self::try_start(rival, programs, setup, SERVERS) {
                // Somebody else may have got one of the ports that were free.
                Err(CompareError::Launch(_)) if tries < TRIES => tries += 1,
                herd => return herd,
            }
        }
    }

    fn try_start(
        rival: Rival,
        programs: &'a Programs,
        setup: &Setup,
        count: usize,
    ) -> Result<Self, CompareError> {
        let directory = tempfile::tempdir().map_err(CompareError::Files)?;
        let ports = launch::free_ports(2 * count).map_err(CompareError::Files)?;
        let address = |index: usize| format!("127.0.0.1:{}", ports[index]);
        for index in 0..count {
            let mut text = String::new();
            for other in 0..count {
                text.push_str(&server(rival, index, other, count, &address));
            }
            if let Some(address) = &setup.played_neighbor {
                let _ = write!(
                    text,
                    "[[server]]\nname = \"{PLAYED}\"\nlisten = \"{address}\"\nlink = \"plain\"\n\
                     neighbors = [\"{}\"]\n",
                    name(0)
                );
            }
            text.push_str(&rival.pool(setup));
            text.push_str(&rest(setup, &directory));
            std::fs::write(conf(&directory, index), text).map_err(CompareError::Files)?;
        }
        let addresses = (0..count).map(address).collect();
        let servers = (0..count).map(|_| None).collect();
        let mut herd = Self { rival, programs, servers, addresses, directory };
        (0..count).try_for_each(|index| herd.start(index))?;
        Ok(herd)
    }

    /// Starts one of the servers, with the conf and the address that it had before.
    pub(super) fn start(&mut self, index: usize) -> Result<(), CompareError> {
        let conf = conf(&self.directory, index);
        let mut command = self.rival.command(self.programs, &name(index), &conf);
        command.env(KEY, "not-a-key").current_dir(&self.directory);
        let running = launch::says_ready(self.rival.name, command, None)?;
        if running.address != self.addresses[index] {
            let what = format!("it listens on {} and not where its conf says", running.address);
            return Err(LaunchError::new(self.rival.name, what).into());
        }
        self.servers[index] = Some(running);
        Ok(())
    }

    pub(super) fn kill(&mut self, index: usize) {
        self.servers[index] = None;
    }

    /// How long it is to be given requests before it is measured: until a just-in-time compiler got to what a
    /// long-running server has, a request costs several times as much, and how long that takes depends on
    /// the requests and not on the clock. Zero without such a compiler.
    pub(super) fn compiling(&self, scale: &Scale) -> Duration {
        if self.rival.has_just_in_time_compiler() { scale.compiling } else { Duration::ZERO }
    }

    pub(super) fn address(&self, index: usize) -> &str {
        &self.addresses[index]
    }

    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The first server's process.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.servers[0].as_ref().map(Running::pid)
    }

    /// The logs of all servers, as far as they are written.
    pub(super) fn logs(&self) -> Vec<PathBuf> {
        (0..self.servers.len())
            .map(|index| self.directory.path().join(format!("logs/{}.log", name(index))))
            .collect()
    }
}

fn name(index: usize) -> String {
    format!("S{index}")
}

fn conf(directory: &TempDir, index: usize) -> PathBuf {
    directory.path().join(format!("{}.toml", name(index)))
}

/// The entry of server `other` in the conf of server `index`.
fn server(
    rival: Rival,
    index: usize,
    other: usize,
    count: usize,
    address: &dyn Fn(usize) -> String,
) -> String {
    let mut text =
        format!("[[server]]\nname = \"{}\"\nlisten = \"{}\"\n", name(other), address(other));
    let is_plain = matches!(rival.kind, Kind::Herd { has_plain_links: true, .. });
    if is_plain && other != index {
        text.push_str("link = \"plain\"\n");
    } else {
        let _ = writeln!(text, "links = \"{}\"", address(count + other));
    }
    if count > 1 {
        let _ = writeln!(text, "neighbors = [\"{}\"]", name((other + 1) % count));
    }
    text
}

fn rest(setup: &Setup, directory: &TempDir) -> String {
    let mut text = String::new();
    if let Some(count) = setup.commands_per_connection {
        let _ = writeln!(text, "[limits]\ncommands_per_connection = {count}");
    }
    if let Some(base_url) = &setup.places {
        let _ = write!(
            text,
            "[places]\nprovider = \"google-legacy\"\nbase_url = \"{base_url}\"\nkey_env = \"{KEY}\"\n\
             timeout = \"10s\"\nworkers = 1000\nqueue = 100000\nwhatsat_per_second = 1000000\n\
             whatsat_per_second_per_address = 1000000\n"
        );
    }
    let logs = directory.path().join("logs");
    let _ = write!(
        text,
        "[log]\ndir = '{}'\ntraffic = {}\nmax_size = \"64MiB\"\nkeep = 1\n",
        logs.display(),
        setup.has_log
    );
    text
}
