//! The log of one server: traffic and events, written in batches by a thread of its own.
//!
//! Lines go into one bounded buffer in memory, in the order in which they are handed over, and the
//! log's thread writes them to `dir/NAME.log`. Nobody who logs ever waits for the disk: without
//! room traffic is dropped and counted, and the log says how much.
//!
//! Measured (145-byte lines, 2 producers, 2 cores, CPU a line and most lines a second):
//! flexi_logger writing directly 1,450 ns, 0.35 million; asynchronously 1,700 ns, 0.28 million;
//! buffered 270 ns, 1.9 million, but who logs waits for the disk; this log 230 ns at 0.33 million,
//! 110 ns at 3 million, of which who logs pays 60.

mod backlog;
mod file;
mod global;
mod line;
mod seldom;
mod writer;

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use flexi_logger::FlexiLoggerError;

use self::backlog::{Backlog, Limits};
use self::file::LogFile;
use self::writer::{Lost, Report, Sink, Writer};
use crate::protocol::ServerName;
use crate::{config, threads};

pub use self::global::{GlobalLog, set_global};
pub use self::line::{Clock, Escaped, Stamp, escape_into};
pub use self::seldom::Seldom;
pub use ::log::{Level, LevelFilter};

/// How long a [`LogThread`] that is dropped without [`LogThread::close`] may take to write what
/// waits.
const DROP_LIMIT: Duration = Duration::from_secs(1);

/// Where a server logs. Cloned for whoever logs; the file is written while its [`LogThread`]
/// lives.
#[derive(Clone, Debug)]
pub struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backlog: Arc<Backlog>,
    path: PathBuf,
    level: LevelFilter,
    traffic: bool,
}

/// The thread that writes the log. Dropped, it closes the log too, but has no time for a slow disk
/// and nobody to tell of lost lines.
#[derive(Debug)]
#[must_use = "dropped, it closes the log"]
pub struct LogThread {
    log: Log,
    thread: Option<JoinHandle<()>>,
    outcome: Receiver<Option<Lost>>,
}

