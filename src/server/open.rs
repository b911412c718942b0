//! Counting open connections: one is open for as long as its guard lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::addresses::Present;

/// Counts one connection, in its server, for its address and, in lots mode, in its lot.
#[derive(Debug)]
pub struct Open {
    counts: Vec<Arc<AtomicUsize>>,
    _present: Option<Present>,
}

impl Open {
    /// One more in each of the counts. `present` counts it for its address, if it has one that counts.
    pub fn count(
        counts: impl IntoIterator<Item = Arc<AtomicUsize>>,
        present: Option<Present>,
    ) -> Self {
        let counts: Vec<_> = counts.into_iter().collect();
        for count in &counts {
            count.fetch_add(1, Ordering::SeqCst);
        }
        Self { counts, _present: present }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for count in &self.counts {
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
