//! The counts that others are held to: a file of lines `NAME,INSTRUCTIONS` under a header that says what they
//! depend on.

use std::fmt::{self, Write as _};
use std::path::Path;

use super::setting::Setting;
use super::{CountsError, RECORD};

/// How far a count may rise over the recorded one, or fall below before it is said.
const LIMIT_PERCENT: f64 = 5.0;

/// The line between header and counts.
const COLUMNS: &str = "benchmark,instructions";

/// What one benchmark takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Count {
    pub(super) name: String,
    /// An operation, to a tenth.
    pub(super) instructions: f64,
}

/// A baseline as it was read.
#[derive(Debug, PartialEq)]
pub(super) struct Baseline {
    header: Vec<(String, String)>,
    counts: Vec<Count>,
}

/// Where counts are not as recorded.
#[derive(Debug, PartialEq)]
pub(super) enum Finding<'a> {
    Rose {
        name: &'a str,
        recorded: f64,
        now: f64,
    },
    Fell {
        name: &'a str,
        recorded: f64,
        now: f64,
    },
    /// A benchmark that the baseline does not have.
    NotRecorded(&'a str),
    /// A count of the baseline for which there is no benchmark.
    Gone(&'a str),
}

impl Count {
    pub(super) fn new(name: &str, instructions: f64) -> Self {
        // As the file has it, so that a count is equal to itself recorded.
        Self { name: name.to_string(), instructions: (instructions * 10.0).round() / 10.0 }
    }
}

impl Baseline {
    /// # Errors
    ///
    /// [`CountsError::Baseline`] and [`CountsError::NotABaseline`]
    pub(super) fn read(path: &Path) -> Result<Self, CountsError> {
        let path = path.to_path_buf();
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map_err(|(line, text)| CountsError::NotABaseline {
                path,
                line,
                text: text.to_string(),
            }),
            Err(source) => Err(CountsError::Baseline { path, source }),
        }
    }

    /// The number and text of the first wrong line is the error.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, &str)> {
        let mut baseline = Self { header: Vec::new(), counts: Vec::new() };
        for (at, line) in text.lines().enumerate() {
            let wrong = (at + 1, line);
            if let Some(said) = line.strip_prefix("# ") {
                let (name, value) = said.split_once(": ").ok_or(wrong)?;
                baseline.header.push((name.to_string(), value.to_string()));
            } else if line != COLUMNS {
                let (name, instructions) = line.split_once(',').ok_or(wrong)?;
                let is_count = |count: &f64| count.is_finite() && *count > 0.0;
                let instructions = instructions.parse().ok().filter(is_count);
                baseline.counts.push(Count::new(name, instructions.ok_or(wrong)?));
            }
        }
        Ok(baseline)
    }

    /// What it was recorded with: `header("rustc")`.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.header.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A count beside the recorded one.
    pub(super) fn row(&self, now: &Count) -> String {
        let row = format!("{:<20} {:>10.1}", now.name, now.instructions);
        match self.recorded(&now.name) {
            Some(recorded) => {
                format!("{row}  {:+.1} % of {recorded:.1}", percent(recorded, now.instructions))
            }
            None => row,
        }
    }

    /// Where these counts are not as recorded, beyond the limit.
    pub(super) fn findings<'a>(&'a self, counts: &'a [Count]) -> Vec<Finding<'a>> {
        let compared = counts.iter().filter_map(|count| {
            let (name, now) = (count.name.as_str(), count.instructions);
            let Some(recorded) = self.recorded(name) else {
                return Some(Finding::NotRecorded(name));
            };
            match percent(recorded, now) {
                more if more > LIMIT_PERCENT => Some(Finding::Rose { name, recorded, now }),
                less if less < -LIMIT_PERCENT => Some(Finding::Fell { name, recorded, now }),
                _ => None,
            }
        });
        let is_here = |name: &str| counts.iter().any(|count| count.name == name);
        let names = self.counts.iter().map(|count| count.name.as_str());
        compared.chain(names.filter(|name| !is_here(name)).map(Finding::Gone)).collect()
    }

    fn recorded(&self, name: &str) -> Option<f64> {
        self.counts.iter().find(|count| count.name == name).map(|count| count.instructions)
    }
}

