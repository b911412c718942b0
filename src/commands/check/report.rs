//! What a person reads of a check: each rule that is broken, and how many hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use herd::check::{Outcome, Verdict};

use crate::commands::table::table;

/// Writes outcomes as they come, and counts them.
pub(super) struct Report<W> {
    out: W,
    /// Shows also what holds and what is skipped.
    is_verbose: bool,
    groups: Vec<(&'static str, Counts)>,
    /// How many rules were skipped for each reason.
    skipped: BTreeMap<String, usize>,
    any_fails: bool,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    holds: usize,
    fails: usize,
    skipped: usize,
}

impl<W: Write> Report<W> {
    pub(super) fn new(out: W, is_verbose: bool) -> Self {
        let (groups, skipped) = (Vec::new(), BTreeMap::new());
        Self { out, is_verbose, groups, skipped, any_fails: false }
    }

    /// True once any rule was broken.
    pub(super) fn any_fails(&self) -> bool {
        self.any_fails
    }

    /// Says who is held to what comes next.
    pub(super) fn begin(&mut self, who: &str) {
        self.groups.clear();
        self.skipped.clear();
        self.write(&format!("{who}\n\n"));
    }

    pub(super) fn add(&mut self, outcome: &Outcome) {
        let Outcome { group, line, rule, verdict } = outcome;
        let place = line.map_or_else(|| group.to_string(), |line| format!("{group}:{line}"));
        let counts = self.counts(group);
        match verdict {
            Verdict::Holds => {
                counts.holds += 1;
                self.write_if_verbose(&format!("holds {place}: {rule}\n"));
            }
            Verdict::Fails(mismatch) => {
                counts.fails += 1;
                self.any_fails = true;
                let mismatch = mismatch.to_string().replace('\n', "\n  ");
                self.write(&format!("FAILS {place}: {rule}\n    {mismatch}\n\n"));
            }
            Verdict::Skipped(reason) => {
                counts.skipped += 1;
                *self.skipped.entry(reason.clone()).or_default() += 1;
                self.write_if_verbose(&format!("skips {place}: {rule} ({reason})\n"));
            }
        }
    }

    /// Says how it went since the last [`Report::begin`], in all and for each group.
    pub(super) fn end(&mut self, who: &str) {
        let head = ["rules of", "hold", "fail", "skipped"].map(str::to_string);
        let rows = self.groups.iter().map(|(group, counts)| counts.row(group));
        let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
        let mut text = table(&rows) + "\n";
        for (reason, count) in &self.skipped {
            let _ = writeln!(text, "{count} skipped: {reason}");
        }
        let all = |count: fn(&Counts) -> usize| self.groups.iter().map(|(_, it)| count(it)).sum();
        let (holds, fails): (usize, usize) = (all(|it| it.holds), all(|it| it.fails));
        let _ = match fails {
            0 => writeln!(text, "{who}: all {holds} rules hold\n"),
            _ => writeln!(text, "{who}: {fails} of {} rules fail\n", holds + fails),
        };
        self.write(&text);
    }

    fn counts(&mut self, group: &'static str) -> &mut Counts {
        let at = self.groups.iter().position(|(known, _)| *known == group);
        let at = at.unwrap_or_else(|| {
            self.groups.push((group, Counts::default()));
            self.groups.len() - 1
        });
        &mut self.groups[at].1
    }

    fn write_if_verbose(&mut self, text: &str) {
        if self.is_verbose {
            self.write(text);
        }
    }

    /// Who closes the pipe early (`| head`) has read what they wanted. The rules are tried all the
    /// same, so that the exit code is right.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }
}

impl Counts {
    fn row(&self, group: &str) -> [String; 4] {
        let Self { holds, fails, skipped } = self;
        [group.to_string(), holds.to_string(), fails.to_string(), skipped.to_string()]
    }
}
