//! One measure of a scenario: rows of rivals, columns of settings. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Block, Cell};
use crate::compare::histograms::{Merged, Title};
use crate::compare::rivals::{ALL, REFERENCE};
use crate::compare::sample::{Gathered, Samples};
use crate::compare::scale::Scale;
use crate::compare::scenarios::{Figure, REFERENCES, Scenario};
use crate::compare::statistics::{Ratio, median_of, ratio};

/// What is shown of one figure.
pub(super) struct Table {
    pub(super) settings: Vec<String>,
    pub(super) rows: Vec<Row>,
    notes: BTreeMap<String, BTreeSet<String>>,
}

pub(super) struct Row {
    pub(super) rival: &'static str,
    pub(super) entries: Vec<Option<Entry>>,
}

/// What a rival did in one setting.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) value: f64,
    /// To the reference; none for the reference itself.
    to_reference: Option<Ratio>,
    /// All samples were thrown out, so it is not known how much better the rival is: "at least", "at
    /// most".
    bound: Option<&'static str>,
    is_marked: bool,
    is_best: bool,
}

/// The settings that were measured, those of the scale first.
pub(super) fn settings(scenario: &Scenario, scale: &Scale, samples: &Samples) -> Vec<String> {
    let of_scale = (scenario.settings)(scale);
    let measured: BTreeSet<&str> =
        samples.of_scenario(scenario.name).map(|sample| sample.key.setting.as_str()).collect();
    let mut settings: Vec<String> =
        of_scale.into_iter().filter(|setting| measured.contains(setting.as_str())).collect();
    for setting in measured {
        if !settings.iter().any(|known| known == setting) {
            settings.push(setting.to_string());
        }
    }
    settings
}

/// How many rounds the samples are of.
pub(super) fn rounds(scenario: &Scenario, samples: &Samples) -> String {
    let rounds: BTreeSet<usize> =
        samples.of_scenario(scenario.name).map(|sample| sample.key.round).collect();
    match rounds.len() {
        1 => "One round: no interval can be given.".to_string(),
        count => format!("{count} rounds."),
    }
}

impl Table {
    pub(super) fn of(
        scenario: &Scenario,
        figure: &Figure,
        settings: &[String],
        samples: &Samples,
        merged: &Merged,
    ) -> Self {
        let mut table =
            Self { settings: settings.to_vec(), rows: Vec::new(), notes: BTreeMap::new() };
        let gather = |rival: &str, setting: &String| {
            samples.gather(scenario.name, setting, rival, figure.measure)
        };
        for rival in ALL.iter().map(|rival| rival.name).chain(REFERENCES.iter().copied()) {
            let gathered: Vec<_> = settings.iter().map(|setting| gather(rival, setting)).collect();
            for (setting, gathered) in settings.iter().zip(&gathered) {
                for note in &gathered.notes {
                    table
                        .notes
                        .entry(format!("{rival}, {setting}"))
                        .or_default()
                        .insert(note.clone());
                }
            }
            let entries: Vec<_> = settings
                .iter()
                .zip(&gathered)
                .map(|(setting, gathered)| {
                    let latencies = figure.percentile.and_then(|(of, quantile)| {
                        let latencies = merged.of(&Title { rival, setting, of })?;
                        Some(latencies.value_at_quantile(quantile) as f64 / 1e3)
                    });
                    let reference = gather(REFERENCE, setting);
                    let is_compared = rival != REFERENCE && !figure.is_circumstance;
                    let to = is_compared.then_some(&reference);
                    Entry::of(gathered, latencies, to, figure.more_is_better)
                })
                .collect();
            if gathered.iter().any(|gathered| *gathered != Gathered::default()) {
                table.rows.push(Row { rival, entries });
            }
        }
        let columns = settings.iter().enumerate().filter(|_| !figure.is_circumstance);
        for (column, setting) in columns {
            table.mark_best(column, figure.more_is_better, &|rival| gather(rival, setting));
        }
        table
    }

