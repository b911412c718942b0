//! How far it is: a bar on a terminal, a line a sample elsewhere.

use std::io::{IsTerminal as _, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::sample::Key;

pub(super) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { bar: ProgressBar::hidden(), is_terminal: stderr().is_terminal() }.fresh()
    }

    fn fresh(mut self) -> Self {
        if self.is_terminal {
            self.bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len}, {eta} left  {msg}");
            self.bar.set_style(style.expect("the template is right"));
            self.bar.enable_steady_tick(Duration::from_millis(500));
        }
        self
    }

    /// So many samples are to come.
    pub(super) fn begin(&self, count: usize) {
        self.bar.reset();
        self.bar.set_length(count as u64);
    }

    /// One is taken now.
    pub(super) fn next(&self, key: &Key) {
        let Key { scenario, setting, rival, round } = key;
        let what = format!("{scenario}, {setting}, round {round}: {rival}");
        self.bar.inc(1);
        self.bar.set_message(what.clone());
        if !self.is_terminal {
            eprintln!("{what}");
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }
}
