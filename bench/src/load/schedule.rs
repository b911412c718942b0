//! When requests are due at a fixed rate.

/// Due times, evenly spaced, in nanoseconds from the start. They don't depend on how the server
/// does: what is late is late because of it.
#[derive(Debug)]
pub(crate) struct Schedule {
    per_second: f64,
    first: f64,
    count: u64,
}

impl Schedule {
    /// The part of thread `index` of `threads` in a schedule of `per_second` over all of them: every
    /// `threads`-th request.
    pub(crate) fn share(per_second: f64, index: usize, threads: usize) -> Self {
        Self {
            per_second: per_second / threads as f64,
            first: index as f64 / per_second * 1e9,
            count: 0,
        }
    }

    /// When the next request is due.
    pub(crate) fn next_due(&self) -> u64 {
        // From the count and not from the last due time, so that rounding does not add up.
        (self.first + self.count as f64 * 1e9 / self.per_second) as u64
    }

    /// Takes a request off, if one is due by `now`: its number, and when it was due.
    pub(crate) fn take(&mut self, now: u64) -> Option<(u64, u64)> {
        let due = self.next_due();
        (due <= now).then(|| {
            self.count += 1;
            (self.count - 1, due)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_due(schedule: &mut Schedule, now: u64) -> Vec<u64> {
        std::iter::from_fn(|| schedule.take(now)).map(|(_, due)| due).collect()
    }

    #[test]
    fn requests_are_due_at_the_rate_however_late_they_are_taken() {
        let mut schedule = Schedule::share(1_000.0, 0, 1);
        assert_eq!(all_due(&mut schedule, 0), [0]);
        assert!(all_due(&mut schedule, 999_999).is_empty());
        assert_eq!(all_due(&mut schedule, 3_500_000), [1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(schedule.next_due(), 4_000_000);
    }

    #[test]
    fn the_shares_of_threads_make_up_the_whole() {
        let mut due: Vec<u64> = (0..3)
            .flat_map(|index| all_due(&mut Schedule::share(300_000.0, index, 3), 1_000_000_000))
            .collect();
        due.sort_unstable();
        assert_eq!(due.len(), 300_001);
        assert!(due.windows(2).all(|pair| (3_330..=3_337).contains(&(pair[1] - pair[0]))));
    }

    #[test]
    fn rounding_does_not_add_up() {
        let mut schedule = Schedule::share(300_000.0, 0, 1);
        schedule.count = 300_000 * 3_600;
        assert!(schedule.next_due().abs_diff(3_600_000_000_000) < 1_000);
    }
}
