//! What all samples share, and who takes part.

use fastrand::Rng;

use super::CompareError;
use super::measure::Taken;
use super::rivals::{Programs, Rival};
use super::sample::{Key, Samples};
use super::scale::Scale;

/// Everything that a sample needs to know.
pub(super) struct Bench {
    pub(super) programs: Programs,
    pub(super) scale: Scale,
    pub(super) seed: u64,
    /// The names of those who take part: there, and conforming.
    pub(super) present: Vec<&'static str>,
}

/// One sample to take.
pub(super) struct Trial {
    pub(super) key: Key,
    pub(super) run: Box<Run>,
}

type Run = dyn Fn(&Bench) -> Result<Taken, CompareError>;

/// Samples to take, in their order.
pub(super) struct Plan(pub(super) Vec<Trial>);

impl Trial {
    /// The scenario and the round are filled in by [`Bench::each_round`].
    pub(super) fn new(
        setting: &str,
        rival: &str,
        run: impl Fn(&Bench) -> Result<Taken, CompareError> + 'static,
    ) -> Self {
        let (scenario, round) = (String::new(), 0);
        let key = Key { scenario, setting: setting.into(), rival: rival.into(), round };
        Self { key, run: Box::new(run) }
    }
}

impl Plan {
    pub(super) fn is_done(&self, samples: &Samples) -> bool {
        self.0.iter().all(|trial| samples.has(&trial.key))
    }
}

impl Bench {
    /// Those of the rivals who take part.
    pub(super) fn rivals(
        &self,
        rivals: impl Iterator<Item = Rival>,
    ) -> impl Iterator<Item = Rival> {
        rivals.filter(|rival| self.present.contains(&rival.name))
    }

    /// Those of the references that are there.
    pub(super) fn references(
        &self,
        references: &'static [&'static str],
    ) -> impl Iterator<Item = &'static str> {
        references.iter().copied().filter(|reference| self.present.contains(reference))
    }

    /// As many rounds as the scale says, each with all trials in an order that is drawn.
    pub(super) fn each_round(&self, scenario: &str, add: impl Fn(&mut Vec<Trial>)) -> Plan {
        self.rounds(self.scale.rounds, scenario, add)
    }

    /// The same for scenarios in which a sample takes long.
    pub(super) fn each_long_round(&self, scenario: &str, add: impl Fn(&mut Vec<Trial>)) -> Plan {
        self.rounds(self.scale.long_rounds, scenario, add)
    }

    fn rounds(&self, rounds: usize, scenario: &str, add: impl Fn(&mut Vec<Trial>)) -> Plan {
        let mut all = Vec::new();
        for round in 1..=rounds {
            let mut trials = Vec::new();
            add(&mut trials);
            for trial in &mut trials {
                trial.key.scenario = scenario.to_string();
                trial.key.round = round;
            }
            let name = scenario.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte));
            Rng::with_seed(self.seed ^ name ^ round as u64).shuffle(&mut trials);
            all.append(&mut trials);
        }
        Plan(all)
    }
}
