//! Counting open connections: one is open for as long as its guard lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts one connection, in its server and, in lots mode, in its lot.
#[derive(Debug)]
pub struct Open(Vec<Arc<AtomicUsize>>);

impl Open {
    /// One more in each of the counts.
    pub fn count(counts: impl IntoIterator<Item = Arc<AtomicUsize>>) -> Self {
        let counts: Vec<_> = counts.into_iter().collect();
        for count in &counts {
            count.fetch_add(1, Ordering::SeqCst);
        }
        Self(counts)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        for count in &self.0 {
            count.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