    /// The best, and those that cannot be told from it.
    fn mark_best(
        &mut self,
        column: usize,
        more_is_better: bool,
        gather: &dyn Fn(&str) -> Gathered,
    ) {
        let is_rival = |row: &&mut Row| !REFERENCES.contains(&row.rival);
        let sound = |entry: &Entry| !entry.is_marked && entry.bound.is_none();
        let values = self.rows.iter_mut().filter(is_rival).filter_map(|row| {
            let value = row.entries[column].as_ref().filter(|entry| sound(entry))?.value;
            Some((row.rival, value))
        });
        let better = |a: &(&str, f64), b: &(&str, f64)| {
            let order = a.1.total_cmp(&b.1);
            if more_is_better { order } else { order.reverse() }
        };
        let Some((best, _)) = values.max_by(better) else { return };
        let of_best = gather(best).rounds;
        for row in self.rows.iter_mut().filter(is_rival) {
            let rounds = gather(row.rival).rounds;
            let is_equal = ratio(&rounds, &of_best).is_some_and(|ratio| {
                rounds.len() > 1
                    && if more_is_better { ratio.high >= 1.0 } else { ratio.low <= 1.0 }
            });
            let is_best = row.rival == best || is_equal;
            if let Some(entry) = row.entries[column].as_mut().filter(|entry| sound(entry)) {
                entry.is_best = is_best;
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.iter().all(|row| row.entries.iter().all(Option::is_none))
    }

    pub(super) fn block(&self) -> Block {
        let mut header = vec![String::new()];
        header.extend(self.settings.iter().cloned());
        let rows = self.rows.iter().map(|row| {
            let mut cells = vec![Cell::plain(row.rival)];
            cells.extend(
                row.entries
                    .iter()
                    .map(|entry| entry.as_ref().map_or_else(|| Cell::plain("-"), Entry::cell)),
            );
            cells
        });
        Block::Table { header, rows: rows.collect() }
    }

    pub(super) fn notes(&self) -> Vec<String> {
        let line = |(whose, notes): (&String, &BTreeSet<String>)| {
            let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
            format!("{whose}: {}", notes.join("; "))
        };
        self.notes.iter().map(line).collect()
    }
}

impl Entry {
    fn of(
        gathered: &Gathered,
        merged: Option<f64>,
        reference: Option<&Gathered>,
        more_is_better: bool,
    ) -> Option<Self> {
        let counted = median_of(&gathered.rounds);
        let value = match (counted, median_of(&gathered.thrown_out)) {
            (Some(median), _) => merged.unwrap_or(median),
            (None, thrown_out) => thrown_out?,
        };
        let to_reference =
            reference.and_then(|reference| ratio(&gathered.rounds, &reference.rounds));
        let word = if more_is_better { "at least" } else { "at most" };
        let bound = counted.is_none().then_some(word);
        let is_marked = gathered.is_marked;
        Some(Self { value, to_reference, bound, is_marked, is_best: false })
    }

    fn cell(&self) -> Cell {
        let mut text = number(self.value);
        if let Some(bound) = self.bound {
            text = format!("{bound} {text}");
        }
        if let Some(Ratio { ratio, low, high }) = self.to_reference.filter(|r| r.ratio.is_finite())
        {
            let spread =
                if low == high { String::new() } else { format!(", {low:.2} to {high:.2}") };
            text = format!("{text} ({ratio:.2}x{spread})");
        }
        if self.is_marked {
            text.push_str(" *");
        }
        Cell { text, is_bold: self.is_best }
    }
}

/// Thousands with commas, from a hundred on without decimals.
fn number(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::sample::{Key, Sample, Verdict};
    use crate::compare::scenarios::ALL as SCENARIOS;

    #[test]
    fn numbers_are_as_long_as_they_need_to_be() {
        let of = [
            (1234567.8, "1,234,568"),
            (999.6, "1,000"),
            (12.34, "12.3"),
            (0.456, "0.46"),
            (100.0, "100"),
            (-2500.0, "-2,500"),
        ];
        for (value, text) in of {
            assert_eq!(number(value), text);
        }
    }

    fn table(samples: &[(&str, usize, f64, Verdict)]) -> Table {
        let directory = tempfile::tempdir().unwrap();
        let mut all = Samples::load(directory.path().join("raw.csv")).unwrap();
        let scenario = &SCENARIOS[0];
        for (rival, round, value, verdict) in samples {
            let key = Key {
                scenario: scenario.name.into(),
                setting: "16 x 1".into(),
                rival: (*rival).into(),
                round: *round,
            };
            let values = [("requests/s".to_string(), *value)].into();
            all.add(Sample { key, values, verdict: verdict.clone() }).unwrap();
        }
        let settings = ["16 x 1".to_string()];
        Table::of(scenario, &scenario.figures[0], &settings, &all, &Merged::default())
    }

    fn cells(table: &Table) -> Vec<Vec<String>> {
        let Block::Table { rows, .. } = table.block() else { panic!("it is a table") };
        let text = |cell: Cell| if cell.is_bold { format!("[{}]", cell.text) } else { cell.text };
        rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect()
    }

    #[test]
    fn the_best_is_bold_and_whoever_cannot_be_told_from_it() {
        use Verdict::Clean;
        let table = table(&[
            ("herd lots", 1, 100.0, Clean),
            ("herd lots", 2, 110.0, Clean),
            ("go", 1, 101.0, Clean),
            ("go", 2, 108.0, Clean),
            ("node", 1, 50.0, Clean),
            ("node", 2, 55.0, Clean),
        ]);
        let expected = [
            ["herd lots", "[105]"],
            ["go", "[104 (1.00x, 0.98 to 1.01)]"],
            ["node", "52.5 (0.50x)"],
        ];
        let expected: Vec<Vec<_>> = expected
            .iter()
            .map(|row| row.iter().map(|text| (*text).to_string()).collect())
            .collect();
        assert_eq!(cells(&table), expected);
    }

    #[test]
    fn samples_with_faults_are_marked_and_those_of_the_generator_are_a_bound() {
        let table = table(&[
            ("herd lots", 1, 100.0, Verdict::Clean),
            ("tokio", 1, 900.0, Verdict::Marked("3 missing".into())),
            ("echo", 1, 400.0, Verdict::ThrownOut("the generator was the limit".into())),
            ("node", 1, f64::NAN, Verdict::Failed("it ended".into())),
        ]);
        assert_eq!(cells(&table)[1], ["tokio", "900 (9.00x) *"]);
        assert_eq!(cells(&table).last().unwrap(), &["echo", "at least 400"]);
        assert_eq!(
            table.notes(),
            [
                "echo, 16 x 1: the generator was the limit",
                "node, 16 x 1: it ended",
                "tokio, 16 x 1: 3 missing"
            ]
        );
    }
}
