//! The log as a whole: on real files, and on one that stalls or fails when told to.

use std::fmt::Display;
use std::fs;
use std::time::Instant;

use crossbeam_channel::{Sender, unbounded};
use parking_lot::Mutex;

use super::writer::Failure;
use super::*;

const LONG: Duration = Duration::from_secs(20);

/// A directory for the log of a server called Ball.
pub(super) struct TestDir(tempfile::TempDir);

impl TestDir {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("Ball.log")
    }

    fn conf(&self) -> config::Log {
        config::Log {
            dir: self.0.path().to_owned(),
            level: LevelFilter::Info,
            traffic: true,
            max_size: 1 << 30,
            keep: 3,
        }
    }

    pub(super) fn open(&self, change: impl FnOnce(&mut config::Log)) -> (Log, LogThread) {
        let mut conf = self.conf();
        change(&mut conf);
        Log::open(&ball(), &conf).unwrap()
    }

    /// As `open`, with limits of the test's own and reports sent to a channel.
    fn open_with(&self, limits: Limits) -> (Log, LogThread, Receiver<String>) {
        let conf = self.conf();
        let file = LogFile::open(&ball(), &conf).unwrap();
        let (send, reports) = unbounded();
        let (log, thread) =
            Log::start("Ball", self.path(), &conf, limits, file, to_channel(send)).unwrap();
        (log, thread, reports)
    }

    /// Names of the files, sorted: rotated ones by age, and the current one first.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn ball() -> ServerName {
    ServerName::parse(b"Ball").unwrap()
}

/// A file whose every line is whole.
pub(super) fn whole(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text
}

fn to_channel(reports: Sender<String>) -> Report {
    Box::new(move |trouble: &dyn Display| {
        let _ = reports.send(trouble.to_string());
    })
}

/// Asks again and again, until it is so or `LONG` is over.
#[track_caller]
fn eventually(mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < until, "still not so");
        std::thread::yield_now();
    }
}

/// A file in memory that takes each write only when told to, and as told.
struct Gate {
    entered: Sender<()>,
    verdicts: Receiver<Verdict>,
    text: Arc<Mutex<Vec<u8>>>,
}

enum Verdict {
    Write,
    /// Fails after so many bytes.
    Fail(usize),
}

/// The test's side of a gate.
struct Keeper {
    entered: Receiver<()>,
    /// None of them once the gate stays open.
    verdicts: Option<Sender<Verdict>>,
    text: Arc<Mutex<Vec<u8>>>,
}

fn gate() -> (Gate, Keeper) {
    let (enter, entered) = unbounded();
    let (decide, verdicts) = unbounded();
    let text = Arc::new(Mutex::new(Vec::new()));
    let gate = Gate { entered: enter, verdicts, text: Arc::clone(&text) };
    (gate, Keeper { entered, verdicts: Some(decide), text })
}

impl Sink for Gate {
    fn write(&mut self, lines: &[u8]) -> Result<(), Failure> {
        let _ = self.entered.send(());
        let written = match self.verdicts.recv() {
            Ok(Verdict::Fail(written)) => written,
            // A keeper that is gone leaves the gate open.
            Ok(Verdict::Write) | Err(_) => lines.len(),
        };
        self.text.lock().extend_from_slice(&lines[..written]);
        if written == lines.len() {
            return Ok(());
        }
        Err(Failure { written, error: io::Error::from(io::ErrorKind::StorageFull) })
    }
}

impl Keeper {
    fn decide(&self, verdict: Verdict) {
        self.verdicts.as_ref().unwrap().send(verdict).unwrap();
    }

    /// From now on every write goes through.
    fn open(&mut self) {
        self.verdicts = None;
    }

    fn text(&self) -> String {
        String::from_utf8(self.text.lock().clone()).unwrap()
    }
}

/// Limits under which every line is written at once and nothing is tried again by itself.
fn prompt() -> Limits {
    let never = Duration::from_secs(3600);
    Limits { delay: Duration::ZERO, retry: never, notice: never, ..Limits::SERVER }
}

fn start(limits: Limits) -> (Log, LogThread, Keeper, Receiver<String>) {
    let (gate, keeper) = gate();
    let (send, reports) = unbounded();
    let conf = TestDir::new().conf();
    let path = PathBuf::from("Ball.log");
    let (log, thread) = Log::start("Ball", path, &conf, limits, gate, to_channel(send)).unwrap();
    (log, thread, keeper, reports)
}