impl Finding<'_> {
    /// True if it has to be mended, or recorded on purpose.
    pub(super) fn is_failure(&self) -> bool {
        !matches!(self, Self::Fell { .. })
    }
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rose { name, recorded, now } => write!(
                f,
                "{name}: {now:.1} instructions are {:.1} % more than the {recorded:.1} of the baseline; \
                 if that is on purpose: {RECORD}",
                percent(recorded, now)
            ),
            Self::Fell { name, recorded, now } => write!(
                f,
                "{name}: {now:.1} instructions are {:.1} % less than the {recorded:.1} of the baseline; \
                 to keep it so: {RECORD}",
                -percent(recorded, now)
            ),
            Self::NotRecorded(name) => {
                write!(f, "{name}: the baseline does not have it; to add it: {RECORD}")
            }
            Self::Gone(name) => write!(
                f,
                "{name}: the baseline has it, and no benchmark is named so; to drop it: {RECORD}"
            ),
        }
    }
}

/// How much more `now` is, in percent of what was recorded.
fn percent(recorded: f64, now: f64) -> f64 {
    100.0 * (now - recorded) / recorded
}

/// The file of these counts.
pub(super) fn text(date: &str, setting: &Setting, counts: &[Count]) -> String {
    let mut text = format!("# command: {RECORD}\n# date: {date}\n");
    // Writing to a String never fails.
    for (name, value) in setting.known() {
        let _ = writeln!(text, "# {name}: {value}");
    }
    let _ = writeln!(text, "{COLUMNS}");
    for count in counts {
        let _ = writeln!(text, "{},{:.1}", count.name, count.instructions);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(counts: &[(&str, f64)]) -> Baseline {
        Baseline { header: Vec::new(), counts: all(counts) }
    }

    fn all(counts: &[(&str, f64)]) -> Vec<Count> {
        counts.iter().map(|(name, instructions)| Count::new(name, *instructions)).collect()
    }

    #[track_caller]
    fn check(recorded: &[(&str, f64)], now: &[(&str, f64)], expected: &[Finding<'_>]) {
        assert_eq!(baseline(recorded).findings(&all(now)), expected);
    }

    #[test]
    fn a_count_may_differ_by_five_percent() {
        for now in [95.0, 100.0, 105.0] {
            check(&[("parse", 100.0)], &[("parse", now)], &[]);
        }
    }

    #[test]
    fn more_than_that_is_a_failure_and_less_is_news() {
        let (name, recorded) = ("parse", 100.0);
        let rose = Finding::Rose { name, recorded, now: 105.1 };
        assert!(rose.is_failure());
        assert_eq!(
            rose.to_string(),
            "parse: 105.1 instructions are 5.1 % more than the 100.0 of the baseline; if that is on purpose: \
             cargo run --release -p herd-bench -- counts --record"
        );
        check(&[(name, recorded)], &[(name, 105.1)], &[rose]);
        let fell = Finding::Fell { name, recorded, now: 94.9 };
        assert!(!fell.is_failure());
        assert!(fell.to_string().contains("5.1 % less than the 100.0"), "{fell}");
        check(&[(name, recorded)], &[(name, 94.9)], &[fell]);
    }

    #[test]
    fn a_benchmark_that_only_one_side_has_is_a_failure() {
        let (new, old) = (Finding::NotRecorded("new"), Finding::Gone("old"));
        assert!(new.is_failure() && old.is_failure());
        check(&[("old", 1.0), ("both", 1.0)], &[("both", 1.0), ("new", 1.0)], &[new, old]);
    }

    #[test]
    fn what_is_recorded_reads_as_itself() {
        let counts = all(&[("parse", 412.34), ("merge", 1300.0)]);
        let text = text("2026-11-28T01:17:00Z", &Setting::of_this_machine(), &counts);
        let read = Baseline::parse(&text).unwrap();
        assert_eq!(read.header("date"), Some("2026-11-28T01:17:00Z"));
        assert_eq!(read.counts, counts);
        assert_eq!(read.findings(&counts), []);
    }

    #[test]
    fn a_line_that_is_no_count_is_named() {
        for wrong in ["parse", "parse,many", "parse,NaN", "parse,inf", "parse,0", "# rustc"] {
            let text = format!("# date: 2026-11-28\n{COLUMNS}\n{wrong}\n");
            assert_eq!(Baseline::parse(&text), Err((3, wrong)));
        }
    }
}
