//! What a server of any make is held to. First the transcripts: what a client says and what must come
//! back, byte for byte, as data. The format: `tests/transcripts/README.md`. Then the rules that
//! no transcript can hold, since they are about several servers, or about a server and a neighbor.
//!
//! Reading order: [`case`](Case) (what a transcript holds), [`parse`](parse()) (text to cases),
//! [`values`](Values) (placeholders to bytes, bytes against expectations; pure), [`run`](run())
//! (a case on sockets, over `connection`), [`mismatch`](Mismatch) (what is said when they differ),
//! [`suite`](run_all) (all of them, built in).
//!
//! The other [`rule`](Only)s are code: `fact` (what lines say; pure), `ask` (commands and replies), `herd`
//! and `burst` (the servers of a herd), [`neighbor`](Neighbor) (a plain neighbor, `played` over the
//! listener of `player`). What becomes of any rule is an [`outcome`](Outcome).

mod ask;
mod burst;
mod case;
mod connection;
mod escape;
mod fact;
mod herd;
mod mismatch;
mod neighbor;
mod outcome;
mod parse;
mod places;
mod played;
mod player;
mod rule;
mod run;
mod suite;
mod values;

use std::time::Duration;

pub use ask::name_of;
pub use case::{Case, Count, Line, Needs, Part, Step};
pub use escape::escaped;
pub use herd::{check_herd, herd_rules};
pub use mismatch::Mismatch;
pub use neighbor::Neighbor;
pub use outcome::{Outcome, Verdict};
pub use parse::{ParseError, parse};
pub use rule::Only;
pub use run::run;
pub use suite::{Filed, Target, run_all, transcripts};
pub use values::{Match, Values, Window};

/// What is known of the server that cases are run against, and how patient the runner is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's longest line in bytes, LF not counted; `None`: not known or no limit.
    pub max_line: Option<usize>,
    /// How far ahead of the server's clock a report may be; `None`: not known or no limit.
    pub max_ahead: Option<Duration>,
    /// Replies after which the server closes a connection; `None`: never.
    pub commands_per_connection: Option<u64>,
    /// True if UPDATE is a valid command from where the runner connects.
    pub updates: bool,
    /// Longest wait for anything on a socket.
    pub deadline: Duration,
    /// How far the server's clock may be from ours.
    pub clock_tolerance: Duration,
}

impl Default for Settings {
    /// The defaults of the protocol, UPDATE open, 5 s for each wait, clocks 1 s apart at most.
    fn default() -> Self {
        Self {
            max_line: Some(8192),
            max_ahead: Some(Duration::from_secs(24 * 60 * 60)),
            commands_per_connection: None,
            updates: true,
            deadline: Duration::from_secs(5),
            clock_tolerance: Duration::from_secs(1),
        }
    }
}

impl Settings {
    /// True if a server with these settings can be held to the case; the others are to be skipped.
    pub fn meet(&self, needs: &Needs) -> bool {
        self.unmet(needs).is_none()
    }

    /// Why a server with these settings cannot be held to a case that needs this; `None`: it can.
    pub fn unmet(&self, needs: &Needs) -> Option<String> {
        if self.commands_per_connection != needs.commands_per_connection {
            return Some(match needs.commands_per_connection {
                None => "the server closes connections after some replies".into(),
                Some(1) => "for a server that closes each connection after 1 reply".into(),
                Some(n) => format!("for a server that closes each connection after {n} replies"),
            });
        }
        if needs.updates && !self.updates {
            return Some("UPDATE is no command for us".into());
        }
        if needs.max_line && self.max_line.is_none() {
            return Some("the longest line is not known".into());
        }
        if needs.max_ahead && self.max_ahead.is_none() {
            return Some("how far ahead a report may be is not known".into());
        }
        None
    }
}
