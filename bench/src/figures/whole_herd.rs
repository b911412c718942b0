//! The servers of a herd as a whole: loaded at the same time, and watched until they agree.

use std::thread;
use std::time::{Duration, Instant};

use herd::admin::Status;

use super::FiguresError;
use super::scenarios::clean;
use crate::launch::Running;
use crate::load::{Load, LoadError, Outcome, run};

/// Longest wait for links, and for equal copies.
const WITHIN: Duration = Duration::from_secs(60);

/// Longest wait for a server to say how it stands.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Runs all loads at once, each from a thread of its own.
pub(super) fn run_at_once(
    contender: &'static str,
    loads: &[Load],
) -> Result<Vec<Outcome>, FiguresError> {
    let ran: Vec<Result<Outcome, LoadError>> = thread::scope(|scope| {
        let running: Vec<_> = loads.iter().map(|load| scope.spawn(move || run(load))).collect();
        running.into_iter().map(|load| load.join().expect("a load does not panic")).collect()
    });
    ran.into_iter().map(|outcome| clean(contender, outcome?)).collect()
}

pub(super) fn until_linked(herd: &[Running]) -> Result<(), FiguresError> {
    let is_linked = |status: &Status| status.links.iter().all(|link| link.state == "up");
    until(herd, "all links are up", |statuses| statuses.iter().all(is_linked)).map(|_| ())
}

/// What they say then. Once nothing is reported any more, each holds all that any of them was told: a
/// record is with its origin from its reply on, and is never taken away.
pub(super) fn until_equal(herd: &[Running]) -> Result<Vec<Status>, FiguresError> {
    until(herd, "all digests are equal", |statuses| {
        statuses.iter().all(|status| status.digest == statuses[0].digest)
    })
}

fn until(
    herd: &[Running],
    what: &str,
    holds: impl Fn(&[Status]) -> bool,
) -> Result<Vec<Status>, FiguresError> {
    let begun = Instant::now();
    loop {
        let statuses = statuses(herd)?;
        if holds(&statuses) {
            return Ok(statuses);
        }
        if begun.elapsed() > WITHIN {
            let why = format!("not within {WITHIN:?}: {what}; the servers say {statuses:?}");
            return Err(FiguresError::NotSeen(why));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// What each says of itself, one asked after the other.
pub(super) fn statuses(herd: &[Running]) -> Result<Vec<Status>, FiguresError> {
    herd.iter().map(status).collect()
}

fn status(server: &Running) -> Result<Status, FiguresError> {
    let not_told = |why: String| FiguresError::NotSeen(format!("no status: {why}"));
    let admin = server.admin.as_deref().ok_or_else(|| not_told("no admin address".into()))?;
    herd::client::status(admin, ANSWER_WITHIN).map_err(|error| not_told(error.to_string()))
}
