//! One measure of a scenario: rows of rivals, columns of settings. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Block, Cell};
use crate::compare::histograms::{Latencies, Logged, Title, quantile_of};
use crate::compare::rivals::{ALL, REFERENCE};
use crate::compare::sample::{Gathered, Samples};
use crate::compare::scale::Scale;
use crate::compare::scenarios::{Figure, REFERENCES, Scenario, Shows};
use crate::compare::statistics::{Ratio, median_of, ratio, ratio_by};

/// With fewer, an interval is so wide that it holds 1 whatever was measured.
const ENOUGH_ROUNDS: usize = 3;

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

/// Where the figures of a table come from.
struct Source<'a> {
    scenario: &'a Scenario,
    figure: &'a Figure,
    samples: &'a Samples,
    logged: &'a Logged,
}

/// What was measured of a rival in a setting.
#[derive(Default)]
struct Found<'a> {
    gathered: Gathered,
    /// Where the figure is a quantile: of these, all together.
    latencies: Option<(&'a Latencies, f64)>,
}

impl<'a> Source<'a> {
    fn find(&self, rival: &str, setting: &str) -> Found<'a> {
        let Self { scenario, figure, samples, logged } = self;
        let of = |setting: &str| samples.gather(scenario.name, setting, rival, figure.measure);
        let gathered = match figure.shows {
            Shows::Over(base) => {
                base(setting).map(|base| of(setting).over(of(&base))).unwrap_or_default()
            }
            Shows::All | Shows::Those(_) => of(setting),
        };
        let latencies = figure
            .percentile
            .and_then(|(of, quantile)| Some((logged.of(&Title { rival, setting, of })?, quantile)));
        Found { gathered, latencies }
    }
}

impl Found<'_> {
    fn is_nothing(&self) -> bool {
        self.gathered == Gathered::default()
    }

    /// Of the samples that count.
    fn value(&self) -> Option<f64> {
        let median = median_of(&self.gathered.rounds)?;
        let of_all =
            |(latencies, quantile): (&Latencies, f64)| quantile_of(latencies.values(), quantile);
        let value = self.latencies.map_or(median, of_all);
        // There is no quantile where no reply came.
        (!value.is_nan()).then_some(value)
    }

    fn rounds_in_common(&self, with: &Self) -> usize {
        let others = &with.gathered.rounds;
        self.gathered.rounds.keys().filter(|round| others.contains_key(round)).count()
    }

    fn ratio(&self, to: &Self) -> Option<Ratio> {
        match (self.latencies, to.latencies) {
            (Some((of, quantile)), Some((to, _))) => {
                ratio_by(of, to, |drawn| quantile_of(drawn.iter().copied(), quantile))
            }
            _ => ratio(&self.gathered.rounds, &to.gathered.rounds),
        }
    }
}

impl Table {
    pub(super) fn of(
        scenario: &Scenario,
        figure: &Figure,
        settings: &[String],
        samples: &Samples,
        logged: &Logged,
    ) -> Self {
        let source = Source { scenario, figure, samples, logged };
        let settings: Vec<String> =
            settings.iter().filter(|setting| figure.shows.includes(setting)).cloned().collect();
        let mut table = Self { settings, rows: Vec::new(), notes: BTreeMap::new() };
        for rival in ALL.iter().map(|rival| rival.name).chain(REFERENCES.iter().copied()) {
            table.add_row(&source, rival);
        }
        if !figure.is_circumstance {
            for column in 0..table.settings.len() {
                table.mark_best(&source, column);
            }
        }
        table
    }

    /// Nothing of a rival that took no part.
    fn add_row(&mut self, source: &Source<'_>, rival: &'static str) {
        let figure = source.figure;
        let mut entries = Vec::new();
        let mut took_part = false;
        for setting in &self.settings {
            let found = source.find(rival, setting);
            took_part |= !found.is_nothing();
            if !found.gathered.notes.is_empty() {
                let notes = self.notes.entry(format!("{rival}, {setting}")).or_default();
                notes.extend(found.gathered.notes.iter().cloned());
            }
            let is_compared = rival != REFERENCE && !figure.is_circumstance;
            let reference = is_compared.then(|| source.find(REFERENCE, setting));
            entries.push(Entry::of(&found, reference.as_ref(), figure.more_is_better));
        }
        if took_part {
            self.rows.push(Row { rival, entries });
        }
    }

