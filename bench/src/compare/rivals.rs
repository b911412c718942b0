//! Who is compared, and how each is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::CompareError;
use super::herd::Setup;

/// Threads of the fixed pool that is smaller than the number of connections.
pub(super) const SMALL_POOL: usize = 200;

/// The rival that the others' ratios are to.
pub(super) const REFERENCE: &str = "herd lots";

/// A server that is compared: the herd, a variant of it, or something else of about the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rival {
    pub(super) name: &'static str,
    /// What it is, for the report.
    pub(super) about: &'static str,
    pub(super) kind: Kind,
    /// `[pool] workers`, where it has a pool of threads.
    pub(super) pool: Pool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `[pool] mode`, and whether its neighbors are declared plain.
    Herd {
        mode: &'static str,
        has_plain_links: bool,
    },
    Tokio,
    Go,
    /// The words after the name.
    Java(&'static [&'static str]),
    Node,
    Asyncio(&'static [&'static str]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    /// As many threads as connections.
    AsConnections,
    Of(usize),
}

/// Where the programs are.
pub(super) struct Programs {
    /// `herd`.
    pub(super) herd: PathBuf,
    /// `herd-tokio`.
    tokio: PathBuf,
    /// `bench/variants`.
    variants: PathBuf,
}

const fn herd(name: &'static str, about: &'static str, mode: &'static str) -> Rival {
    let kind = Kind::Herd { mode, has_plain_links: false };
    Rival { name, about, kind, pool: Pool::AsConnections }
}

const fn variant(name: &'static str, about: &'static str, kind: Kind) -> Rival {
    Rival { name, about, kind, pool: Pool::AsConnections }
}

pub(super) const LOTS: Rival = herd(
    REFERENCE,
    "this project, mode `lots`: blocking code over readiness waiting, as many threads as cores",
    "lots",
);
pub(super) const PINNED: Rival = herd(
    "herd pinned",
    "this project, mode `pinned`: a thread a connection, as the report meant threads",
    "pinned",
);
/// Flooding as the variants do it: without digest sync.
pub(super) const LOTS_PLAIN: Rival = Rival {
    name: "herd plain links",
    about: "this project, mode `lots`, its neighbors declared plain: without digest sync, as the variants",
    kind: Kind::Herd { mode: "lots", has_plain_links: true },
    pool: Pool::AsConnections,
};
pub(super) const AS_REPORTED: Rival = variant(
    "asyncio as reported",
    "Python, asyncio, with the report's habits: one command a connection, a connection an update",
    Kind::Asyncio(&["--as-reported"]),
);

/// Everybody with the herd's whole protocol, in the order of the tables.
pub(super) const ALL: &[Rival] = &[
    LOTS,
    PINNED,
    LOTS_PLAIN,
    variant(
        "tokio",
        "Rust, tokio's multi-thread runtime, with this project's protocol and records",
        Kind::Tokio,
    ),
    variant("go", "Go, a goroutine a connection", Kind::Go),
    variant(
        "java pool",
        "Java 17, blocking sockets, a pool of as many threads as connections",
        Kind::Java(&[]),
    ),
    Rival {
        name: "java pool of 200",
        about: "the same with 200 threads",
        kind: Kind::Java(&[]),
        pool: Pool::Of(SMALL_POOL),
    },
    variant("java virtual", "Java 21, a virtual thread a connection", Kind::Java(&["--virtual"])),
    variant("node", "Node.js, `net`", Kind::Node),
    variant("uvloop", "Python, asyncio on uvloop", Kind::Asyncio(&["--uvloop"])),
    variant("asyncio", "Python, asyncio", Kind::Asyncio(&[])),
    AS_REPORTED,
];

impl Rival {
    /// True for those that close a connection after each reply, whatever the conf says.
    pub(super) fn is_one_shot(&self) -> bool {
        *self == AS_REPORTED
    }

    /// True for those that leave connections without replies once there are more than they have threads.
    pub(super) fn is_starving(&self) -> bool {
        self.pool != Pool::AsConnections
    }

    /// True for those that are slow at first.
    pub(super) fn has_just_in_time_compiler(&self) -> bool {
        matches!(self.kind, Kind::Java(_) | Kind::Node)
    }

    /// The lone server's command line, but for its name and conf.
    pub(super) fn command(&self, programs: &Programs, name: &str, conf: &Path) -> Command {
        let variant = |program: &str| Command::new(programs.variants.join(program));
        let node = || {
            let mut command = Command::new("node");
            command.arg(programs.variants.join("node"));
            command
        };
        let (mut command, words): (Command, &[&str]) = match self.kind {
            Kind::Herd { .. } => (Command::new(&programs.herd), &[]),
            Kind::Tokio => (Command::new(&programs.tokio), &[]),
            Kind::Go => (variant("go/run"), &[]),
            Kind::Java(words) => (variant("java/run"), words),
            Kind::Node => (node(), &[]),
            Kind::Asyncio(words) => (variant("asyncio/run"), words),
        };
        if let Kind::Herd { .. } = self.kind {
            command.arg("serve");
        }
        command.args([name, "--stop-on-eof"]).args(words).arg("--conf").arg(conf);
        command
    }

    /// `[pool]` of its conf.
    pub(super) fn pool(&self, setup: &Setup) -> String {
        /// For what is no client of the generator: neighbors, and those who look whether all is equal.
        const OTHERS: usize = 32;
        let mode = match self.kind {
            Kind::Herd { mode, .. } => mode,
            _ => "pinned",
        };
        let workers = match self.pool {
            Pool::AsConnections => setup.connections + OTHERS,
            Pool::Of(workers) => workers,
        };
        format!("[pool]\nmode = \"{mode}\"\nworkers = {workers}\nmax_connections = 15000\n")
    }
}

impl Programs {
    /// # Errors
    ///
    /// When the herd is not built.
    pub(super) fn find(herd: Option<&Path>, variants: Option<&Path>) -> Result<Self, CompareError> {
        let bench = std::env::current_exe().map_err(CompareError::Files)?;
        // Servers are started in directories of their own.
        let absolute = |path: PathBuf| std::path::absolute(path).map_err(CompareError::Files);
        let herd = absolute(herd.map_or_else(|| bench.with_file_name("herd"), Path::to_path_buf))?;
        if !herd.is_file() {
            return Err(CompareError::NoHerd(herd));
        }
        let beside_source = || Path::new(env!("CARGO_MANIFEST_DIR")).join("variants");
        let variants = absolute(variants.map_or_else(beside_source, Path::to_path_buf))?;
        if !variants.is_dir() {
            return Err(CompareError::NoVariants(variants));
        }
        Ok(Self { tokio: herd.with_file_name("herd-tokio"), herd, variants })
    }

    /// The Python that the variants run on: what `bench/variants/install` has set up, or else the one in PATH.
    pub(super) fn python(&self) -> PathBuf {
        let installed = self.variants.join("../../target/variants/python/bin/python");
        if installed.exists() { installed } else { "python3".into() }
    }

    pub(super) fn variants(&self) -> &Path {
        &self.variants
    }
}
