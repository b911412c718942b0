//! Why someone who dials our links is refused. The other side is told so, and the log says it, each kind
//! of reason once in a while.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::handshake::HelloError;
use crate::log::Seldom;
use crate::protocol::ServerName;

/// The same kind of refusal is logged again only after so long.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How many kinds there are.
const KINDS: usize = 13;

/// A refusal. The connection closes; no state has changed. The words are read on both sides.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Without a key, links are in clear.
    #[error("links are for this machine only: set [links] key_file on both to open them to others")]
    OtherMachine,
    /// Its first line is not a HELLO, or not of our version.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// We have dialed ourselves.
    #[error("it is {0} itself: correct its neighbors' addresses")]
    Itself(ServerName),
    /// It is not in the conf: its name, and ours.
    #[error("{0} is no neighbor of {1} in its conf")]
    Stranger(ServerName, ServerName),
    /// We have keys, and not the one that it has.
    #[error(
        "the key of who dialed is not in the key file of who was dialed: bring the same file to both"
    )]
    WrongKey,
    /// We have keys, and it has none.
    #[error("one without a key dialed one with a key: set [links] key_file on both")]
    InClear,
    /// It has a key, and we have none.
    #[error("one with a key dialed one without a key: set [links] key_file on both")]
    NoKeyHere,
    /// We have keys, and it speaks another protocol.
    #[error("what it says first is not the handshake of a link")]
    NotHandshake,
    /// It had a handshake to make, and has changed or cut what belongs to it.
    #[error("its HELLO was changed on the way, or is an old one played again")]
    Forged,
    /// It dialed, and was too slow.
    #[error("no whole HELLO within 5 s")]
    Stalled,
    /// There are connections enough.
    #[error("{0} connections of neighbors are open already")]
    TooMany(usize),
    /// It went away, or sent too much.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Self::Stalled,
            _ => Self::Io(error),
        }
    }
}

impl Refusal {
    /// True if the other side may still be there to be told.
    pub fn is_worth_telling(&self) -> bool {
        !matches!(self, Self::Stalled | Self::Io(_))
    }

    fn kind(&self) -> usize {
        match self {
            Self::OtherMachine => 0,
            Self::Hello(HelloError::NotHello) => 1,
            Self::Hello(HelloError::Version(_)) => 2,
            Self::Itself(_) => 3,
            Self::Stranger(..) => 4,
            Self::WrongKey => 5,
            Self::InClear => 6,
            Self::NoKeyHere => 7,
            Self::NotHandshake => 8,
            Self::Forged => 9,
            Self::Stalled => 10,
            Self::TooMany(_) => 11,
            Self::Io(_) => 12,
        }
    }
}

/// Lets through one refusal of each kind in 10 s, so that who dials all the time does not fill the log, nor
/// hides a refusal of another kind.
#[derive(Debug)]
pub struct Refusals([Seldom; KINDS]);

impl Default for Refusals {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Seldom::every(SAY_AGAIN_AFTER)))
    }
}

impl Refusals {
    /// What to say of it now: `Some` of its words, with how many of its kind were left out before.
    pub fn says(&self, refusal: &Refusal, now: Instant) -> Option<String> {
        match self.0[refusal.kind()].says(now)? {
            0 => Some(refusal.to_string()),
            left_out => Some(format!("{refusal} ({left_out} more since this was last said)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_said_once_in_10_s_and_hides_no_other() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let names = ["Ball", "A"].map(|name| ServerName::parse(name.as_bytes()).expect("a name"));
        let [ball, a] = names;
        let stranger = Refusal::Stranger(ball, a);
        assert_eq!(
            refusals.says(&stranger, now).as_deref(),
            Some("Ball is no neighbor of A in its conf")
        );
        assert_eq!(refusals.says(&stranger, now), None);
        assert_eq!(refusals.says(&stranger, now), None);
        assert!(refusals.says(&Refusal::WrongKey, now).is_some());
        let said = refusals.says(&stranger, now + SAY_AGAIN_AFTER);
        assert!(said.is_some_and(|said| said.ends_with("(2 more since this was last said)")));
    }

    #[test]
    fn a_read_that_times_out_is_a_stall() {
        for kind in [ErrorKind::TimedOut, ErrorKind::WouldBlock] {
            assert!(matches!(Refusal::from(io::Error::from(kind)), Refusal::Stalled));
        }
        let reset = io::Error::from(ErrorKind::ConnectionReset);
        assert!(!Refusal::from(reset).is_worth_telling());
    }
}