    /// The best, and those that cannot be told from it.
    fn mark_best(&mut self, source: &Source<'_>, column: usize) {
        let more_is_better = source.figure.more_is_better;
        let setting = &self.settings[column];
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
        let of_best = source.find(best, setting);
        for row in self.rows.iter_mut().filter(is_rival) {
            let found = source.find(row.rival, setting);
            let is_equal = found.rounds_in_common(&of_best) >= ENOUGH_ROUNDS
                && found.ratio(&of_best).is_some_and(|ratio| {
                    if more_is_better { ratio.high >= 1.0 } else { ratio.low <= 1.0 }
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
    fn of(found: &Found<'_>, reference: Option<&Found<'_>>, more_is_better: bool) -> Option<Self> {
        let counted = found.value();
        let value = counted.or_else(|| median_of(&found.gathered.thrown_out))?;
        let to_reference = reference.and_then(|reference| found.ratio(reference));
        let word = if more_is_better { "at least" } else { "at most" };
        let bound = counted.is_none().then_some(word);
        let is_marked = found.gathered.is_marked;
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

    /// Setting, rival, round, requests a second.
    type Row<'a> = (&'a str, &'a str, usize, f64, Verdict);

    fn table_of(scenario: &Scenario, figure: &Figure, samples: &[Row<'_>]) -> Table {
        let directory = tempfile::tempdir().unwrap();
        let mut all = Samples::load(directory.path().join("raw.csv")).unwrap();
        let mut settings: Vec<String> = Vec::new();
        for (setting, rival, round, value, verdict) in samples {
            let key = Key {
                scenario: scenario.name.into(),
                setting: (*setting).into(),
                rival: (*rival).into(),
                round: *round,
            };
            let values = [("requests/s".to_string(), *value)].into();
            all.add(Sample { key, values, verdict: verdict.clone() }).unwrap();
            settings.push((*setting).into());
        }
        settings.dedup();
        Table::of(scenario, figure, &settings, &all, &Logged::default())
    }

    fn table(samples: &[(&'static str, usize, f64, Verdict)]) -> Table {
        let row = |(rival, round, value, verdict): &(&'static str, usize, f64, Verdict)| {
            ("16 x 1", *rival, *round, *value, verdict.clone())
        };
        let rows: Vec<_> = samples.iter().map(row).collect();
        table_of(&SCENARIOS[0], &SCENARIOS[0].figures[0], &rows)
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
            ("herd lots", 3, 105.0, Clean),
            ("go", 3, 104.0, Clean),
            ("node", 3, 52.5, Clean),
            // Of too few rounds.
            ("tokio", 1, 80.0, Clean),
            ("tokio", 2, 120.0, Clean),
        ]);
        let expected = [
            ["herd lots", "[105]"],
            ["tokio", "100 (0.95x, 0.80 to 1.09)"],
            ["go", "[104 (0.99x, 0.98 to 1.01)]"],
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

    #[test]
    fn two_cores_are_shown_as_a_multiple_of_one() {
        use Verdict::Clean;
        let cores = SCENARIOS.iter().find(|scenario| scenario.name == "cores").unwrap();
        let (one, two) = ("256 x 1 on one core", "256 x 1 on two cores");
        let table = table_of(
            cores,
            &cores.figures[1],
            &[
                (one, "herd lots", 1, 10.0, Clean),
                (one, "node", 1, 20.0, Clean),
                (two, "herd lots", 1, 15.0, Clean),
                (two, "node", 1, 24.0, Clean),
            ],
        );
        assert_eq!(table.settings, [two]);
        assert_eq!(cells(&table), [["herd lots", "[1.50]"], ["node", "1.20 (0.80x)"]]);
    }
}
