//! The threads that serve clients, in either mode. The threadpool crate owns them.

use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use threadpool::ThreadPool;

use super::pinned::Pinned;
use super::shared::Shared;
use super::worker::Lots;
use crate::config::PoolMode;
use crate::threads;

/// How long threads may take to end once their conversations are cut at a stop.
const CUT_WITHIN: Duration = Duration::from_millis(500);

/// Workers that share a lot, at most. The fewer lots, the more often one that is awake serves whoever is ready, and
/// none has to be woken; but a lot has one lock, and one waits for its sockets.
const WORKERS_A_LOT: usize = 8;

/// The threads that serve clients.
pub enum Pool {
    /// Workers that share lots of connections.
    Lots {
        /// One long-lived job for each worker.
        threads: ThreadPool,
        /// The lots.
        lots: Arc<Lots>,
    },
    /// A thread for each connection that is served; further ones wait in the crate's queue, which
    /// `max_connections` bounds.
    Pinned {
        /// One job for each connection.
        threads: ThreadPool,
        /// Those that are served now.
        pinned: Arc<Pinned>,
    },
}

/// How many lots there are, and how many workers each has: a worker for each core, give or take a few.
pub fn lots() -> (usize, usize) {
    let cores = available_parallelism().map_or(1, usize::from);
    let count = cores.div_ceil(WORKERS_A_LOT);
    (count, cores.div_ceil(count))
}

impl Pool {
    /// Starts the threads. `calls` are the provider calls that may block at a time.
    ///
    /// # Errors
    ///
    /// When the kernel has no descriptor left for a lot.
    pub fn start(shared: &Arc<Shared>, calls: usize, stop_within: Duration) -> io::Result<Self> {
        match shared.pool.mode {
            PoolMode::Lots => {
                let (count, workers_each) = lots();
                let lots = Lots::new(count, workers_each, calls, stop_within)?;
                let threads = threads::pool("worker", lots.workers());
                for _ in 0..lots.workers() {
                    let (shared, lots) = (Arc::clone(shared), Arc::clone(&lots));
                    threads.execute(move || lots.work(&shared));
                }
                Ok(Self::Lots { threads, lots })
            }
            PoolMode::Pinned => {
                let threads = threads::pool("pinned", shared.pool.workers);
                Ok(Self::Pinned { threads, pinned: Arc::default() })
            }
        }
    }

    /// Frees the workers of all lots to look at what they hold.
    pub fn wake_lots(&self) {
        if let Self::Lots { lots, .. } = self {
            lots.wake();
        }
    }

    /// Ends the conversations, and blocks until all have ended. After `within` those that are left
    /// are cut; a call of the provider that has not come back soon after that is left.
    pub fn stop(&self, within: Duration) {
        let deadline = Instant::now() + within;
        // The threads of pinned connections look by themselves.
        self.wake_lots();
        if self.ends_by(deadline) {
            return;
        }
        // A lot cuts what it holds by itself.
        if let Self::Pinned { pinned, .. } = self {
            pinned.cut();
        }
        self.ends_by(deadline + CUT_WITHIN);
    }

    /// Blocks until all jobs have ended, which is true, or until `deadline`.
    fn ends_by(&self, deadline: Instant) -> bool {
        let (Self::Lots { threads, .. } | Self::Pinned { threads, .. }) = self;
        // The crate's own join has no deadline.
        while threads.active_count() + threads.queued_count() > 0 {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }
}
