//! What is counted: parse, merge, format and outbox through the product's public functions, and the turns of a
//! server's session. Inputs are made before, outside of what counts.

mod format;
mod inputs;
mod merge;
mod outbox;
mod parse;
mod turn;

/// One thing to count.
pub(super) struct Benchmark {
    pub(super) name: &'static str,
    /// How many times a run does it: enough that what happens once comes to little, and so does chance (maps
    /// draw the keys of their hashes anew in each process).
    pub(super) operations: usize,
    /// The function that counts, with all that it calls, as callgrind's `--toggle-collect` has it.
    pub(super) counted: &'static str,
    /// Does it that many times.
    pub(super) run: fn(operations: usize),
}

/// All, in the order in which a report passes through a server.
pub(super) const BENCHMARKS: &[Benchmark] = &[
    Benchmark::new("frame-64-lines", 100, parse::frames),
    Benchmark::new("parse-iamat", 1000, parse::iamat),
    Benchmark::new("parse-whatsat", 1000, parse::whatsat),
    Benchmark::new("parse-update", 1000, parse::update),
    Benchmark::new("parse-invalid", 1000, parse::invalid),
    Benchmark::new("record-new", 1000, merge::record),
    Benchmark::new("merge-newer", 10_000, merge::newer),
    Benchmark::new("merge-new-client", 10_000, merge::new_client),
    Benchmark::new("merge-older", 10_000, merge::older),
    Benchmark::new("format-at", 1000, format::at),
    Benchmark::new("format-update", 1000, format::update),
    Benchmark::new("format-log-line", 1000, format::log_line),
    Benchmark::new("outbox-put", 10_000, outbox::put),
    Benchmark::new("outbox-replace", 10_000, outbox::replace),
    Benchmark::new("outbox-take-128", 80, outbox::take),
    Benchmark { counted: turn::COUNTED, ..Benchmark::new("turn-iamat", 6400, turn::iamat) },
];

impl Benchmark {
    const fn new(name: &'static str, operations: usize, run: fn(usize)) -> Self {
        Self { name, operations, counted: "*herd_bench*micro*counted*", run }
    }
}

/// Does what is counted.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    // Else the call above could become a jump, and this function end before the work.
    std::hint::black_box(());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_benchmark_runs() {
        for benchmark in BENCHMARKS {
            (benchmark.run)(2);
        }
    }

    #[test]
    fn no_two_benchmarks_share_a_name() {
        let names: std::collections::BTreeSet<_> = BENCHMARKS.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), BENCHMARKS.len());
    }
}
