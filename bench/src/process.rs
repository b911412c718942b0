//! What a process uses, read from `/proc`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A process that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pid(pub(crate) u32);

/// CPU time of a process so far, user and system, read in two ways.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuTime {
    /// Of all its threads, also those that ended; in ticks, of 10 ms as a rule.
    ticks: Duration,
    /// Of the threads that live, to the nanosecond; zero if the kernel does not say.
    living: Duration,
}

impl CpuTime {
    /// What was used since `before`.
    pub(crate) fn since(self, before: Self) -> Duration {
        /// The ticks are cut at both ends.
        const CUT: Duration = Duration::from_millis(20);
        let ticks = self.ticks.saturating_sub(before.ticks);
        let living = self.living.saturating_sub(before.living);
        // When threads ended in between, the ticks know more.
        if living + CUT >= ticks { living } else { ticks }
    }
}

impl Pid {
    /// # Errors
    ///
    /// When there is no such process, or no `/proc`.
    pub(crate) fn cpu_time(self) -> io::Result<CpuTime> {
        let stat = self.read("stat")?;
        let ticks = cpu_ticks(&stat).ok_or_else(|| unreadable(self.path("stat")))?;
        let per_second = rustix::param::clock_ticks_per_second();
        let ticks = Duration::from_secs_f64(ticks as f64 / per_second as f64);
        let mut living = 0;
        for thread in fs::read_dir(self.path("task"))? {
            // A thread may end meanwhile.
            let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
            living += first_number(&text).unwrap_or(0);
        }
        Ok(CpuTime { ticks, living: Duration::from_nanos(living) })
    }

    /// Resident memory in bytes: of the process alone, so without what the kernel keeps for its
    /// sockets.
    ///
    /// # Errors
    ///
    /// When there is no such process, or no `/proc`.
    pub(crate) fn resident_bytes(self) -> io::Result<u64> {
        // It walks the pages; the counters in `status` lag behind by some dozens of them a core.
        let (text, key) = match self.read("smaps_rollup") {
            Ok(text) if text.contains("Rss:") => (text, "Rss:"),
            _ => (self.read("status")?, "VmRSS:"),
        };
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.and_then(first_number).ok_or_else(|| unreadable(self.path("status")))?;
        Ok(kib * 1024)
    }

    fn path(self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.0))
    }

    fn read(self, file: &str) -> io::Result<String> {
        let path = self.path(file);
        fs::read_to_string(&path)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
    }
}

/// Memory that the kernel holds for all processes, in bytes: its objects (sockets, descriptors), page
/// tables, stacks of threads, and what lies in the buffers of TCP.
///
/// # Errors
///
/// When there is no `/proc`.
pub(crate) fn kernel_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let held = ["Slab:", "PageTables:", "KernelStack:"].map(|key| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(first_number).unwrap_or(0) * 1024
    });
    let sockets = fs::read_to_string("/proc/net/sockstat")?;
    let tcp = sockets.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default();
    let pages = tcp.split_once(" mem ").and_then(|(_, rest)| first_number(rest)).unwrap_or(0);
    Ok(held.iter().sum::<u64>() + pages * rustix::param::page_size() as u64)
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// User and system time out of `/proc/PID/stat`: fields 14 and 15, counted behind the name in
/// brackets, which may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn first_number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

fn unreadable(path: PathBuf) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{}: cannot be understood", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_ticks_are_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_ticks(stat), Some(42));
    }

    #[test]
    fn threads_that_ended_count_by_ticks() {
        let at = |ticks, living| CpuTime {
            ticks: Duration::from_millis(ticks),
            living: Duration::from_millis(living),
        };
        assert_eq!(at(500, 507).since(at(100, 104)), Duration::from_millis(403));
        assert_eq!(at(500, 100).since(at(100, 104)), Duration::from_millis(400));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something() {
        let this = Pid(std::process::id());
        let before = this.cpu_time().unwrap();
        while this.cpu_time().unwrap().since(before).is_zero() {}
        assert!(this.resident_bytes().unwrap() > 100_000);
        assert!(thread_cpu_time() > Duration::ZERO);
        assert!(kernel_bytes().unwrap() > 1_000_000);
    }
}
