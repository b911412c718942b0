//! What was measured: one sample a process that was measured, kept as rows of a CSV file that grows while
//! the comparison runs, so that a run that was ended goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::statistics::Rounds;

const HEADER: &str = "scenario,setting,rival,round,measure,value,verdict,note";

/// Whom a sample is of, and of what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) scenario: String,
    pub(super) setting: String,
    pub(super) rival: String,
    pub(super) round: usize,
}

/// Whether the values of a sample can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Clean,
    /// Replies were wrong or missing, say: the values are shown with a mark.
    Marked(String),
    /// The generator was the limit: the values say what it can do, and not the rival.
    ThrownOut(String),
    /// There are no values: the rival could not do this at all.
    Failed(String),
}

/// One process that was measured, or the five of a herd.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) key: Key,
    pub(super) values: BTreeMap<String, f64>,
    pub(super) verdict: Verdict,
}

/// All samples, and the file that they are in.
pub(super) struct Samples {
    path: PathBuf,
    all: Vec<Sample>,
}

/// How the samples of one rival in one setting are to be taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Gathered {
    /// Of the samples that count.
    pub(super) rounds: Rounds,
    /// Values of those that were thrown out, when none counts: the rival does at least this well.
    pub(super) thrown_out: Rounds,
    /// Why samples are marked, failed or were thrown out.
    pub(super) notes: BTreeSet<String>,
    pub(super) is_marked: bool,
}

impl Gathered {
    /// Each round's value as a multiple of another's, where both count.
    pub(super) fn over(self, base: Self) -> Self {
        let multiple =
            |(round, value): (&usize, &f64)| Some((*round, value / base.rounds.get(round)?));
        Self {
            rounds: self.rounds.iter().filter_map(multiple).collect(),
            thrown_out: Rounds::new(),
            notes: self.notes,
            is_marked: self.is_marked || base.is_marked,
        }
    }
}

impl Samples {
    /// Those that the file holds, if there is one.
    ///
    /// # Errors
    ///
    /// When it can't be read, or is no such file.
    pub(super) fn load(path: PathBuf) -> io::Result<Self> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { all: parse(&text, &path)?, path })
    }

    /// Keeps a sample, in the file too.
    pub(super) fn add(&mut self, sample: Sample) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        let mut text = String::new();
        if file.metadata()?.len() == 0 {
            text = format!("{HEADER}\n");
        }
        text.push_str(&rows(&sample));
        // In one write, so that a sample is whole or not there.
        file.write_all(text.as_bytes())?;
        self.all.push(sample);
        Ok(())
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.all.iter().any(|sample| sample.key == *key)
    }

    pub(super) fn of_scenario<'a>(&'a self, scenario: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.all.iter().filter(move |sample| sample.key.scenario == scenario)
    }

    /// One measure of one rival in one setting, over the rounds.
    pub(super) fn gather(
        &self,
        scenario: &str,
        setting: &str,
        rival: &str,
        measure: &str,
    ) -> Gathered {
        let mut gathered = Gathered::default();
        let is_of = |sample: &&Sample| sample.key.setting == setting && sample.key.rival == rival;
        for sample in self.of_scenario(scenario).filter(is_of) {
            let value = sample.values.get(measure).map(|value| (sample.key.round, *value));
            match &sample.verdict {
                Verdict::Clean => gathered.rounds.extend(value),
                Verdict::Marked(note) => {
                    gathered.rounds.extend(value);
                    gathered.is_marked = true;
                    gathered.notes.insert(note.clone());
                }
                Verdict::ThrownOut(note) => {
                    gathered.thrown_out.extend(value);
                    gathered.notes.insert(note.clone());
                }
                Verdict::Failed(note) => {
                    gathered.is_marked = true;
                    gathered.notes.insert(note.clone());
                }
            }
        }
        gathered
    }
}

/// A row a value; a sample without values has one row without.
fn rows(sample: &Sample) -> String {
    let Key { scenario, setting, rival, round } = &sample.key;
    let (verdict, note) = match &sample.verdict {
        Verdict::Clean => ("clean", ""),
        Verdict::Marked(note) => ("marked", note.as_str()),
        Verdict::ThrownOut(note) => ("thrown out", note.as_str()),
        Verdict::Failed(note) => ("failed", note.as_str()),
    };
    // What a program said may hold anything.
    let note = note.replace([',', '\n', '\r'], ";");
    let row = |measure: &str, value: &str| {
        format!("{scenario},{setting},{rival},{round},{measure},{value},{verdict},{note}\n")
    };
    if sample.values.is_empty() {
        return row("", "");
    }
    sample.values.iter().map(|(measure, value)| row(measure, &value.to_string())).collect()
}

