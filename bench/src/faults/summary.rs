//! What a campaign did and found, in a few lines.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::clients::Counts;
use super::holding::ABOUT_A_SECOND;

/// Over all rounds.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) rounds: usize,
    pub(super) herds: usize,
    faults: BTreeMap<&'static str, usize>,
    counts: Counts,
    losses: BTreeMap<LossKind, Losses>,
    longest_heal: Duration,
}

/// A report that was answered and is gone, where the contract allows it: how long before its origin's
/// end it was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub(super) age: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LossKind {
    /// Its origin was killed about a second after the reply.
    Young,
    /// Its origin was cut off or frozen since the reply, or those that it told were killed too.
    ToldNobody,
}

#[derive(Clone, Copy, Default)]
struct Losses {
    count: u64,
    oldest: Duration,
}

impl Loss {
    fn kind(self) -> LossKind {
        if self.age <= ABOUT_A_SECOND { LossKind::Young } else { LossKind::ToldNobody }
    }
}

impl Summary {
    pub(super) fn add_fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    pub(super) fn add_round(&mut self, counts: Counts, losses: &[Loss], heal: Duration) {
        self.rounds += 1;
        self.counts.answered += counts.answered;
        self.counts.unanswered += counts.unanswered;
        self.counts.refused += counts.refused;
        self.longest_heal = self.longest_heal.max(heal);
        for loss in losses {
            let losses = self.losses.entry(loss.kind()).or_default();
            losses.count += 1;
            losses.oldest = losses.oldest.max(loss.age);
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: usize = self.faults.values().sum();
        writeln!(f, "{} rounds over {} herds, {faults} faults:", self.rounds, self.herds)?;
        for (kind, count) in &self.faults {
            writeln!(f, "  {kind}: {count}")?;
        }
        let Counts { answered, unanswered, refused } = self.counts;
        writeln!(
            f,
            "reports answered: {answered}; without an answer: {unanswered}; refused: {refused}"
        )?;
        for kind in [LossKind::Young, LossKind::ToldNobody] {
            let Losses { count, oldest } = self.losses.get(&kind).copied().unwrap_or_default();
            let what = match kind {
                LossKind::Young => "origin killed within about a second of the reply",
                LossKind::ToldNobody => {
                    "origin killed before it could tell anybody, or together with whom it told"
                }
            };
            write!(f, "lost, as the contract allows ({what}): {count}")?;
            if count > 0 {
                write!(f, ", the oldest answered {:.2} s before", oldest.as_secs_f64())?;
            }
            writeln!(f)?;
        }
        write!(f, "longest until all were equal again: {:.1} s", self.longest_heal.as_secs_f64())
    }
}
