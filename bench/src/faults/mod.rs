//! The fault campaign: real servers under the load of clients while they are killed, frozen and started
//! again, and their links cut, silenced and garbled. After each round all servers have to hold the same, and
//! every report that was answered, but for what the contract lets them lose.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;

use crate::Exit;
use crate::cli::{self, Durability};

mod clients;
mod herd;
mod holding;
mod namespaces;
mod oracle;
mod plan;
mod round;
mod server;
mod summary;
mod wire;

use clients::Clients;
use herd::Herd;
use holding::Disk;
use plan::Means;
use summary::Summary;

/// Rounds that a herd lives for; the next has another shape.
const ROUNDS_A_HERD: usize = 10;

/// `[data] interval`: the default, which no conf of the campaign changes.
const INTERVAL: Duration = Duration::from_secs(1);

/// What all rounds share.
struct Setting {
    herd: PathBuf,
    rounds: usize,
    seed: u64,
    /// `None`: nothing on disk.
    durability: Option<Durability>,
    has_key: bool,
    has_namespaces: bool,
    walkers: usize,
    within: Duration,
}

/// Why a campaign ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FaultsError {
    #[error("{}: no such program; build it: cargo build --release --workspace", .0.display())]
    NoHerd(PathBuf),
    #[error(
        "no network namespaces ({0}); run it as root where `ip netns` works, or without --netns"
    )]
    NoNamespaces(String),
    #[error("no key: {0}")]
    NoKey(String),
    #[error("{why}; confs and logs are in {}", .kept.display())]
    Start { why: String, kept: PathBuf },
    #[error(
        "round {round}: {why}\nto repeat it: herd-bench {repeat}\nconfs, logs and data are in {}",
        .kept.display()
    )]
    Failed { round: usize, why: String, repeat: String, kept: PathBuf },
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl FaultsError {
    /// The exit code of a campaign that ends so.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NoHerd(_) | Self::NoNamespaces(_) => Exit::Usage,
            Self::Failed { .. } => Exit::NotClean,
            _ => Exit::RunTime,
        }
    }
}

/// Why a round is over before its end.
enum Cut {
    Failed(String),
    Interrupted,
}

/// Set by SIGINT and SIGTERM.
#[derive(Clone)]
struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    fn register() -> io::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
        }
        Ok(Self(flag))
    }

    fn check(&self) -> Result<(), Cut> {
        if self.0.load(Ordering::SeqCst) { Err(Cut::Interrupted) } else { Ok(()) }
    }
}

/// Runs the campaign: a line for each round, and a summary, also when it ends early.
///
/// # Errors
///
/// [`FaultsError`]; [`FaultsError::Failed`] is what it looks for.
pub(crate) fn run(args: &cli::Faults) -> Result<(), FaultsError> {
    let setting = Setting::new(args)?;
    crate::print(&format!("seed {}{setting}", setting.seed));
    let mut summary = Summary::default();
    let outcome = all_rounds(&setting, &mut summary);
    crate::print(&summary.to_string());
    outcome
}

fn all_rounds(setting: &Setting, summary: &mut Summary) -> Result<(), FaultsError> {
    let interrupt = Interrupt::register()?;
    let mut done = 0;
    while done < setting.rounds {
        let rounds = ROUNDS_A_HERD.min(setting.rounds - done);
        let first =
            Rounds { first: done + 1, count: rounds, seed: setting.seed.wrapping_add(done as u64) };
        live(setting, &first, &interrupt, summary)?;
        done += rounds;
    }
    Ok(())
}

/// The rounds of one herd.
struct Rounds {
    /// Its number, from 1.
    first: usize,
    count: usize,
    /// Of the first round, and of the herd.
    seed: u64,
}

/// One herd from its start to its end.
fn live(
    setting: &Setting,
    rounds: &Rounds,
    interrupt: &Interrupt,
    summary: &mut Summary,
) -> Result<(), FaultsError> {
    let mut rng = Rng::with_seed(rounds.seed);
    let mut herd = Herd::start(setting, &mut rng)?;
    summary.herds += 1;
    let addresses =
        herd.servers.iter().map(|server| (server.name.clone(), server.addresses.listen));
    let clients = Clients::start(addresses.collect(), setting.walkers, rounds.seed)?;
    let can_watch = herd.statuses().is_some();
    crate::print(&format!(
        "herd: {}{}",
        herd.shape.name,
        if can_watch { "" } else { " (no /status: records are compared instead of digests)" }
    ));
    for at in 0..rounds.count {
        let seed = rounds.seed.wrapping_add(at as u64);
        let mut round =
            round::Round { setting, interrupt, herd: &mut herd, clients: &clients, can_watch };
        match round.run(seed) {
            Ok(done) => {
                crate::print(&format!("round {} seed {seed}: {done}", rounds.first + at));
                done.planned.iter().for_each(|one| summary.add_fault(one.fault.kind()));
                summary.add_round(done.counts, &done.losses, done.heal);
            }
            Err(Cut::Interrupted) => return Err(FaultsError::Interrupted),
            Err(Cut::Failed(why)) => {
                drop(clients);
                return Err(FaultsError::Failed {
                    round: rounds.first + at,
                    why,
                    repeat: format!("faults --rounds {} --seed {}{setting}", at + 1, rounds.seed),
                    kept: herd.keep(),
                });
            }
        }
    }
    Ok(())
}

impl Setting {
    fn new(args: &cli::Faults) -> Result<Self, FaultsError> {
        let herd = match &args.herd {
            Some(herd) => herd.clone(),
            None => std::env::current_exe()?.with_file_name("herd"),
        };
        if !herd.is_file() {
            return Err(FaultsError::NoHerd(herd));
        }
        let durability = args.durability.or(args.data.then_some(Durability::Interval));
        Ok(Self {
            // Servers may run in another directory.
            herd: herd.canonicalize()?,
            rounds: args.rounds,
            seed: args.seed.unwrap_or_else(clock_seed),
            durability,
            // Links beyond loopback need one.
            has_key: args.key || args.netns,
            has_namespaces: args.netns,
            walkers: args.clients,
            within: args.within,
        })
    }

    fn disk(&self) -> Disk {
        match self.durability {
            None => Disk::Absent,
            Some(Durability::None) => Disk::AtStop,
            Some(Durability::Interval) => Disk::After(INTERVAL),
            Some(Durability::Always) => Disk::AtReply,
        }
    }

    fn means(&self) -> Means {
        Means { disk: self.disk(), has_key: self.has_key, has_namespaces: self.has_namespaces }
    }
}

/// The options that a repetition needs.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(durability) = self.durability {
            write!(f, " --durability {durability}")?;
        }
        if self.has_namespaces {
            f.write_str(" --netns")?;
        } else if self.has_key {
            f.write_str(" --key")?;
        }
        write!(f, " --clients {} --within {}", self.walkers, self.within.as_secs_f64())
    }
}

fn clock_seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs()
}