/// The log with its thread held in the write of a line `first`.
fn stalled(limits: Limits) -> (Log, LogThread, Keeper, Receiver<String>) {
    let started = start(limits);
    started.0.traffic(b"first\n", 1);
    started.2.entered.recv().unwrap();
    started
}

#[test]
fn a_stalled_disk_stalls_nobody_and_costs_traffic_but_no_event() {
    let (log, thread, mut keeper, _) = stalled(Limits { capacity: 1000, ..prompt() });
    for _ in 0..500 {
        log.traffic(b"12345\n6789\n", 2);
    }
    for number in 0..10 {
        log.event(Level::Warn, format_args!("event {number}"));
    }
    assert_eq!(log.dropped(), 2 * (500 - 1000 / 11));
    keeper.open();
    thread.close(LONG).unwrap();

    let text = keeper.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 2 * (1000 / 11) + 10 + 1);
    assert_eq!(lines[..3], ["first", "12345", "6789"]);
    for number in 0..10 {
        assert!(lines[lines.len() - 11 + number].ends_with(&format!(" WARN  event {number}")));
    }
    let notice = lines.last().unwrap();
    assert!(notice.contains(" WARN  log dropped 820 traffic lines and 0 events"), "{notice}");
}

#[test]
fn dropped_lines_are_told_of_at_most_once_in_the_time_of_a_notice() {
    let (log, thread, mut keeper, _) = stalled(Limits { capacity: 10, ..prompt() });
    for _ in 0..3 {
        log.traffic(b"123456789\n", 1);
        log.traffic(b"dropped\n", 1);
        keeper.decide(Verdict::Write);
        keeper.entered.recv().unwrap();
    }
    keeper.open();
    thread.close(LONG).unwrap();

    let text = keeper.text();
    let notices: Vec<_> = text.lines().filter(|line| line.contains(" log dropped ")).collect();
    assert_eq!(notices.len(), 2, "{text}");
    assert!(notices[0].contains(" 1 traffic "), "{text}");
    assert!(notices[1].contains(" 2 traffic "), "{text}");
}

#[test]
fn a_notice_that_had_to_wait_comes_without_any_further_line() {
    let notice = Duration::from_millis(200);
    let (log, thread, keeper, _) = stalled(Limits { capacity: 10, notice, ..prompt() });
    for _ in 0..2 {
        log.traffic(b"123456789\n", 1);
        log.traffic(b"dropped\n", 1);
        keeper.decide(Verdict::Write);
        keeper.entered.recv().unwrap();
    }
    keeper.decide(Verdict::Write);
    keeper.decide(Verdict::Write);
    let notices = || keeper.text().matches(" log dropped 1 traffic ").count();
    eventually(|| notices() == 2);
    thread.close(LONG).unwrap();
}

#[test]
fn a_failed_write_goes_on_where_it_failed_and_is_reported_once() {
    let (log, thread, keeper, reports) = start(Limits { retry: Duration::ZERO, ..prompt() });
    log.traffic(b"one\ntwo\nthree\n", 3);
    keeper.decide(Verdict::Fail(4));
    keeper.decide(Verdict::Fail(0));
    keeper.decide(Verdict::Fail(4));
    keeper.decide(Verdict::Write);
    eventually(|| keeper.text() == "one\ntwo\nthree\n");
    drop(keeper);
    thread.close(LONG).unwrap();
    assert_eq!(reports.iter().count(), 1);
}

#[test]
fn a_close_tries_a_failing_disk_once_more_and_counts_what_it_lost() {
    let (log, thread, keeper, reports) = stalled(prompt());
    keeper.decide(Verdict::Fail(0));
    assert!(reports.recv().unwrap().contains("no storage space"));
    log.traffic(b"two\nthree\n", 2);
    for _ in 0..3 {
        keeper.decide(Verdict::Fail(0));
    }
    let lost = thread.close(LONG).unwrap_err();
    assert!(matches!(lost, LogError::Lost { lines: 3, .. }), "{lost}");
}

#[test]
fn a_close_does_not_wait_for_a_stalled_disk_beyond_its_limit() {
    let (_, thread, keeper, _) = stalled(prompt());
    let slow = thread.close(Duration::ZERO).unwrap_err();
    assert!(matches!(slow, LogError::Slow { .. }), "{slow}");
    drop(keeper);
}