fn parse(text: &str, path: &Path) -> io::Result<Vec<Sample>> {
    let mut lines = text.lines().enumerate();
    if let Some((_, header)) = lines.next()
        && header != HEADER
    {
        return Err(unreadable(path, 1));
    }
    let mut all: Vec<Sample> = Vec::new();
    for (index, line) in lines {
        let row = read_row(line).ok_or_else(|| unreadable(path, index + 1))?;
        match all.last_mut() {
            Some(last) if last.key == row.key => last.values.extend(row.values),
            _ => all.push(row),
        }
    }
    Ok(all)
}

fn read_row(line: &str) -> Option<Sample> {
    let [scenario, setting, rival, round, measure, value, verdict, note] =
        line.split(',').collect::<Vec<_>>().try_into().ok()?;
    let verdict = match verdict {
        "clean" => Verdict::Clean,
        "marked" => Verdict::Marked(note.into()),
        "thrown out" => Verdict::ThrownOut(note.into()),
        "failed" => Verdict::Failed(note.into()),
        _ => return None,
    };
    let mut values = BTreeMap::new();
    if !measure.is_empty() {
        values.insert(measure.to_string(), value.parse().ok()?);
    }
    let round = round.parse().ok()?;
    let key =
        Key { scenario: scenario.into(), setting: setting.into(), rival: rival.into(), round };
    Some(Sample { key, values, verdict })
}

fn unreadable(path: &Path, line: usize) -> io::Error {
    let what = format!(
        "{}, line {line}: not what this version writes; give another directory with --out",
        path.display()
    );
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rival: &str, round: usize, values: &[(&str, f64)], verdict: Verdict) -> Sample {
        let key =
            Key { scenario: "s".into(), setting: "16 x 1".into(), rival: rival.into(), round };
        let values = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        Sample { key, values, verdict }
    }

    #[test]
    fn what_was_written_is_read_again_and_what_is_added_goes_behind_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("raw.csv");
        let mut samples = Samples::load(path.clone()).unwrap();
        let both = [("p99 us", 2.5), ("requests/s", 10.0)];
        samples.add(sample("a", 1, &both, Verdict::Clean)).unwrap();
        samples.add(sample("b", 1, &[], Verdict::Failed("no, not\nat all".into()))).unwrap();
        let mut again = Samples::load(path.clone()).unwrap();
        again.add(sample("a", 2, &both, Verdict::Marked("3 missing".into()))).unwrap();
        let last = Samples::load(path).unwrap();
        let rounds = Rounds::from([(1, 2.5), (2, 2.5)]);
        let notes = BTreeSet::from(["3 missing".to_string()]);
        let gathered = Gathered { rounds, notes, is_marked: true, ..Gathered::default() };
        assert_eq!(last.gather("s", "16 x 1", "a", "p99 us"), gathered);
        assert_eq!(
            last.gather("s", "16 x 1", "b", "p99 us").notes,
            BTreeSet::from(["no; not;at all".to_string()])
        );
        assert!(last.has(&sample("a", 2, &[], Verdict::Clean).key));
        assert!(!last.has(&sample("a", 3, &[], Verdict::Clean).key));
    }

    #[test]
    fn what_was_thrown_out_counts_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut samples = Samples::load(directory.path().join("raw.csv")).unwrap();
        samples.add(sample("a", 1, &[("v", 1.0)], Verdict::ThrownOut("limit".into()))).unwrap();
        samples.add(sample("a", 2, &[("v", 2.0)], Verdict::Clean)).unwrap();
        let gathered = samples.gather("s", "16 x 1", "a", "v");
        assert_eq!(gathered.rounds, Rounds::from([(2, 2.0)]));
        assert_eq!(gathered.thrown_out, Rounds::from([(1, 1.0)]));
    }

    #[test]
    fn multiples_are_of_the_same_round() {
        let of = Gathered { rounds: [(1, 6.0), (2, 9.0)].into(), ..Gathered::default() };
        let base = Gathered { rounds: [(2, 3.0), (3, 5.0)].into(), ..Gathered::default() };
        let expected = Gathered { rounds: [(2, 3.0)].into(), ..Gathered::default() };
        assert_eq!(of.over(base), expected);
    }

    #[test]
    fn a_file_of_something_else_is_refused_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("raw.csv");
        std::fs::write(&path, format!("{HEADER}\nscenario,only\n")).unwrap();
        let error = Samples::load(path).err().unwrap().to_string();
        assert!(error.contains("line 2") && error.contains("--out"), "{error}");
    }
}