/// Why the log of a server can't be opened, or is not whole.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The directory is not there and can't be made.
    #[error(
        "cannot make the log directory {}: {source}; name one that can be made and written as `dir` \
         under [log]", path.display()
    )]
    Directory {
        /// As in the conf.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file can't be opened for writing.
    #[error(
        "cannot open the log file {}: {source}; make it writable, or name another directory as \
         `dir` under [log]", path.display()
    )]
    File {
        /// `dir/NAME.log`
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no thread to be had.
    #[error("cannot start the thread of the log: {0}")]
    Thread(io::Error),
    /// This process has a log for its libraries already.
    #[error("cannot take what libraries log: {0}")]
    Global(#[from] FlexiLoggerError),
    /// The disk took too long for what waited at the close; it may still be writing.
    #[error("the log file {} took more than {limit:?} to be written: its end may be missing", path.display())]
    Slow {
        /// `dir/NAME.log`
        path: PathBuf,
        /// What `close` was given.
        limit: Duration,
    },
    /// The disk failed to the end.
    #[error("the log file {} lacks its last {lines} lines: {source}", path.display())]
    Lost {
        /// `dir/NAME.log`
        path: PathBuf,
        /// Lines that were waiting and are nowhere now.
        lines: u64,
        /// What the operating system said last.
        source: io::Error,
    },
}

impl Log {
    /// Opens `dir/NAME.log` for appending, makes the directory if it is missing, and starts the
    /// thread that writes. Several servers in one process have a log each.
    ///
    /// # Errors
    ///
    /// [`LogError::Directory`], [`LogError::File`] and [`LogError::Thread`].
    pub fn open(name: &ServerName, conf: &config::Log) -> Result<(Self, LogThread), LogError> {
        let file = LogFile::open(name, conf)?;
        let path = conf.dir.join(format!("{name}.log"));
        let report = to_stderr(path.clone());
        Self::start(name.as_str(), path, conf, Limits::SERVER, file, report)
    }

    fn start(
        name: &str,
        path: PathBuf,
        conf: &config::Log,
        limits: Limits,
        sink: impl Sink + 'static,
        report: Report,
    ) -> Result<(Self, LogThread), LogError> {
        let backlog = Arc::new(Backlog::new(limits));
        let writer = Writer::new(Arc::clone(&backlog), limits, sink, report);
        let shared = Shared { backlog, path, level: conf.level, traffic: conf.traffic };
        let log = Self(Arc::new(shared));
        let (ended, outcome) = bounded(1);
        let run = move || {
            // Nobody listens any more if `close` ran out of time.
            let _ = ended.send(writer.run());
        };
        let thread = threads::spawn("log", name, run).map_err(LogError::Thread)?;
        Ok((log.clone(), LogThread { log, thread: Some(thread), outcome }))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The least level that is logged.
    pub fn level(&self) -> LevelFilter {
        self.0.level
    }

    /// True if a line for each exchange and update is wanted; else it need not be formatted.
    pub fn wants_traffic(&self) -> bool {
        self.0.traffic && self.wants(Level::Info)
    }

    /// True if long forms are wanted, such as places JSON as a whole.
    pub fn wants_debug(&self) -> bool {
        self.wants(Level::Debug)
    }

    /// True if events of this level are logged.
    pub fn wants(&self, level: Level) -> bool {
        level <= self.0.level
    }

    /// Hands over the lines of a turn: `count` of them, each whole with its LF, begun by
    /// [`Stamp::begin`], client bytes escaped by [`escape_into`]. One call a turn, since it takes a
    /// lock (for as long as the copy takes). Without room they are dropped and counted.
    pub fn traffic(&self, lines: &[u8], count: usize) {
        debug_assert_eq!(memchr::memchr_iter(b'\n', lines).count(), count, "a line has one LF");
        debug_assert!(lines.is_empty() || lines.ends_with(b"\n"), "a line ends with LF");
        if count > 0 && self.wants_traffic() {
            self.0.backlog.add_traffic(lines, count);
        }
    }

    /// Logs one event, such as a link that went down, in the order of the traffic. What could
    /// break the line is escaped; client bytes go in as [`Escaped`]. There is twice as much room as
    /// for traffic, so that events are kept where traffic is dropped.
    pub fn event(&self, level: Level, message: fmt::Arguments<'_>) {
        if self.wants(level) {
            self.event_at(SystemTime::now(), level, message);
        }
    }

    fn event_at(&self, time: SystemTime, level: Level, message: fmt::Arguments<'_>) {
        let mut line = Vec::with_capacity(256);
        line::write_event(Stamp::of(time), level, message, &mut line);
        self.0.backlog.add_event(&line);
    }

    /// Lines, traffic and events, dropped so far: for want of room, or logged after the close.
    pub fn dropped(&self) -> u64 {
        self.0.backlog.dropped().lines()
    }
}

impl LogThread {
    /// Writes everything that was logged before, and ends the thread. Waits for the disk at most
    /// `limit`. What is logged later is dropped.
    ///
    /// # Errors
    ///
    /// [`LogError::Slow`] and [`LogError::Lost`].
    pub fn close(mut self, limit: Duration) -> Result<(), LogError> {
        self.end(limit)
    }

    fn end(&mut self, limit: Duration) -> Result<(), LogError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.log.0.backlog.close();
        let outcome = self.outcome.recv_timeout(limit);
        let path = self.log.path().to_owned();
        if let Err(RecvTimeoutError::Timeout) = outcome {
            // The thread hangs in a write, and joining it could take for ever.
            return Err(LogError::Slow { path, limit });
        }
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
        match outcome {
            Ok(Some(Lost { lines, error })) => Err(LogError::Lost { path, lines, source: error }),
            _ => Ok(()),
        }
    }
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.log.0.backlog.close();
        // Who unwinds does not wait.
        if !std::thread::panicking() {
            let _ = self.end(DROP_LIMIT);
        }
    }
}

fn to_stderr(path: PathBuf) -> Report {
    Box::new(move |trouble| {
        // Unlike eprintln! this survives a standard error that is closed.
        let _ = writeln!(io::stderr(), "herd: cannot write {}: {trouble}", path.display());
    })
}

#[cfg(test)]
mod tests;