#[test]
fn a_level_switches_off_what_is_below_it_and_traffic_has_a_switch_of_its_own() {
    let dir = TestDir::new();
    let (log, thread) = dir.open(|conf| conf.traffic = false);
    assert!(!log.wants_traffic() && !log.wants_debug() && log.wants(Level::Info));
    log.traffic(b"exchange\n", 1);
    log.event(Level::Info, format_args!("connection opened"));
    log.event(Level::Debug, format_args!("detail"));
    thread.close(LONG).unwrap();
    let text = whole(&dir.path());
    assert!(text.ends_with(" INFO  connection opened\n"), "{text}");
    assert_eq!(text.lines().count(), 1);
    assert_eq!(log.dropped(), 0);

    let (log, thread) = dir.open(|conf| conf.level = LevelFilter::Warn);
    assert!(!log.wants_traffic(), "traffic is info");
    thread.close(LONG).unwrap();
}

#[test]
fn nothing_is_lost_at_a_close_and_each_thread_keeps_its_order() {
    let dir = TestDir::new();
    let (log, thread) = dir.open(|_| {});
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let log = log.clone();
            scope.spawn(move || {
                for turn in 0..500 {
                    log.traffic(format!("{worker} {turn} a\n{worker} {turn} b\n").as_bytes(), 2);
                }
            });
        }
    });
    thread.close(LONG).unwrap();
    let text = whole(&dir.path());
    for worker in 0..4 {
        let start = format!("{worker} ");
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with(&start)).collect();
        let both = |turn| [format!("{worker} {turn} a"), format!("{worker} {turn} b")];
        assert_eq!(lines, (0..500).flat_map(both).collect::<Vec<_>>());
    }
    assert_eq!(log.dropped(), 0);
}

#[test]
fn lines_reach_the_file_without_a_close() {
    let dir = TestDir::new();
    let (log, thread) = dir.open(|_| {});
    log.traffic(b"soon\n", 1);
    eventually(|| whole(&dir.path()) == "soon\n");
    thread.close(LONG).unwrap();
}

#[test]
fn a_log_thread_that_is_dropped_writes_what_waits() {
    let dir = TestDir::new();
    let (log, thread) = dir.open(|_| {});
    log.traffic(b"last\n", 1);
    drop(thread);
    assert_eq!(whole(&dir.path()), "last\n");
    log.traffic(b"late\n", 1);
    assert_eq!(log.dropped(), 1);
}

#[test]
fn a_missing_directory_is_made_and_a_second_start_appends() {
    let dir = TestDir::new();
    let deep = dir.0.path().join("a/b");
    for line in ["one\n", "two\n"] {
        let (log, thread) = dir.open(|conf| conf.dir.clone_from(&deep));
        log.traffic(line.as_bytes(), 1);
        thread.close(LONG).unwrap();
    }
    assert_eq!(whole(&deep.join("Ball.log")), "one\ntwo\n");
}

#[test]
fn a_line_that_a_crash_cut_is_ended_before_the_next_begins() {
    let dir = TestDir::new();
    fs::write(dir.path(), "whole\nhal").unwrap();
    let (log, thread) = dir.open(|_| {});
    log.traffic(b"next\n", 1);
    thread.close(LONG).unwrap();
    assert_eq!(whole(&dir.path()), "whole\nhal (cut short)\nnext\n");
}

#[test]
fn files_are_rotated_by_size_between_lines_and_only_the_newest_are_kept() {
    let dir = TestDir::new();
    // A file that a start finds counts as well.
    fs::write(dir.path(), "0".repeat(94) + "\n").unwrap();
    let (log, thread) = dir.open(|conf| {
        conf.max_size = 100;
        conf.keep = 2;
    });
    // 16 lines of 30 bytes, three in a file.
    let lines: String = (10..26).map(|number| format!("{number}{}\n", "x".repeat(27))).collect();
    log.traffic(lines.as_bytes(), 16);
    thread.close(LONG).unwrap();

    let files = dir.files();
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!(files[0], "Ball.log");
    assert!(files[1].starts_with("Ball_r20"), "{files:?}");
    let in_time: String =
        [&files[1], &files[2], &files[0]].map(|name| whole(&dir.0.path().join(name))).concat();
    assert_eq!(in_time, lines[9 * 30..], "{files:?}");
    assert_eq!(whole(&dir.path()).len(), 30);
}

