//! A server in the process of the test, through the library.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use herd::config::Config;
use herd::counters::Counters;
use herd::protocol::ServerName;
use herd::server::{Server, ServerHandle};
use tempfile::TempDir;

/// Its name.
pub(crate) const NAME: &str = "Ball";

/// A server that is stopped when this is dropped.
pub(crate) struct Embedded {
    handle: Option<ServerHandle>,
    pub(crate) address: SocketAddr,
    /// Where it is watched: if the sections begin with an `admin` of the server.
    pub(crate) admin: Option<SocketAddr>,
    directory: TempDir,
}

/// `[pool] mode`
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Lots,
    Pinned,
}

pub(crate) const MODES: [Mode; 2] = [Mode::Lots, Mode::Pinned];

/// Checks each mode, at the same time: much of the time goes by waiting.
pub(crate) fn in_each_mode(check: impl Fn(Mode) + Sync) {
    std::thread::scope(|scope| {
        let check = &check;
        for mode in MODES {
            scope.spawn(move || check(mode));
        }
    });
}

impl Mode {
    /// `[pool]` of this mode, with further keys of it.
    pub(crate) fn pool(self, keys: &str) -> String {
        match self {
            Self::Lots => format!("[pool]\nmode = \"lots\"\n{keys}\n"),
            Self::Pinned => format!("[pool]\nmode = \"pinned\"\nworkers = 24\n{keys}\n"),
        }
    }
}

/// A conf of one server without neighbors that logs to this directory. `conf` holds the sections
/// but `[log]`, of which it holds the further keys, in `log`.
pub(crate) fn conf(directory: &Path, conf: &str, log: &str) -> String {
    let logs = directory.join("logs");
    format!(
        "[[server]]\nname = \"{NAME}\"\nlisten = \"127.0.0.1:0\"\n{conf}\n[log]\ndir = '{}'\n{log}\n",
        logs.display()
    )
}

impl Embedded {
    /// Starts a server with these sections of a conf file.
    #[track_caller]
    pub(crate) fn start(sections: &str) -> Self {
        Self::start_logging(sections, "")
    }

    /// As [`Embedded::start`], with keys of `[log]`.
    #[track_caller]
    pub(crate) fn start_logging(sections: &str, log: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), sections, log)
    }

    /// As [`Embedded::start_logging`], with `logs/Ball.log` in a directory of the caller.
    #[track_caller]
    pub(crate) fn start_in(directory: TempDir, sections: &str, log: &str) -> Self {
        Self::start_with(conf(directory.path(), sections, log), directory)
    }

    /// As [`Embedded::start`], listening on all addresses of this machine; the address given is that
    /// of loopback.
    #[track_caller]
    pub(crate) fn start_everywhere(sections: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = conf(directory.path(), sections, "").replace("\"127.0.0.1:0\"", "\"0.0.0.0:0\"");
        let mut server = Self::start_with(text, directory);
        server.address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        server
    }

    #[track_caller]
    fn start_with(text: String, directory: TempDir) -> Self {
        let config = Config::parse(Path::new("herd.toml"), &text).unwrap();
        let name = ServerName::parse(NAME.as_bytes()).unwrap();
        let server = Server::bind(&config, &name).unwrap();
        let (address, admin) = (server.address(), server.admin_address());
        let handle = Some(server.start(&config).unwrap());
        Self { handle, address, admin, directory }
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.directory.path().join("logs").join(format!("{NAME}.log"))
    }

    /// What the log file holds now.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap()
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.handle.as_ref().unwrap().counters()
    }

    /// Stops the server, and returns the whole of its log.
    pub(crate) fn stop(mut self) -> String {
        self.handle.take().unwrap().stop();
        self.log()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop();
        }
    }
}
