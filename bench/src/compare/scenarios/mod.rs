//! What is measured: a file a scenario. Each says its trials, and what of them the report shows.

use super::bench::{Bench, Plan, Trial};
use super::measure::{CPU, P50, P99, P999, RATE};
use super::sample::Samples;
use super::scale::Scale;

mod away;
mod convergence;
mod cores;
mod idle;
mod latency;
mod memory;
mod slow_places;
mod throughput;

/// Work that the rivals do, and what is shown of it.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// The part of a full run that it belongs to.
    pub(super) part: &'static str,
    pub(super) title: &'static str,
    /// What is done, for the report; with how many clients.
    pub(super) about: fn(&Scale) -> String,
    /// In the order of the columns.
    pub(super) settings: fn(&Scale) -> Vec<String>,
    pub(super) plan: fn(&Bench, &Samples) -> Plan,
    pub(super) figures: &'static [Figure],
}

/// One table, and one plot, of a scenario.
#[derive(Clone, Copy)]
pub(super) struct Figure {
    pub(super) title: &'static str,
    pub(super) measure: &'static str,
    /// Better when there is more of it.
    pub(super) more_is_better: bool,
    /// Taken from the merged histograms of these latencies, at this quantile, in microseconds.
    pub(super) percentile: Option<(&'static str, f64)>,
    /// A circumstance, by which nobody is better: without ratios, and without a plot.
    pub(super) is_circumstance: bool,
    pub(super) shows: Shows,
}

/// Which settings of its scenario a figure shows.
#[derive(Clone, Copy)]
pub(super) enum Shows {
    All,
    Those(fn(&str) -> bool),
    /// As a multiple of the value in another setting, in the same round. Settings that have no other are left
    /// out.
    Over(fn(&str) -> Option<String>),
}

impl Shows {
    pub(super) fn includes(self, setting: &str) -> bool {
        match self {
            Self::All => true,
            Self::Those(includes) => includes(setting),
            Self::Over(base) => base(setting).is_some(),
        }
    }
}

const fn figure(title: &'static str, measure: &'static str, more_is_better: bool) -> Figure {
    let (percentile, is_circumstance, shows) = (None, false, Shows::All);
    Figure { title, measure, more_is_better, percentile, is_circumstance, shows }
}

const fn more(title: &'static str, measure: &'static str) -> Figure {
    figure(title, measure, true)
}

const fn less(title: &'static str, measure: &'static str) -> Figure {
    figure(title, measure, false)
}

const fn latency(
    title: &'static str,
    measure: &'static str,
    of: &'static str,
    quantile: f64,
) -> Figure {
    Figure { percentile: Some((of, quantile)), ..less(title, measure) }
}

const fn beside(figure: Figure) -> Figure {
    Figure { is_circumstance: true, ..figure }
}

const fn showing(shows: Shows, figure: Figure) -> Figure {
    Figure { shows, ..figure }
}

const THROUGHPUT: &[Figure] = &[
    more("Requests a second", RATE),
    less("Server CPU a request, microseconds", CPU),
    latency("p99 in a closed loop, microseconds", P99, "IAMAT", 0.99),
    beside(more("Fewest replies of a connection / most", "fewest/most replies a connection")),
    beside(less("Cores that the generator took", "generator cores")),
];

/// All of them, in the order of the report.
pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: throughput::FEW,
        part: "throughput",
        title: "Throughput, one request outstanding",
        about: |scale| {
            format!(
                "IAMAT in a closed loop, one request outstanding on each connection, {} clients drawn uniformly.",
                scale.clients
            )
        },
        settings: throughput::settings,
        plan: throughput::plan,
        figures: THROUGHPUT,
    },
    Scenario {
        name: throughput::PIPELINED,
        part: "pipelined",
        title: "Throughput, pipelined",
        about: |scale| {
            format!(
                "IAMAT in a closed loop, {} connections with {} requests outstanding on each, {} clients drawn \
                 uniformly.",
                throughput::PIPELINES,
                throughput::DEPTH,
                scale.clients
            )
        },
        settings: throughput::pipelined_settings,
        plan: throughput::plan_pipelined,
        figures: THROUGHPUT,
    },
    Scenario {
        name: throughput::ONE_SHOT,
        part: "pipelined",
        title: "A connection for each command",
        about: |scale| {
            format!(
                "As the report's own server does it, and here everybody with commands_per_connection = 1: \
                 connect, IAMAT, reply, end; {} clients drawn uniformly.",
                scale.clients
            )
        },
        settings: throughput::one_shot_settings,
        plan: throughput::plan_one_shot,
        figures: &[
            more("Requests a second", RATE),
            less("Server CPU a request, microseconds", CPU),
            latency("p99 with the time for the connection, microseconds", P99, "IAMAT", 0.99),
        ],
    },
    Scenario {
        name: latency::NAME,
        part: "latency",
        title: "Latency at fixed rates",
        about: |scale| {
            format!(
                "IAMAT at a rate that does not depend on the server, evenly spaced over {} connections; latency \
                 counts from when a request was due. The rates are parts of the slowest rival's closed-loop maximum \
                 on as many connections (the same for all), and of each one's own. {} clients drawn uniformly.",
                scale.some_connections(),
                scale.clients
            )
        },
        settings: latency::settings,
        plan: latency::plan,
        figures: &[
            latency("p50, microseconds", P50, "IAMAT", 0.5),
            latency("p99, microseconds", P99, "IAMAT", 0.99),
            latency("p99.9, microseconds", P999, "IAMAT", 0.999),
            less("Server CPU a request, microseconds", CPU),
            beside(more("Requests due a second", "due/s")),
            beside(less(
                "Lateness of the generator itself, p99, microseconds",
                "generator late p99 us",
            )),
        ],
    },
    Scenario {
        name: slow_places::NAME,
        part: "slow-places",
        title: "Slow places",
        about: |scale| {
            format!(
                "A places service that takes its time: {} requests a second in all, a tenth of them WHATSAT on \
                 connections of their own. At a fixed rate the figures are those of IAMAT; in the closed loop IAMAT goes as fast \
                 as it can beside as many WHATSAT. {} clients report, 1,000 are asked for.",
                slow_places::PER_SECOND,
                scale.clients
            )
        },
        settings: slow_places::settings,
        plan: slow_places::plan,
        figures: &[
            latency("p99 of IAMAT, microseconds", P99, "IAMAT", 0.99),
            showing(Shows::Those(slow_places::is_closed_loop), more("IAMAT a second", RATE)),
            less("p50 of WHATSAT, microseconds", slow_places::WHATSAT_P50),
            beside(less("WHATSAT that got no places", slow_places::WITHOUT_PLACES)),
        ],
    },
    Scenario {
        name: idle::NAME,
        part: "idle",
        title: "Idle connections",
        about: |scale| {
            format!(
                "16 connections x 1 outstanding IAMAT, alone and beside connections that say nothing; {} clients \
                 drawn uniformly. Memory is the difference to a server without them (and without the threads that \
                 the rival has for them), over their number; the kernel's is of both ends of a connection.",
                scale.clients
            )
        },
        settings: idle::settings,
        plan: idle::plan,
        figures: &[
            less("Resident bytes an idle connection", idle::RESIDENT),
            less("Kernel bytes an idle connection", idle::KERNEL),
            more("Throughput beside them, as a part of that alone", idle::RATE_KEPT),
            less("p99 beside them, as a multiple of that alone", idle::P99_GROWN),
        ],
    },
    Scenario {
        name: convergence::NAME,
        part: "herd",
        title: "Convergence of five servers",
        about: |scale| {
            format!(
                "Five servers in the seed's ring: from before an IAMAT is sent to one until the other four answer \
                 WHATSAT with it, {} updates a sample; idle, and beside {} IAMAT a second of new clients over all servers. \
                 UPDATE lines are counted in the servers' logs; bytes are those on the loopback, headers and \
                 acknowledgements too, less those of the clients.",
                scale.updates,
                convergence::PER_SECOND
            )
        },
        settings: convergence::settings,
        plan: convergence::plan,
        figures: &[
            latency("p50 until all know, microseconds", P50, "update", 0.5),
            latency("p99 until all know, microseconds", P99, "update", 0.99),
            beside(less("UPDATE lines received, an update", convergence::MESSAGES)),
            beside(less("Bytes between the servers, an update", convergence::BYTES)),
        ],
    },
    Scenario {
        name: convergence::FLOOD,
        part: "herd",
        title: "Updates a second, herd-wide",
        about: |scale| {
            format!(
                "Five servers in the seed's ring, each given ever new clients as fast as it answers for {:?}: distinct \
                 records that all five hold, over the time until they do. Every one of them is looked for.",
                scale.flood_for
            )
        },
        settings: convergence::flood_settings,
        plan: convergence::plan_flood,
        figures: &[
            more("Distinct records at all five servers, a second", convergence::RECORDS),
            beside(more("Reports answered a second, over all servers", "accepted/s")),
            beside(less("Records missing at a server in the end", convergence::LOST)),
        ],
    },
    Scenario {
        name: away::NAME,
        part: "away",
        title: "A neighbor away",
        about: |scale| {
            format!(
                "Five servers in the seed's ring, {} IAMAT a second of new clients at four of them. The fifth is killed \
                 for {:?} and comes back with nothing on disk.",
                away::PER_SECOND,
                scale.away_for
            )
        },
        settings: away::settings,
        plan: away::plan,
        figures: &[
            less("Seconds until it holds all from before its return", away::EQUAL_AFTER),
            beside(less("Records that never came", away::NEVER)),
        ],
    },
    Scenario {
        name: cores::NAME,
        part: "cores",
        title: "One core, and two",
        about: |scale| {
            format!(
                "Server and generator on one core, then on two (CPU affinity); IAMAT in a closed loop, {} clients \
                 drawn uniformly.",
                scale.clients
            )
        },
        settings: cores::settings,
        plan: cores::plan,
        figures: &[
            more("Requests a second", RATE),
            showing(
                Shows::Over(cores::with_one),
                more("Requests a second on two cores, as a multiple of those on one", RATE),
            ),
            less("Server CPU a request, microseconds", CPU),
            showing(
                Shows::Over(cores::with_one),
                less("Server CPU a request on two cores, as a multiple of that on one", CPU),
            ),
        ],
    },
    Scenario {
        name: memory::NAME,
        part: "memory",
        title: "Memory of a record",
        about: |scale| {
            format!(
                "{} records: client 20 bytes, location 22, time 20; what the process grew by, over their number. No \
                 traffic log.",
                scale.records
            )
        },
        settings: memory::settings,
        plan: memory::plan,
        figures: &[less("Resident bytes a record", memory::RESIDENT)],
    },
];

/// Who is no rival.
pub(super) const REFERENCES: &[&str] = throughput::REFERENCES;

/// The names of the parts, in order.
pub(super) fn parts() -> Vec<&'static str> {
    let mut parts: Vec<_> = ALL.iter().map(|scenario| scenario.part).collect();
    parts.dedup();
    parts
}
