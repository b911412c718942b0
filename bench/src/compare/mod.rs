//! The comparison: everybody on the same work, so that the argument between threads and event loops is
//! settled by figures.
//!
//! Reading order: [`rivals`] (who), [`herd`] (how they are started), [`conformance`] (who may take part),
//! [`scenarios`] (what is done), [`measure`] (what one sample says), [`sample`] and [`histograms`] (what
//! is kept), [`statistics`] (what follows), [`report`] (what is shown).

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ::herd::client::ClientError;

use crate::Exit;
use crate::cli::Compare;
use crate::launch::{self, LaunchError};
use crate::load::LoadError;

mod bench;
mod conformance;
mod environment;
mod herd;
mod histograms;
mod measure;
mod progress;
mod report;
mod reporters;
mod rivals;
mod sample;
mod scale;
mod scenarios;
mod size;
mod standings;
mod statistics;

use bench::{Bench, Trial};
use histograms::Title;
use measure::Taken;
use progress::Progress;
use rivals::Programs;
use sample::{Sample, Samples, Verdict};
use scale::Scale;
use scenarios::Scenario;
use standings::Standings;

/// Why the comparison can't be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CompareError {
    #[error("{}: no such program; build it: cargo build --release --workspace", .0.display())]
    NoHerd(PathBuf),
    #[error("{}: no such directory; give that of the variants with --variants", .0.display())]
    NoVariants(PathBuf),
    #[error("no {what} is named {name:?}; there are {there}")]
    Unknown { what: &'static str, name: String, there: String },
    #[error("{0}")]
    Files(#[source] io::Error),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("a client failed: {0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    NotEqual(String),
    #[error("nothing says what memory the server takes: it needs Linux's /proc")]
    NoMemory,
    #[error("{wanted} cores are needed, and this process may use {there}")]
    TooFewCores { wanted: usize, there: usize },
}

impl CompareError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unknown { .. } => Exit::Usage,
            _ => Exit::RunTime,
        }
    }
}

/// Takes the samples that are not there yet, and writes the report after every scenario, so that nothing
/// that was measured is lost when somebody ends the program.
///
/// # Errors
///
/// [`CompareError`]. A rival that fails is no error: it is in the report.
pub(crate) fn run(args: &Compare) -> Result<(), CompareError> {
    let programs = Programs::find(args.herd.as_deref(), args.variants.as_deref())?;
    let chosen = chosen(args.parts.as_deref())?;
    let out = args.out.clone().unwrap_or_else(default_out);
    std::fs::create_dir_all(&out).map_err(CompareError::Files)?;
    let scale = Scale::of(args);
    let mut samples = Samples::load(out.join("raw.csv")).map_err(CompareError::Files)?;
    let mut standings = Standings::load(&out).map_err(CompareError::Files)?;
    let progress = Progress::new();
    let seed = args.seed.unwrap_or_else(clock_seed);
    if !args.report_only {
        standings.examine(args, &programs, &progress)?;
        standings.save(&out).map_err(CompareError::Files)?;
        environment::note(&out, args, &scale, &programs, seed).map_err(CompareError::Files)?;
        let present = standings.present(launch::references_missing);
        let bench = Bench { programs, scale: scale.clone(), seed, present };
        for scenario in &chosen {
            take(&bench, scenario, &mut samples, &out, &progress)?;
            report::write(&out, &scale, &samples, &standings, bench.programs.variants())
                .map_err(CompareError::Files)?;
        }
        progress.say(&format!("written to {}", out.display()));
        return Ok(());
    }
    report::write(&out, &scale, &samples, &standings, programs.variants())
        .map_err(CompareError::Files)
}

/// All samples of a scenario that are not there yet. Some follow from others, so there may be more once
/// those are there.
fn take(
    bench: &Bench,
    scenario: &Scenario,
    samples: &mut Samples,
    out: &Path,
    progress: &Progress,
) -> Result<(), CompareError> {
    loop {
        let plan = (scenario.plan)(bench, samples);
        let open: Vec<Trial> =
            plan.0.into_iter().filter(|trial| !samples.has(&trial.key)).collect();
        if open.is_empty() {
            return Ok(());
        }
        progress.begin(open.len());
        for trial in open {
            progress.next(&trial.key);
            // What clients are drawn follows from the printed seed.
            fastrand::seed(bench.seed ^ trial.key.round as u64);
            let taken = (trial.run)(bench).unwrap_or_else(|error| Taken::failed(&error));
            keep(&trial, taken, samples, out).map_err(CompareError::Files)?;
        }
        progress.end();
    }
}

fn keep(trial: &Trial, taken: Taken, samples: &mut Samples, out: &Path) -> io::Result<()> {
    let key = &trial.key;
    let directory = out.join("histograms");
    // What the generator's limits have shaped is merged with nothing.
    let counts = !matches!(taken.verdict, Verdict::ThrownOut(_));
    for (of, latencies, duration) in taken.histograms.iter().filter(|_| counts) {
        let title = Title { rival: &key.rival, setting: &key.setting, of };
        histograms::append(&directory, &key.scenario, &title, key.round, latencies, *duration)?;
    }
    samples.add(Sample { key: key.clone(), values: taken.values, verdict: taken.verdict })
}

fn chosen(parts: Option<&str>) -> Result<Vec<&'static Scenario>, CompareError> {
    let Some(parts) = parts else { return Ok(scenarios::ALL.iter().collect()) };
    let wanted: Vec<_> = parts.split(',').map(str::trim).collect();
    let all = scenarios::parts();
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        let there = all.join(", ");
        return Err(CompareError::Unknown { what: "part", name: (*unknown).into(), there });
    }
    Ok(scenarios::ALL.iter().filter(|scenario| wanted.contains(&scenario.part)).collect())
}

fn default_out() -> PathBuf {
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Path::new("bench/results").join(format!("{}-{host}", &date[..10]))
}

fn clock_seed() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
