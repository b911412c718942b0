//! The store's thread: takes what is noted, commits it, and tries again when that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use ::log::Level;

use super::Store;
use super::engine::{Engine, EngineError};
use crate::config::Durability;
use crate::log::Seldom;
use crate::records::digest::SHARDS;

/// Wait after a failure, doubling up to the longest.
const RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// How often a failure is said.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// When the next round begins.
struct Pace {
    /// At the latest, if something is noted.
    due: Instant,
    /// Not before, after a failure.
    not_before: Option<Instant>,
    retry: Duration,
}

/// What the thread does next.
enum Next {
    Round { is_last: bool },
    End,
}

/// Writes until the stop. Blocks on the disk, and on the store's lock for moments.
pub(super) fn run(store: &Store, mut engine: Box<dyn Engine>) {
    let seldom = Seldom::every(SAY_EVERY);
    let interval = store.settings.interval;
    let mut pace = Pace { due: Instant::now() + interval, not_before: None, retry: RETRY };
    while let Next::Round { is_last } = next(store, &mut pace) {
        let began = Instant::now();
        pace.due = began + interval;
        store.state.lock().rounds.begin();
        let is_safe = is_last || store.settings.durability != Durability::None;
        let result = round(store, &mut *engine, is_safe, is_last);
        pace.not_before = result.is_err().then(|| Instant::now() + pace.retry);
        pace.retry = if result.is_ok() { RETRY } else { (pace.retry * 2).min(LONGEST_RETRY) };
        let failure = result.as_ref().err().map(ToString::to_string);
        let was_wanted = end_round(store, began, failure);
        match result {
            Ok(()) if is_last => return,
            Ok(()) if was_wanted => {
                if let Some(tell) = store.on_commit.get() {
                    tell();
                }
            }
            Ok(()) => {}
            Err(error) => say_failure(store, &seldom, &error),
        }
    }
}

/// Waits for the next round.
fn next(store: &Store, pace: &mut Pace) -> Next {
    let mut state = store.state.lock();
    loop {
        let now = Instant::now();
        let is_held_back = pace.not_before.is_some_and(|not_before| now < not_before);
        if state.stop_by.is_some_and(|stop_by| now >= stop_by) {
            return Next::End;
        }
        if !is_held_back {
            if state.stop_by.is_some() {
                return Next::Round { is_last: true };
            }
            if state.rounds.is_wanted() {
                return Next::Round { is_last: false };
            }
            if now >= pace.due {
                if store.records.unsaved() > 0 {
                    return Next::Round { is_last: false };
                }
                state.saved_at = now;
                pace.due = now + store.settings.interval;
            }
        }
        let wake = if is_held_back { pace.not_before.unwrap_or(pace.due) } else { pace.due };
        let wake = state.stop_by.map_or(wake, |stop_by| stop_by.min(wake));
        store.work.wait_until(&mut state, wake);
    }
}

/// One round. What does not get to the disk is noted again.
fn round(
    store: &Store,
    engine: &mut dyn Engine,
    is_safe: bool,
    is_last: bool,
) -> Result<(), EngineError> {
    let mut changes = Vec::new();
    for shard in 0..SHARDS {
        store.records.take_unsaved(shard, &mut changes);
    }
    // Those of before may not be safe yet: that comes with the last.
    if changes.is_empty() && !is_last {
        return Ok(());
    }
    // In order it costs the engine half. The beginnings of names, gathered once, order them well enough,
    // and are compared without a look at each record.
    changes.sort_by_cached_key(|change| beginning(change.client()));
    let committed = catch_unwind(AssertUnwindSafe(|| engine.commit(&changes, is_safe)));
    let result =
        committed.unwrap_or_else(|_| Err(EngineError::Failed("a defect of the engine".to_owned())));
    if result.is_ok() {
        store.counters.stored.add(changes.len() as u64);
        store.counters.commits.add(1);
    } else {
        store.counters.failed_commits.add(1);
        changes.into_iter().for_each(|change| store.records.note_unsaved(change));
    }
    result
}

/// The first bytes of a name, zeros behind it if it is shorter.
fn beginning(client: &[u8]) -> [u8; 24] {
    let mut beginning = [0; 24];
    let length = client.len().min(beginning.len());
    beginning[..length].copy_from_slice(&client[..length]);
    beginning
}

/// True if somebody wanted it, and it succeeded.
fn end_round(store: &Store, began: Instant, failure: Option<String>) -> bool {
    let mut state = store.state.lock();
    let has_succeeded = failure.is_none();
    let was_wanted = state.rounds.is_wanted();
    state.rounds.end(has_succeeded);
    if has_succeeded {
        state.saved_at = began;
    }
    let recovered = has_succeeded && state.error.is_some();
    state.error = failure;
    store.ended.notify_all();
    drop(state);
    if recovered {
        store.log.event(Level::Warn, format_args!("the store is written again"));
    }
    was_wanted && has_succeeded
}

fn say_failure(store: &Store, seldom: &Seldom, error: &EngineError) {
    if let Some(left_out) = seldom.says(Instant::now()) {
        let unsaved = store.records.unsaved();
        store.log.event(
            Level::Error,
            format_args!("cannot write the store: {error}; {unsaved} records wait in memory, and are written once it works again ({left_out} more failures since this was said last); make room on the disk of [data] dir, or see what is wrong with it"),
        );
    }
}
