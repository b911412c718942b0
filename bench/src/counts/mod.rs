//! Instructions that micro-benchmarks take, counted by callgrind and held to a recorded baseline. Unlike times
//! they are the same from run to run, on a busy machine too, so that a check can name a rise of a few percent.
//!
//! Reading order: [`micro`] (what is counted), [`callgrind`] (how), [`setting`] (what else counts depend on),
//! [`baseline`] (what they are held to).

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::Exit;
use crate::cli::Counts;

mod baseline;
mod callgrind;
mod micro;
mod setting;

use baseline::{Baseline, Count, Finding};
use micro::BENCHMARKS;
use setting::Setting;

/// Records a new baseline.
const RECORD: &str = "cargo run --release -p herd-bench -- counts --record";

/// Where the baseline is, from the directory of this crate.
const BASELINE: &str = "results/instructions.csv";

/// Why nothing could be counted, or what came of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CountsError {
    #[error("no benchmark is named {0:?}; there are {1}")]
    Unknown(String, String),
    #[error(
        "counts are those of a release build; run: cargo run --release -p herd-bench -- counts"
    )]
    NotOptimized,
    #[error("no {0} is found here, and counts depend on it")]
    Unrecordable(&'static str),
    #[error("{}: {source}", .path.display())]
    Baseline { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: {text:?} is no header and no count; record it anew: {RECORD}", .path.display())]
    NotABaseline { path: PathBuf, line: usize, text: String },
    #[error("{}: no line \"# {name}: ...\" in it; record it anew: {RECORD}", .path.display())]
    NoHeader { path: PathBuf, name: &'static str },
    #[error("{benchmark} under valgrind: {why}")]
    Valgrind { benchmark: &'static str, why: String },
    #[error("instruction counts are not as recorded in {}:\n{findings}", .path.display())]
    NotAsRecorded { path: PathBuf, findings: String },
}

impl CountsError {
    /// The exit code of counts that end so.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unknown(..) | Self::NotOptimized => Exit::Usage,
            Self::NotAsRecorded { .. } => Exit::NotClean,
            _ => Exit::RunTime,
        }
    }
}

/// Counts, and compares with the baseline or records a new one; or runs one benchmark uncounted.
///
/// # Errors
///
/// [`CountsError`]; [`CountsError::NotAsRecorded`] is what it looks for.
pub(crate) fn run(args: &Counts) -> Result<(), CountsError> {
    if let Some(name) = &args.run {
        return run_one(name);
    }
    let path = args.baseline.clone().unwrap_or_else(default_baseline);
    let setting = Setting::of_this_machine();
    if args.record { record(&path, &setting) } else { compare(&path, &setting) }
}

fn default_baseline() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(BASELINE)
}

fn run_one(name: &str) -> Result<(), CountsError> {
    let Some(benchmark) = BENCHMARKS.iter().find(|benchmark| benchmark.name == name) else {
        let names: Vec<_> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        return Err(CountsError::Unknown(name.to_string(), names.join(", ")));
    };
    (benchmark.run)(benchmark.operations);
    Ok(())
}

fn record(path: &Path, setting: &Setting) -> Result<(), CountsError> {
    if let Some(unknown) = setting.unknown() {
        return Err(CountsError::Unrecordable(unknown));
    }
    let counts = count_all(|count| format!("{:<20} {:>10.1}", count.name, count.instructions))?;
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let text = baseline::text(&date, setting, &counts);
    std::fs::write(path, text)
        .map_err(|source| CountsError::Baseline { path: path.to_path_buf(), source })?;
    crate::print(&format!("recorded in {}", path.display()));
    Ok(())
}

fn compare(path: &Path, setting: &Setting) -> Result<(), CountsError> {
    let baseline = Baseline::read(path)?;
    if let Some(name) = setting.not_recorded(&baseline) {
        return Err(CountsError::NoHeader { path: path.to_path_buf(), name });
    }
    let differences = setting.differences(&baseline);
    if !differences.is_empty() {
        crate::print(&format!("instruction counts: skipped: {}", differences.join("; ")));
        return Ok(());
    }
    let counts = count_all(|count| baseline.row(count))?;
    let findings = baseline.findings(&counts);
    let (failures, news): (Vec<_>, Vec<_>) = findings.iter().partition(|one| one.is_failure());
    for finding in news {
        crate::print(&finding.to_string());
    }
    if failures.is_empty() {
        return Ok(());
    }
    let findings = failures.into_iter().map(Finding::to_string).collect::<Vec<_>>().join("\n");
    Err(CountsError::NotAsRecorded { path: path.to_path_buf(), findings })
}

/// Counts every benchmark, and prints a row as soon as one is done.
fn count_all(row: impl Fn(&Count) -> String) -> Result<Vec<Count>, CountsError> {
    if cfg!(debug_assertions) {
        return Err(CountsError::NotOptimized);
    }
    crate::print("instructions an operation");
    let count = |benchmark| {
        let count = callgrind::count(benchmark)?;
        crate::print(&row(&count));
        Ok(count)
    };
    BENCHMARKS.iter().map(count).collect()
}
