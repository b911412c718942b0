//! What became of one rule.

use super::Mismatch;

/// A rule that a server was held to, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The file that the rule is in, such as `merge.txt`, or the part of the protocol: `herd`,
    /// `neighbor`.
    pub group: &'static str,
    /// Where it begins in its file, from 1; `None`: it is in none.
    pub line: Option<usize>,
    /// The rule, in a sentence.
    pub rule: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// What becomes of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server keeps it.
    Holds,
    /// The server breaks it.
    Fails(Box<Mismatch>),
    /// The server, as it is set, cannot be held to it; says why.
    Skipped(String),
}

impl From<Result<(), Mismatch>> for Verdict {
    fn from(result: Result<(), Mismatch>) -> Self {
        match result {
            Ok(()) => Self::Holds,
            Err(mismatch) => Self::Fails(Box::new(mismatch)),
        }
    }
}
