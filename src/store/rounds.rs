//! Which commit shows that a record is on disk: the numbers by which replies wait.
//!
//! A round takes everything that is noted when it begins, and commits it. Whoever has seen a record can
//! find its note still there, taken by the round that runs, or committed; so a whole round that begins
//! after he asks covers it in any case, and if no round runs and nothing is noted, all is on disk.

/// One round of the store, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round(u64);

/// What has begun and ended. No clock, no lock, no thread.
#[derive(Debug, Default)]
pub struct Rounds {
    /// The last round that has begun.
    begun: u64,
    is_running: bool,
    /// The last one that has succeeded. What a failed one took is noted again before it ends, so the
    /// next success covers it.
    done: u64,
    wanted: u64,
}

impl Rounds {
    /// The round that covers what the caller has seen; `None` if it is on disk. `is_nothing_noted` has to be found
    /// out after the last change to this.
    pub fn want(&mut self, is_nothing_noted: bool) -> Option<Round> {
        if is_nothing_noted && !self.is_running {
            return None;
        }
        self.wanted = self.begun + 1;
        Some(Round(self.wanted))
    }

    /// True if somebody waits.
    pub fn is_wanted(&self) -> bool {
        self.wanted > self.done
    }

    /// From here on notes are taken.
    pub fn begin(&mut self) {
        self.begun += 1;
        self.is_running = true;
    }

    /// What was taken is on disk, or noted again.
    pub fn end(&mut self, has_succeeded: bool) {
        self.is_running = false;
        if has_succeeded {
            self.done = self.begun;
        }
    }

    /// True if what this round covers is on disk.
    pub fn is_done(&self, round: Round) -> bool {
        self.done >= round.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_asks_while_a_round_runs_waits_for_the_next() {
        let mut rounds = Rounds::default();
        let first = rounds.want(false).unwrap();
        rounds.begin();
        let second = rounds.want(true).unwrap();
        assert!(second > first);
        rounds.end(true);
        assert!(rounds.is_done(first) && !rounds.is_done(second) && rounds.is_wanted());
        rounds.begin();
        rounds.end(true);
        assert!(rounds.is_done(second) && !rounds.is_wanted());
        assert_eq!(rounds.want(true), None);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Change,
        Want,
        Begin,
        End(bool),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Change),
            Just(Step::Want),
            Just(Step::Begin),
            any::<bool>().prop_map(Step::End)
        ]
    }

    proptest! {
        /// The model: the version that the map has, that a running round took, and that is on disk.
        #[test]
        fn a_round_that_is_done_means_that_what_was_seen_is_on_disk(
            steps in prop::collection::vec(any_step(), 0..60)
        ) {
            let mut rounds = Rounds::default();
            let (mut held, mut taken, mut on_disk) = (0, None, 0);
            let mut waiting = Vec::new();
            for step in steps {
                match (step, taken) {
                    (Step::Change, _) => held += 1,
                    (Step::Want, _) => {
                        let noted_up_to = taken.unwrap_or(on_disk);
                        match rounds.want(held == noted_up_to) {
                            Some(round) => waiting.push((round, held)),
                            None => prop_assert_eq!(on_disk, held),
                        }
                    }
                    (Step::Begin, None) => {
                        rounds.begin();
                        taken = Some(held);
                    }
                    (Step::End(has_succeeded), Some(version)) => {
                        if has_succeeded {
                            on_disk = version;
                        }
                        taken = None;
                        rounds.end(has_succeeded);
                    }
                    _ => {}
                }
                for &(round, version) in &waiting {
                    prop_assert!(!rounds.is_done(round) || on_disk >= version);
                    prop_assert!(rounds.is_done(round) || rounds.is_wanted());
                }
            }
            // Nobody waits for ever.
            if taken.is_some() {
                rounds.end(false);
            }
            while rounds.is_wanted() {
                rounds.begin();
                rounds.end(true);
            }
            prop_assert!(waiting.iter().all(|(round, _)| rounds.is_done(*round)));
        }
    }
}
