//! The herd binary as a server of its own, for tests.

mod process;

use std::net::SocketAddr;

use tempfile::TempDir;

use process::Process;

/// `herd serve`, running on a port of its own until it is dropped.
pub(crate) struct Serve {
    pub(crate) addr: SocketAddr,
    /// Dropped first: what is in the directory is its.
    _process: Process,
    /// Conf file and log; removed at the end.
    _directory: TempDir,
}

impl Serve {
    /// Starts a server of this name without neighbors, and waits until it listens. `conf` is what
    /// the conf file says besides its address and its log.
    pub(crate) fn start(name: &str, conf: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("herd.toml");
        let log = directory.path().join("logs");
        let text = format!(
            "[[server]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\n\
             [log]\ndir = '{}'\n{conf}",
            log.display()
        );
        std::fs::write(&path, text).unwrap();
        let process = Process::start(name, &path)
            .unwrap_or_else(|code| panic!("`herd serve {name}` ended with {code:?}"));
        Self { addr: process.addr, _process: process, _directory: directory }
    }
}
