//! Medians over the rounds, and how far the ratio of two of them can be trusted. Pure.

use std::collections::{BTreeMap, HashMap};

use fastrand::Rng;

use crate::spread::median;

/// Times that the rounds are drawn anew for an interval.
const RESAMPLES: usize = 2_000;

/// Of the draws: the same samples give the same interval.
const SEED: u64 = 1;

/// The part of the ratios that an interval holds.
pub(super) const CONFIDENCE: f64 = 0.95;

/// What was measured in each round, by the round's number.
pub(super) type Rounds = BTreeMap<usize, f64>;

/// A ratio of two medians, and the bounds that it lies within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    pub(super) ratio: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// The median of all rounds. `None` of none.
pub(super) fn median_of(rounds: &Rounds) -> Option<f64> {
    let mut numbers: Vec<_> = rounds.values().copied().collect();
    (!numbers.is_empty()).then(|| median(&mut numbers))
}

/// The ratio of the medians.
pub(super) fn ratio(of: &Rounds, to: &Rounds) -> Option<Ratio> {
    ratio_by(of, to, |numbers| {
        let mut numbers: Vec<f64> = numbers.iter().copied().copied().collect();
        median(&mut numbers)
    })
}

/// The ratio of what `together` says of the rounds that both have, with a percentile bootstrap interval:
/// rounds are drawn with replacement, both sides' samples of a round together, because what disturbs a
/// machine for a minute disturbs both. `None` if no round has both.
pub(super) fn ratio_by<T>(
    of: &BTreeMap<usize, T>,
    to: &BTreeMap<usize, T>,
    together: impl Fn(&[&T]) -> f64,
) -> Option<Ratio> {
    let pairs: Vec<(&T, &T)> =
        of.iter().filter_map(|(round, value)| Some((value, to.get(round)?))).collect();
    if pairs.is_empty() {
        return None;
    }
    let ratio_of = |drawn: &[usize]| {
        let (of, to): (Vec<&T>, Vec<&T>) = drawn.iter().map(|&pair| pairs[pair]).unzip();
        together(&of) / together(&to)
    };
    // Few rounds have few ways to be drawn, and `together` may take its time.
    let mut known: HashMap<Vec<usize>, f64> = HashMap::new();
    let mut rng = Rng::with_seed(SEED);
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let mut drawn: Vec<_> = pairs.iter().map(|_| rng.usize(..pairs.len())).collect();
            drawn.sort_unstable();
            *known.entry(drawn).or_insert_with_key(|drawn| ratio_of(drawn))
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let at = |part: f64| ratios[((RESAMPLES - 1) as f64 * part).round() as usize];
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let all: Vec<_> = (0..pairs.len()).collect();
    Some(Ratio { ratio: ratio_of(&all), low: at(tail), high: at(1.0 - tail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(values: &[f64]) -> Rounds {
        values.iter().copied().enumerate().collect()
    }

    #[test]
    fn there_is_no_median_of_no_rounds() {
        assert_eq!(median_of(&rounds(&[])), None);
        assert_eq!(median_of(&rounds(&[3.0, 1.0, 2.0])), Some(2.0));
    }

    #[test]
    fn what_is_twice_as_fast_in_every_round_is_so_without_doubt() {
        let slow = rounds(&[10.0, 30.0, 20.0, 50.0, 40.0]);
        let fast = slow.iter().map(|(round, value)| (*round, 2.0 * value)).collect();
        let expected = Ratio { ratio: 2.0, low: 2.0, high: 2.0 };
        assert_eq!(ratio(&fast, &slow), Some(expected));
    }

    #[test]
    fn the_bounds_of_one_disturbed_round_in_three_reach_it() {
        // Of 27 draws of three rounds, 7 have the disturbed one twice or more: 26 %, over both tails.
        let of = rounds(&[1.0, 1.0, 9.0]);
        let to = rounds(&[1.0, 1.0, 1.0]);
        assert_eq!(ratio(&of, &to), Some(Ratio { ratio: 1.0, low: 1.0, high: 9.0 }));
    }

    #[test]
    fn one_disturbed_round_in_nine_does_not_reach_the_bounds() {
        // It is drawn five times or more of nine in 0.06 % of the draws.
        let mut of = rounds(&[1.0; 9]);
        of.insert(4, 9.0);
        let expected = Ratio { ratio: 1.0, low: 1.0, high: 1.0 };
        assert_eq!(ratio(&of, &rounds(&[1.0; 9])), Some(expected));
    }

    #[test]
    fn the_bounds_cover_the_true_ratio_about_as_often_as_they_say() {
        const TRIALS: usize = 300;
        let mut rng = Rng::with_seed(7);
        // The sum of twelve draws is near enough to a normal distribution.
        let mut noise = || 1.0 + 0.05 * ((0..12).map(|_| rng.f64()).sum::<f64>() - 6.0);
        let covered = (0..TRIALS).filter(|_| {
            let of: Rounds = (0..9).map(|round| (round, 3.0 * noise())).collect();
            let to: Rounds = (0..9).map(|round| (round, noise())).collect();
            ratio(&of, &to).is_some_and(|found| found.low <= 3.0 && 3.0 <= found.high)
        });
        let part = covered.count() as f64 / TRIALS as f64;
        assert!((0.88..=1.0).contains(&part), "{part}");
    }

    #[test]
    fn a_round_that_is_drawn_twice_counts_twice() {
        let mean = |drawn: &[&f64]| drawn.iter().copied().sum::<f64>() / drawn.len() as f64;
        let found = ratio_by(&rounds(&[1.0, 3.0]), &rounds(&[1.0, 1.0]), mean);
        assert_eq!(found, Some(Ratio { ratio: 2.0, low: 1.0, high: 3.0 }));
    }

    #[test]
    fn only_rounds_that_both_have_count() {
        let of = Rounds::from([(1, 4.0), (3, 100.0)]);
        let to = Rounds::from([(1, 2.0), (2, 50.0)]);
        assert_eq!(ratio(&of, &to).map(|found| found.ratio), Some(2.0));
        assert_eq!(ratio(&of, &Rounds::from([(2, 1.0)])), None);
    }
}
