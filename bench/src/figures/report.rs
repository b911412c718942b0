//! The report: a table a scenario, and all samples as CSV. Pure.

use std::fmt::Write as _;

use super::{Scenario, Values};
use crate::spread::median;

/// What stands above the tables.
pub(super) struct Heading {
    pub(super) date: String,
    pub(super) command: String,
    pub(super) machine: String,
    pub(super) rounds: usize,
    pub(super) seed: u64,
    pub(super) notes: Vec<String>,
}

/// One run of one contender.
pub(super) struct Sample {
    pub(super) scenario: &'static str,
    pub(super) contender: &'static str,
    pub(super) round: usize,
    pub(super) values: Values,
}

/// Medians over the rounds, and medians of the ratios to the reference in the same round.
pub(super) fn markdown(heading: &Heading, scenarios: &[Scenario], samples: &[Sample]) -> String {
    let Heading { date, command, machine, rounds, seed, notes } = heading;
    let mut text = format!(
        "# Figures\n\n{date}, {machine}.\nCommand: `{command}`, seed {seed}. Medians of {rounds} \
         interleaved rounds, a new server process a sample; in brackets the median of the ratios \
         to the reference in the same round.\n"
    );
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    for scenario in scenarios {
        text.push_str(&table(scenario, samples));
    }
    text
}

fn table(scenario: &Scenario, samples: &[Sample]) -> String {
    let of = |contender: &str| -> Vec<&Sample> {
        let is_of = |s: &&Sample| s.scenario == scenario.name && s.contender == contender;
        samples.iter().filter(is_of).collect()
    };
    let mut columns: Vec<&str> = Vec::new();
    for contender in &scenario.contenders {
        for (name, _) in of(contender.name).iter().flat_map(|sample| &sample.values) {
            if !columns.contains(name) {
                columns.push(name);
            }
        }
    }
    let mut text = format!("\n## {}\n\n{}.", scenario.name, scenario.about);
    if let Some(reference) = scenario.reference {
        let _ = write!(text, " Reference: {reference}.");
    }
    let _ =
        writeln!(text, "\n\n| | {} |\n|---{}|", columns.join(" | "), "|---:".repeat(columns.len()));
    let reference = scenario.reference.map(of).unwrap_or_default();
    for contender in &scenario.contenders {
        let _ = write!(text, "| {} |", contender.name);
        for column in &columns {
            let cell = cell(&of(contender.name), &reference, column);
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

fn cell(samples: &[&Sample], reference: &[&Sample], column: &str) -> String {
    let mut values: Vec<f64> = samples.iter().filter_map(|sample| sample.value(column)).collect();
    if values.is_empty() {
        return "-".to_string();
    }
    let mut ratios: Vec<f64> = samples
        .iter()
        .filter_map(|sample| {
            let same_round = reference.iter().find(|other| other.round == sample.round)?;
            Some(sample.value(column)? / same_round.value(column)?)
        })
        .collect();
    let shown = number(median(&mut values));
    if ratios.is_empty() { shown } else { format!("{shown} ({:.2}x)", median(&mut ratios)) }
}

impl Sample {
    fn value(&self, column: &str) -> Option<f64> {
        self.values.iter().find(|(name, _)| *name == column).map(|(_, value)| *value)
    }
}

/// Three digits that count, thousands with commas.
fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A line a value.
pub(super) fn csv(samples: &[Sample]) -> String {
    let mut text = String::from("scenario,contender,round,value,number\n");
    for Sample { scenario, contender, round, values } in samples {
        for (name, value) in values {
            let _ = writeln!(text, "{scenario},\"{contender}\",{round},{name},{value}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Contender;
    use super::*;

    fn sample(contender: &'static str, round: usize, value: f64) -> Sample {
        Sample { scenario: "s", contender, round, values: vec![("replies/s", value)] }
    }

    #[test]
    fn a_table_shows_medians_and_ratios_of_the_same_round() {
        let contender =
            |name| Contender { name, run: Box::new(|_| unreachable!("only the table is made")) };
        let scenario = Scenario {
            name: "s",
            about: "about".into(),
            reference: Some("b"),
            contenders: vec![contender("a"), contender("b")],
        };
        let samples = [
            sample("a", 1, 1000.0),
            sample("b", 1, 500.0),
            sample("a", 2, 3000.0),
            sample("b", 2, 1000.0),
            sample("a", 3, 2_000_000.0),
            sample("b", 3, 500_000.0),
        ];
        assert_eq!(
            table(&scenario, &samples),
            "\n## s\n\nabout. Reference: b.\n\n| | replies/s |\n|---|---:|\n\
             | a | 3,000 (3.00x) |\n| b | 1,000 (1.00x) |\n"
        );
    }
}
