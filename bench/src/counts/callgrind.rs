//! Runs one benchmark under valgrind's callgrind and reads what it counted.

use std::process::Command;

use super::CountsError;
use super::baseline::Count;
use super::micro::Benchmark;

/// Instructions an operation of the benchmark, which runs in a process of its own: this program again.
///
/// # Errors
///
/// [`CountsError::Valgrind`]
pub(super) fn count(benchmark: &Benchmark) -> Result<Count, CountsError> {
    let failed = |why: String| CountsError::Valgrind { benchmark: benchmark.name, why };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let directory = tempfile::tempdir().map_err(|error| failed(error.to_string()))?;
    let profile = directory.path().join("profile");
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--toggle-collect={}", benchmark.counted))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(["counts", "--run", benchmark.name])
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let profile = std::fs::read_to_string(&profile).map_err(|error| failed(error.to_string()))?;
    match total(&profile) {
        Some(0) | None => {
            Err(failed(format!("no function is {}, or it was inlined", benchmark.counted)))
        }
        Some(total) => Ok(Count::new(benchmark.name, total as f64 / benchmark.operations as f64)),
    }
}

/// Of callgrind's file, which ends with it.
fn total(profile: &str) -> Option<u64> {
    profile.lines().rev().find_map(|line| line.strip_prefix("totals: "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_that_of_the_last_lines() {
        let profile = "events: Ir\nsummary: 12\n\nfn=(1) main\n16 400\n\ntotals: 412\n";
        assert_eq!(total(profile), Some(412));
        assert_eq!(total("events: Ir\n"), None);
    }
}
