//! What an onlooker learns of a link: how it stands, since when, and what went wrong last.

use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

/// A link at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// `"up"`: updates go out; `"down"`: it is dialed, or waits to be, or the neighbor has not dialed us.
    pub state: &'static str,
    /// When it came to this state; at first, when the server started.
    pub since: SystemTime,
    /// Why it went down, or why a dial failed, last; kept when it is up again.
    pub last_error: Option<String>,
    /// How many records wait to be sent.
    pub outbox: usize,
    /// Age of what waits longest; zero if nothing does.
    pub lag: Duration,
    /// Updates sent since the start.
    pub sent: u64,
    /// Updates received since the start.
    pub received: u64,
    /// When it last turned out that all that the neighbor has is here too: its digests were ours, or it
    /// sent all that differed. Never for neighbors that say no digests.
    pub last_sync: Option<SystemTime>,
}

/// What has become of a link since the start.
#[derive(Debug)]
pub struct History(Mutex<Told>);

#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) is_up: bool,
    pub(super) since: SystemTime,
    pub(super) last_error: Option<String>,
    pub(super) last_sync: Option<SystemTime>,
}

impl Default for History {
    /// Of a link that is down from now on.
    fn default() -> Self {
        let since = SystemTime::now();
        Self(Mutex::new(Told { is_up: false, since, last_error: None, last_sync: None }))
    }
}

impl History {
    /// It came up.
    pub fn up(&self) {
        self.turn(true, None);
    }

    /// It went down, or could not come up.
    pub fn down(&self, reason: String) {
        self.turn(false, Some(reason));
    }

    /// It went down because the neighbor is not heard any more, for the reason that
    /// [`History::unheard`] tells.
    pub fn ended(&self) {
        self.turn(false, None);
    }

    /// Why the neighbor is not heard any more; its writer says when the link is down.
    pub fn unheard(&self, reason: &str) {
        let reason = format!("not heard any more: {reason}");
        self.0.lock().last_error = Some(reason);
    }

    /// The neighbor had nothing that is not here now.
    pub fn synced(&self) {
        let now = SystemTime::now();
        self.0.lock().last_sync = Some(now);
    }

    pub(super) fn told(&self) -> Told {
        self.0.lock().clone()
    }

    fn turn(&self, is_up: bool, error: Option<String>) {
        let now = SystemTime::now();
        let mut told = self.0.lock();
        if told.is_up != is_up {
            (told.is_up, told.since) = (is_up, now);
        }
        if error.is_some() {
            told.last_error = error;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_fails_again_is_down_since_it_went_down() {
        let history = History::default();
        let begun = history.told().since;
        history.down("refused".into());
        assert_eq!((history.told().is_up, history.told().since), (false, begun));
        history.up();
        let up = history.told();
        assert!(up.is_up && up.since > begun, "{up:?}");
        assert_eq!(up.last_error.as_deref(), Some("refused"), "it is kept");
        history.up();
        assert_eq!(history.told().since, up.since);
        history.down("it closed".into());
        let down = history.told();
        history.down("refused".into());
        assert_eq!((history.told().is_up, history.told().since), (false, down.since));
        assert_eq!(history.told().last_error.as_deref(), Some("refused"));
        history.up();
        history.unheard("silent");
        history.ended();
        assert_eq!(history.told().last_error.as_deref(), Some("not heard any more: silent"));
        assert!(!history.told().is_up);
    }
}
