//! What a person reads of a check: each rule that is broken, and how many hold.

use std::collections::BTreeMap;
use std::io::{self, Write};

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
    pub(super) fn begin(&mut self, who: &str) -> io::Result<()> {
        self.groups.clear();
        self.skipped.clear();
        writeln!(self.out, "{who}\n")
    }

    pub(super) fn add(&mut self, outcome: &Outcome) -> io::Result<()> {
        let counts = self.counts(outcome.group);
        let place = match outcome.line {
            Some(line) => format!("{}:{line}", outcome.group),
            None => outcome.group.to_string(),
        };
        let rule = &outcome.rule;
        match &outcome.verdict {
            Verdict::Holds => {
                counts.holds += 1;
                if self.is_verbose {
                    writeln!(self.out, "holds {place}: {rule}")?;
                }
            }
            Verdict::Fails(mismatch) => {
                counts.fails += 1;
                self.any_fails = true;
                let mismatch = mismatch.to_string().replace('\n', "\n  ");
                writeln!(self.out, "FAILS {place}: {rule}\n    {mismatch}\n")?;
            }
            Verdict::Skipped(reason) => {
                counts.skipped += 1;
                *self.skipped.entry(reason.clone()).or_default() += 1;
                if self.is_verbose {
                    writeln!(self.out, "skips {place}: {rule} ({reason})")?;
                }
            }
        }
        self.out.flush()
    }

    /// Says how it went since the last [`Report::begin`], in all and for each file.
    pub(super) fn end(&mut self, who: &str) -> io::Result<()> {
        let head = ["rules of", "hold", "fail", "skipped"].map(str::to_string);
        let rows = self.groups.iter().map(|(group, counts)| counts.row(group));
        let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
        writeln!(self.out, "{}", table(&rows))?;
        for (reason, count) in &self.skipped {
            writeln!(self.out, "{count} skipped: {reason}")?;
        }
        let all = |count: fn(&Counts) -> usize| self.groups.iter().map(|(_, it)| count(it)).sum();
        let (holds, fails): (usize, usize) = (all(|it| it.holds), all(|it| it.fails));
        match fails {
            0 => writeln!(self.out, "{who}: all {holds} rules hold\n")?,
            _ => writeln!(self.out, "{who}: {fails} of {} rules fail\n", holds + fails)?,
        }
        self.out.flush()
    }

    fn counts(&mut self, group: &'static str) -> &mut Counts {
        let at = self.groups.iter().position(|(known, _)| *known == group);
        let at = at.unwrap_or_else(|| {
            self.groups.push((group, Counts::default()));
            self.groups.len() - 1
        });
        &mut self.groups[at].1
    }
}

impl Counts {
    fn row(&self, group: &str) -> [String; 4] {
        let Self { holds, fails, skipped } = self;
        [group.to_string(), holds.to_string(), fails.to_string(), skipped.to_string()]
    }
}
