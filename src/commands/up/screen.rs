//! Where `up` says what happens.

use std::io::{self, Write};

/// Takes whole texts of one or more lines.
pub(super) trait Screen {
    /// What was asked for: the table, the commands to try.
    fn out(&self, text: &str);

    /// What happens: deaths, restarts, what servers say.
    fn err(&self, text: &str);
}

/// Standard output and standard error. A failure to write there (a closed pipe) is no reason to stop a herd.
pub(super) struct Terminal;

impl Screen for Terminal {
    fn out(&self, text: &str) {
        let _ = writeln!(io::stdout(), "{}", text.trim_end());
    }

    fn err(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{}", text.trim_end());
    }
}
