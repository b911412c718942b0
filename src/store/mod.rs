//! What one server keeps on disk: each client's newest record, in an embedded store.
//!
//! The map itself notes which clients changed ([`Records::kept`]), at most one note a client, so nobody
//! who accepts a record waits for the disk, and a record that changes a thousand times a second is written
//! once. A thread of its own takes the notes in [`rounds`] and commits them: every `interval`, or, with
//! `durability = "always"`, as soon as a reply waits for it; all that came while one commit ran shares the
//! next. (An outbox beside the map was planned: pushing to it would cost each report several times what
//! a note costs under the lock that the merge holds anyway.)
//!
//! The engine is fjall 3, a log-structured tree. Measured against redb 4, 1,000,000 records of 100 bytes
//! there, keys at random, each batch synced, sorted for fjall only (2 cores, NVMe, figures of a record: CPU,
//! bytes written): batches of 1,000: 3.2 us, 330 B against 16 us, 6,069 B; of 10,000: 2.1 us, 211 B against
//! 11 us, 3,735 B; of 100,000: 2.7 us, 319 B against 7.6 us, 1,107 B. A commit of 64 records: 0.4 ms against 5
//! ms, since it appends to a journal and syncs once. redb loads in 0.2 s where fjall takes 0.6 s, opens after
//! kill -9 in 0.4 s (2.0 s), takes 60 MB less memory, has no thread of its own, and rewrites 100,000 sorted keys
//! at 1.7 us a record (2.0 us).
//!
//! Reading order: [`rounds`] (who waits for which commit), [`engine`], [`load`] (the start), `writer`
//! (the thread), [`expiry`], and here the whole.

pub mod engine;
pub mod expiry;
pub mod load;
pub mod rounds;
mod writer;

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::config::{Data, Durability};
use crate::counters::Counters;
use crate::log::Log;
use crate::records::Records;
use crate::threads;
use crate::waits::{Condvar, Mutex};
use ::log::Level;
use engine::Engine;
pub use load::{StoreError, open};
pub use rounds::Round;
use rounds::Rounds;

/// How long a stop may wait for the last commit.
pub const COMMIT_AT_STOP_WITHIN: Duration = Duration::from_secs(30);

/// The store of one server, for those who wait for its commits and who watch it.
pub struct Store {
    records: Arc<Records>,
    settings: Data,
    state: Mutex<State>,
    /// Signalled when the thread has something to do.
    work: Condvar,
    /// Signalled when a round has ended.
    ended: Condvar,
    /// Told when a round has ended that somebody wanted.
    on_commit: OnceLock<Box<dyn Fn() + Send + Sync>>,
    log: Log,
    counters: Arc<Counters>,
}

struct State {
    rounds: Rounds,
    /// Since when all that is noted now may have waited: the begin of the last round that succeeded, or when
    /// nothing was noted last.
    saved_at: Instant,
    /// What is wrong, while writing fails.
    error: Option<String>,
    /// Set at a stop: when the thread gives up.
    stop_by: Option<Instant>,
}

/// How the store does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Clients whose newest record is not on disk yet.
    pub unsaved: usize,
    /// How long the oldest of them has waited, at most; 0 if all is on disk.
    pub lag: Duration,
    /// What is wrong, while writing fails.
    pub error: Option<String>,
}

/// The running thread of a store.
#[derive(Debug)]
pub struct StoreThread {
    store: Arc<Store>,
    thread: JoinHandle<()>,
}

impl Store {
    /// Starts the thread that writes what `records` note.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread.
    pub fn start(
        engine: Box<dyn Engine>,
        records: Arc<Records>,
        settings: &Data,
        log: Log,
        counters: Arc<Counters>,
    ) -> io::Result<StoreThread> {
        let store = Self::unwritten(records, settings, log, counters);
        let thread = {
            let store = Arc::clone(&store);
            threads::spawn("store", "", move || store.write(engine))?
        };
        Ok(StoreThread { store, thread })
    }

    /// One whose thread is still to be started, which is to [`write`](Store::write) it.
    #[doc(hidden)] // `pub` for the tests that draw schedules, which start threads of their own.
    pub fn unwritten(
        records: Arc<Records>,
        settings: &Data,
        log: Log,
        counters: Arc<Counters>,
    ) -> Arc<Self> {
        let state = State {
            rounds: Rounds::default(),
            saved_at: Instant::now(),
            error: None,
            stop_by: None,
        };
        Arc::new(Self {
            records,
            settings: settings.clone(),
            state: Mutex::new(state),
            work: Condvar::new(),
            ended: Condvar::new(),
            on_commit: OnceLock::new(),
            log,
            counters,
        })
    }

    /// The job of the store's thread: writes until the stop.
    #[doc(hidden)]
    pub fn write(&self, engine: Box<dyn Engine>) {
        writer::run(self, engine);
    }

    /// Has the thread commit what is left and end, by then at the latest.
    #[doc(hidden)]
    pub fn end_by(&self, deadline: Instant) {
        self.state.lock().stop_by = Some(deadline);
        self.work.notify_one();
    }

    /// True if replies wait for the commit of what they show.
    pub fn is_awaited(&self) -> bool {
        self.settings.durability == Durability::Always
    }

    /// How long a reply waits: `[data] commit_timeout`.
    pub fn commit_timeout(&self) -> Duration {
        self.settings.commit_timeout
    }

    /// Wants everything on disk that the caller has seen in the map. Returns the round to wait for, `None` if it is
    /// there already. Does not block.
    pub fn want(&self) -> Option<Round> {
        let mut state = self.state.lock();
        let wanted = state.rounds.want(self.records.unsaved() == 0);
        if wanted.is_some() {
            self.work.notify_one();
        }
        wanted
    }

    /// True if that round has succeeded.
    pub fn is_done(&self, round: Round) -> bool {
        self.state.lock().rounds.is_done(round)
    }

    /// Blocks until that round has succeeded, which is true, or until `deadline`.
    pub fn wait(&self, round: Round, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.rounds.is_done(round) {
            if self.ended.wait_until(&mut state, deadline).timed_out() {
                return state.rounds.is_done(round);
            }
        }
        true
    }

    /// Sets who is told when a wanted round has succeeded: once, by who starts the server. It must not block.
    pub fn on_commit(&self, tell: impl Fn() + Send + Sync + 'static) {
        // A second one would be a defect of the start, and has no effect.
        let _ = self.on_commit.set(Box::new(tell));
    }

    /// How it does now.
    pub fn status(&self) -> Status {
        let unsaved = self.records.unsaved();
        let state = self.state.lock();
        let lag = if unsaved == 0 { Duration::ZERO } else { state.saved_at.elapsed() };
        Status { unsaved, lag, error: state.error.clone() }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl StoreThread {
    /// The store that it writes.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Commits what is left and ends the thread; nobody changes the records any more. Blocks until that is
    /// done, for `within` at most (and what the disk itself hangs is left behind).
    pub fn stop(self, within: Duration) {
        let Self { store, thread } = self;
        let deadline = Instant::now() + within;
        store.end_by(deadline);
        // One that is past it by more hangs in the disk; it ends with the process.
        let patience = deadline + Duration::from_millis(500);
        while !thread.is_finished() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(2));
        }
        let unsaved = store.records.unsaved();
        if thread.is_finished() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
        if unsaved > 0 {
            store.log.event(
                Level::Error,
                format_args!("stopped with {unsaved} records not written to the store; neighbors that have them send them after the next start"),
            );
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod told;
