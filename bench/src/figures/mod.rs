//! The figures that the README shows: every contender of a scenario in every round, in an order that
//! is drawn, each in a new process; medians over the rounds.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fastrand::Rng;

use crate::Exit;
use crate::cli::Figures;
use crate::load::LoadError;

mod contender;
mod machine;
mod report;
mod scenarios;
mod spread;

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
    #[error("{0} did not start: {1}")]
    Start(&'static str, String),
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

/// Takes the figures, prints the report, and writes it and the samples.
///
/// # Errors
///
/// [`FiguresError`]; what was measured before is lost.
pub(crate) fn run(args: &Figures) -> Result<(), FiguresError> {
    let programs = Programs::find(args.herd.as_deref())?;
    let seed = args.seed.unwrap_or_else(clock_seed);
    let scenarios = chosen(scenarios::all(&programs), args.only.as_deref())?;
    let bench = Bench { programs, seconds: args.seconds, seed };
    let mut rng = Rng::with_seed(seed);
    let mut samples = Vec::new();
    for scenario in &scenarios {
        for round in 1..=args.rounds {
            let mut order: Vec<_> = scenario.contenders.iter().collect();
            rng.shuffle(&mut order);
            for contender in order {
                eprintln!("{}, round {round}: {}", scenario.name, contender.name);
                let values = (contender.run)(&bench)?;
                let (scenario, contender) = (scenario.name, contender.name);
                samples.push(Sample { scenario, contender, round, values });
            }
        }
    }
    let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let today = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let heading = report::Heading {
        date: today.clone(),
        command: format!("herd-bench {command}"),
        machine: machine::describe(),
        rounds: args.rounds,
        seed,
        notes: bench.programs.missing().map(|name| format!("{name}: not installed")).collect(),
    };
    let report = report::markdown(&heading, &scenarios, &samples);
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("bench/results").join(format!("{}-local", &today[..10])));
    std::fs::create_dir_all(&out)?;
    std::fs::write(out.join("report.md"), &report)?;
    std::fs::write(out.join("raw.csv"), report::csv(&samples))?;
    crate::print(&report);
    eprintln!("written to {}", out.display());
    Ok(())
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
