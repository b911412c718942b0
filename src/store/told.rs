//! An engine for tests that does as it is told.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::engine::{Engine, EngineError};
use crate::records::Change;

/// Longest wait for a word; no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a word before each commit ends, and fails if that word is no, or if nobody is left to say
/// one.
pub(crate) struct Told {
    words: Receiver<bool>,
    commits: Sender<Commit>,
}

/// What was to be committed, and whether safely.
pub(crate) type Commit = (Vec<Change>, bool);

/// The engine, how it is told, and what it is asked for.
pub(crate) fn told() -> (Box<Told>, Sender<bool>, Receiver<Commit>) {
    let (say, words) = unbounded();
    let (commits, seen) = unbounded();
    (Box::new(Told { words, commits }), say, seen)
}

impl Engine for Told {
    fn commit(&mut self, changes: &[Change], is_safe: bool) -> Result<(), EngineError> {
        // A test that is over does not look any more.
        let _ = self.commits.send((changes.to_vec(), is_safe));
        match self.words.recv_timeout(PATIENCE) {
            Ok(true) => Ok(()),
            _ => Err(EngineError::Failed("as told".to_owned())),
        }
    }
}
