//! On what the figures were taken.

use std::fs;
use std::thread::available_parallelism;

/// Processor, cores, memory and kernel, as far as the system tells.
pub(crate) fn describe() -> String {
    let cores = available_parallelism().map_or(0, usize::from);
    let processor = value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into());
    let memory = value("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".into());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let system = std::env::consts::OS;
    format!("{cores} cores of {processor}, memory {memory}, {system} {}", kernel.trim())
}

/// The processor as exactly as the system tells: one name may stand for several generations.
pub(crate) fn processor() -> Option<String> {
    let part = |key| value("/proc/cpuinfo", key);
    let (name, family) = (part("model name")?, part("cpu family")?);
    Some(format!(
        "{name}, family {family}, model {}, stepping {}",
        part("model")?,
        part("stepping")?
    ))
}

/// Of a file of `KEY : VALUE` lines.
fn value(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    Some(pairs.find(|(name, _)| name.trim() == key)?.1.trim().to_string())
}
