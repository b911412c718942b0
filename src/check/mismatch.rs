//! What is said when a server's answer is not the one that must come.

use std::fmt;

use super::escaped;

/// Where a server and a case part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The line of the transcript, from 1; `None`: the rule is none of a transcript.
    pub line: Option<usize>,
    /// The write before it, on the same connection.
    pub sent: Vec<u8>,
    /// What must come, as a transcript writes it.
    pub expected: String,
    /// What came instead.
    pub got: Vec<u8>,
    /// In what they differ.
    pub problem: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, sent, expected, got, problem } = self;
        match line {
            Some(line) => writeln!(f, "line {line}: {problem}")?,
            None => writeln!(f, "{problem}")?,
        }
        writeln!(f, "  sent     {}", escaped(sent))?;
        writeln!(f, "  expected {expected}")?;
        write!(f, "  got      {}", escaped(got))
    }
}

impl std::error::Error for Mismatch {}
