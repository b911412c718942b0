//! The figures that the README shows: every contender of a scenario in every round, in an order that
//! is drawn, each in a new process; medians over the rounds.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use crate::Exit;
use crate::cli::Figures;
use crate::launch::LaunchError;
use crate::load::LoadError;
use crate::machine;

mod contender;
mod crossing;
mod fixed_rate;
mod frozen;
mod geosearch;
mod growth;
mod loaded_herd;
mod relays;
mod report;
mod request_reply;
mod scenarios;
mod start;
mod whole_herd;

use contender::Programs;
use report::Sample;

/// What a contender did in one run, by name.
type Values = Vec<(&'static str, f64)>;

/// Several contenders at the same work.
struct Scenario {
    name: &'static str,
    /// What is measured, in a sentence.
    about: String,
    /// Whom the others are compared with.
    reference: Option<&'static str>,
    contenders: Vec<Contender>,
}

/// Starts a contender, puts the load on it, and ends it.
type Run = dyn Fn(&Bench) -> Result<Values, FiguresError>;

struct Contender {
    name: &'static str,
    run: Box<Run>,
}

/// What all samples share.
struct Bench {
    programs: Programs,
    seconds: Duration,
    seed: u64,
}

/// Why figures can't be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FiguresError {
    #[error("no scenario is named {0:?}; there are {1}")]
    Unknown(String, String),
    #[error("{}: no such program; build it: cargo build --release --workspace", .0.display())]
    NoHerd(PathBuf),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Client(#[from] herd::client::ClientError),
    #[error("{contender} gave wrong or too few replies:\n{table}")]
    NotClean { contender: &'static str, table: String },
    #[error("{0}")]
    NotSeen(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl FiguresError {
    /// The exit code of figures that end so.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unknown(..) | Self::NoHerd(_) => Exit::Usage,
            Self::NotClean { .. } => Exit::NotClean,
            _ => Exit::RunTime,
        }
    }
}

/// Takes the figures, prints the report, and writes it and the samples after every round, so that
/// nothing that was measured is lost when a sample fails or somebody ends the program.
///
/// # Errors
///
/// [`FiguresError`].
pub(crate) fn run(args: &Figures) -> Result<(), FiguresError> {
    let programs = Programs::find(args.herd.as_deref())?;
    let seed = args.seed.unwrap_or_else(clock_seed);
    eprintln!("seed {seed}");
    let scenarios = chosen(scenarios::all(&programs), args.only.as_deref())?;
    let heading = heading(args, seed, programs.missing());
    let bench = Bench { programs, seconds: args.seconds, seed };
    let out = args.out.clone().unwrap_or_else(|| default_out(&heading.date));
    std::fs::create_dir_all(&out)?;
    let write = |samples: &[Sample]| {
        let report = report::markdown(&heading, &scenarios, samples);
        std::fs::write(out.join("report.md"), &report)?;
        std::fs::write(out.join("raw.csv"), report::csv(samples))?;
        Ok::<_, FiguresError>(report)
    };
    let mut rng = Rng::with_seed(seed);
    let mut samples = Vec::new();
    for scenario in &scenarios {
        for round in 1..=args.rounds {
            take(&bench, scenario, round, &mut rng, &mut samples)?;
            write(&samples)?;
        }
    }
    crate::print(&write(&samples)?);
    eprintln!("written to {}", out.display());
    Ok(())
}

/// One sample of each contender, in an order that is drawn.
fn take(
    bench: &Bench,
    scenario: &Scenario,
    round: usize,
    rng: &mut Rng,
    samples: &mut Vec<Sample>,
) -> Result<(), FiguresError> {
    let mut order: Vec<_> = scenario.contenders.iter().collect();
    rng.shuffle(&mut order);
    for contender in order {
        eprintln!("{}, round {round}: {}", scenario.name, contender.name);
        let values = (contender.run)(bench)?;
        samples.push(Sample { scenario: scenario.name, contender: contender.name, round, values });
    }
    Ok(())
}

fn heading(args: &Figures, seed: u64, notes: Vec<String>) -> report::Heading {
    let command = std::env::args_os().skip(1);
    let command: Vec<_> = command.map(|word| word.to_string_lossy().into_owned()).collect();
    report::Heading {
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        command: format!("herd-bench {}", command.join(" ")),
        machine: machine::describe(),
        rounds: args.rounds,
        seed,
        notes,
    }
}

fn default_out(date: &str) -> PathBuf {
    Path::new("bench/results").join(format!("{}-local", &date[..10]))
}

fn chosen(all: Vec<Scenario>, only: Option<&str>) -> Result<Vec<Scenario>, FiguresError> {
    let Some(only) = only else { return Ok(all) };
    let wanted: Vec<_> = only.split(',').map(str::trim).collect();
    let names: Vec<_> = all.iter().map(|scenario| scenario.name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(name)) {
        return Err(FiguresError::Unknown((*unknown).to_string(), names.join(", ")));
    }
    Ok(all.into_iter().filter(|scenario| wanted.contains(&scenario.name)).collect())
}

fn clock_seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs()
}