#[test]
fn a_line_longer_than_a_file_may_be_is_written_whole() {
    let dir = TestDir::new();
    let (log, thread) = dir.open(|conf| conf.max_size = 10);
    let long = "y".repeat(100);
    log.traffic(format!("short\n{long}\nshort\n").as_bytes(), 3);
    thread.close(LONG).unwrap();
    let files = dir.files();
    assert_eq!(files.len(), 3, "{files:?}");
    assert_eq!(whole(&dir.0.path().join(&files[2])), format!("{long}\n"));
}

#[test]
fn a_server_whose_name_begins_with_anothers_keeps_its_files() {
    let dir = TestDir::new();
    let other = dir.0.path().join("Ball.two_r2020-01-01_00-00-00.log");
    fs::write(&other, "theirs\n").unwrap();
    let (log, thread) = dir.open(|conf| {
        conf.max_size = 10;
        conf.keep = 1;
    });
    log.traffic(b"1234567\n1234567\n1234567\n1234567\n", 4);
    thread.close(LONG).unwrap();
    assert_eq!(whole(&other), "theirs\n");
    assert_eq!(dir.files().len(), 3);
}

#[test]
fn a_file_that_is_moved_away_is_begun_again() {
    let dir = TestDir::new();
    let (log, thread) = dir.open(|_| {});
    log.traffic(b"before\n", 1);
    eventually(|| whole(&dir.path()) == "before\n");
    let moved = dir.0.path().join("moved");
    fs::rename(dir.path(), &moved).unwrap();
    log.traffic(b"after\n", 1);
    thread.close(LONG).unwrap();
    assert_eq!(whole(&moved), "before\n");
    assert_eq!(whole(&dir.path()), "after\n");
}

#[test]
fn a_directory_that_is_removed_is_made_again() {
    let dir = TestDir::new();
    let deep = dir.0.path().join("logs");
    let (log, thread) = dir.open(|conf| conf.dir.clone_from(&deep));
    fs::remove_dir_all(&deep).unwrap();
    log.traffic(b"after\n", 1);
    thread.close(LONG).unwrap();
    assert_eq!(whole(&deep.join("Ball.log")), "after\n");
}

#[test]
fn a_file_that_cannot_be_opened_is_named_with_a_remedy() {
    let dir = TestDir::new();
    let not_a_directory = dir.0.path().join("file");
    fs::write(&not_a_directory, "").unwrap();
    let mut conf = dir.conf();
    conf.dir = not_a_directory.join("logs");
    let refused = Log::open(&ball(), &conf).unwrap_err();
    assert!(matches!(refused, LogError::Directory { .. }));
    let text = refused.to_string();
    assert!(text.contains("file/logs") && text.contains("`dir` under [log]"), "{text}");

    fs::create_dir(dir.path()).unwrap();
    let refused = Log::open(&ball(), &dir.conf()).unwrap_err();
    assert!(matches!(refused, LogError::File { .. }));
    let text = refused.to_string();
    assert!(text.contains("Ball.log") && text.contains("`dir` under [log]"), "{text}");
}

/// `/dev/full` can be opened, and refuses every byte as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_and_writing_resumes_when_there_is_room() {
    let dir = TestDir::new();
    std::os::unix::fs::symlink("/dev/full", dir.path()).unwrap();
    let retry = Duration::from_millis(1);
    let (log, thread, reports) = dir.open_with(Limits { retry, ..prompt() });
    log.traffic(b"kept\n", 1);
    assert!(reports.recv().unwrap().contains("No space left on device"));
    log.traffic(b"kept too\n", 1);
    fs::remove_file(dir.path()).unwrap();
    eventually(|| dir.path().exists() && whole(&dir.path()) == "kept\nkept too\n");
    thread.close(LONG).unwrap();
    assert_eq!(reports.iter().count(), 0, "once a minute");
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_stays_full_costs_the_lines_and_says_how_many() {
    let dir = TestDir::new();
    std::os::unix::fs::symlink("/dev/full", dir.path()).unwrap();
    let (log, thread, reports) = dir.open_with(prompt());
    log.traffic(b"one\ntwo\n", 2);
    let lost = thread.close(LONG).unwrap_err().to_string();
    assert_eq!(reports.iter().count(), 1);
    assert!(lost.contains("Ball.log lacks its last 2 lines: No space left"), "{lost}");
}
