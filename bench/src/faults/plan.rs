//! What is drawn from a round's seed: the herd's shape, the faults, and when each begins and ends.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use super::holding::{Disk, Pair, ServerId};
use super::wire::{Condition, Spoils};

/// The seed's herd.
pub(super) const NAMES: [&str; 5] = ["Alford", "Ball", "Hamilton", "Holiday", "Welsh"];

/// Most faults of a round.
const MOST_FAULTS: usize = 3;

/// What faults can be drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    pub(super) disk: Disk,
    pub(super) has_key: bool,
    /// Servers in namespaces of their own, links without proxies.
    pub(super) has_namespaces: bool,
}

impl Means {
    /// True if servers that are all killed at once come back with their records.
    fn keeps_all(self) -> bool {
        matches!(self.disk, Disk::After(_) | Disk::AtReply)
    }
}

/// The neighbors of a herd of five.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) pairs: Vec<Pair>,
}

/// A fault from its beginning to its end.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) fault: Fault,
    /// From the start of the round.
    pub(super) begins: Duration,
    pub(super) lasts: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    /// kill -9 all of them at once, and start them again.
    Kill(Vec<ServerId>),
    /// kill -9, and start it again with nothing on disk.
    Wipe(ServerId),
    /// SIGTERM, and start it again.
    Stop(ServerId),
    /// SIGSTOP, then SIGCONT.
    Freeze(Vec<ServerId>),
    /// One direction of a link.
    Wire { from: ServerId, to: ServerId, condition: Condition },
    /// All that passes between some servers and the others.
    Partition { side: Vec<ServerId>, condition: Condition },
}

impl Shape {
    /// Half of the time the seed's ring.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let all = NAMES.len();
        let edges = |name, edges: &[(usize, usize)]| Self {
            name,
            pairs: edges.iter().map(|&(a, b)| Pair::new(ServerId(a), ServerId(b))).collect(),
        };
        match rng.u8(..10) {
            // Hamilton - Holiday - Ball - Welsh - Alford - Hamilton
            0..=4 => edges("ring", &[(2, 3), (3, 1), (1, 4), (4, 0), (0, 2)]),
            5 => edges("line", &[(0, 1), (1, 2), (2, 3), (3, 4)]),
            6 => edges("star", &[(0, 1), (0, 2), (0, 3), (0, 4)]),
            7 => {
                let mesh: Vec<_> =
                    (0..all).flat_map(|a| (a + 1..all).map(move |b| (a, b))).collect();
                edges("full mesh", &mesh)
            }
            _ => {
                let mut drawn: BTreeSet<_> = (1..all).map(|at| (rng.usize(..at), at)).collect();
                for _ in 0..rng.usize(..4) {
                    let (a, b) = (rng.usize(..all), rng.usize(..all));
                    if a != b {
                        drawn.insert((a.min(b), a.max(b)));
                    }
                }
                edges("drawn", &drawn.into_iter().collect::<Vec<_>>())
            }
        }
    }
}

/// One to three faults that do not meet at the same server or the same wire.
pub(super) fn draw(rng: &mut Rng, shape: &Shape, means: Means) -> Vec<Planned> {
    let count = rng.usize(1..=MOST_FAULTS);
    let mut planned: Vec<Planned> = Vec::new();
    let mut tries = 0;
    while planned.len() < count && tries < 20 {
        tries += 1;
        let fault = draw_fault(rng, shape, means);
        if planned.iter().any(|other| other.fault.meets(&fault)) {
            continue;
        }
        // With nothing on disk the last one takes all with it.
        let ended: usize = planned.iter().map(|one| one.fault.ends()).sum();
        if !means.keeps_all() && ended + fault.ends() >= NAMES.len() {
            continue;
        }
        let millis = |rng: &mut Rng, least, most| Duration::from_millis(rng.u64(least..=most));
        planned.push(Planned {
            fault,
            begins: millis(rng, 300, 2500),
            lasts: millis(rng, 200, 4000),
        });
    }
    // Whoever is wiped takes with it what nobody else has: with `always` that must be nothing, so all
    // is well when it goes.
    if means.disk == Disk::AtReply
        && let Some(at) = planned.iter().position(|one| matches!(one.fault, Fault::Wipe(_)))
    {
        planned = vec![planned.swap_remove(at)];
    }
    planned.sort_by_key(|one| one.begins);
    planned
}

fn draw_fault(rng: &mut Rng, shape: &Shape, means: Means) -> Fault {
    let has_disk = means.disk != Disk::Absent;
    loop {
        return match rng.u8(..16) {
            0..=2 => {
                let count = rng.usize(1..=3);
                Fault::Kill(some(rng, count))
            }
            3 | 4 if means.keeps_all() => Fault::Kill((0..NAMES.len()).map(ServerId).collect()),
            5 | 6 if has_disk => Fault::Wipe(one(rng)),
            7 => Fault::Stop(one(rng)),
            8 | 9 => {
                let count = rng.usize(1..=2);
                Fault::Freeze(some(rng, count))
            }
            10..=13 => {
                let Pair(a, b) = shape.pairs[rng.usize(..shape.pairs.len())];
                let (from, to) = if rng.bool() { (a, b) } else { (b, a) };
                Fault::Wire { from, to, condition: draw_condition(rng, means) }
            }
            14 | 15 => {
                let condition = if means.has_namespaces || rng.bool() {
                    Condition::Swallowed { forth: true, back: true }
                } else {
                    Condition::Cut { by_reset: true }
                };
                let count = rng.usize(1..=2);
                Fault::Partition { side: some(rng, count), condition }
            }
            _ => continue,
        };
    }
}

fn draw_condition(rng: &mut Rng, means: Means) -> Condition {
    if means.has_namespaces {
        // Packets can only be dropped there.
        let forth = rng.bool();
        return Condition::Swallowed { forth, back: !forth || rng.bool() };
    }
    match rng.u8(..7) {
        0 => Condition::Cut { by_reset: true },
        1 => Condition::Cut { by_reset: false },
        2 | 3 => {
            let forth = rng.bool();
            Condition::Swallowed { forth, back: !forth || rng.bool() }
        }
        4 => Condition::Slow(Duration::from_millis(rng.u64(20..800))),
        5 => Condition::Narrow { bytes_per_second: rng.u32(500..20_000) },
        _ => Condition::Garbled {
            one_in: rng.u32(200..20_000),
            spoils: if means.has_key { Spoils::Flips } else { Spoils::Inserts },
        },
    }
}

fn one(rng: &mut Rng) -> ServerId {
    ServerId(rng.usize(..NAMES.len()))
}

fn some(rng: &mut Rng, count: usize) -> Vec<ServerId> {
    let mut drawn = rng.choose_multiple((0..NAMES.len()).map(ServerId), count);
    drawn.sort();
    drawn
}

impl Fault {
    /// What the summary counts it as.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Kill(victims) if victims.len() == NAMES.len() => "all killed",
            Self::Kill(victims) if victims.len() > 1 => "several killed",
            Self::Kill(_) => "killed",
            Self::Wipe(_) => "killed and wiped",
            Self::Stop(_) => "stopped",
            Self::Freeze(_) => "frozen",
            Self::Partition { .. } => "partition",
            Self::Wire { condition, .. } => match condition {
                Condition::Whole => "nothing",
                Condition::Cut { .. } => "link cut",
                Condition::Swallowed { forth: true, back: true } => "link silent",
                Condition::Swallowed { .. } => "link half-open",
                Condition::Slow(_) => "link slow",
                Condition::Narrow { .. } => "link narrow",
                Condition::Garbled { .. } => "link garbled",
            },
        }
    }

    /// How many servers lose what they have in memory.
    fn ends(&self) -> usize {
        match self {
            Self::Kill(victims) => victims.len(),
            Self::Wipe(_) | Self::Stop(_) => 1,
            Self::Freeze(_) | Self::Wire { .. } | Self::Partition { .. } => 0,
        }
    }

    /// The servers that it is done to.
    fn victims(&self) -> &[ServerId] {
        match self {
            Self::Kill(victims) | Self::Freeze(victims) => victims,
            Self::Wipe(victim) | Self::Stop(victim) => std::slice::from_ref(victim),
            Self::Wire { .. } | Self::Partition { .. } => &[],
        }
    }

    /// True if both can't be done at a time.
    fn meets(&self, other: &Self) -> bool {
        let is_of_links = |fault: &Self| fault.victims().is_empty();
        match (self, other) {
            (Self::Wire { from, to, .. }, Self::Wire { from: a, to: b, .. }) => {
                Pair::new(*from, *to) == Pair::new(*a, *b)
            }
            _ if is_of_links(self) && is_of_links(other) => true,
            _ => self.victims().iter().any(|victim| other.victims().contains(victim)),
        }
    }
}

/// `kill -9 Ball and Welsh`, `Alford > Welsh: silent`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names =
            |ids: &[ServerId]| ids.iter().map(|id| NAMES[id.0]).collect::<Vec<_>>().join(" and ");
        match self {
            Self::Kill(victims) if victims.len() == NAMES.len() => f.write_str("kill -9 all"),
            Self::Kill(victims) => write!(f, "kill -9 {}", names(victims)),
            Self::Wipe(victim) => write!(f, "kill -9 {} and remove its data", NAMES[victim.0]),
            Self::Stop(victim) => write!(f, "stop {}", NAMES[victim.0]),
            Self::Freeze(victims) => write!(f, "freeze {}", names(victims)),
            Self::Wire { from, to, condition } => {
                write!(f, "{} > {} {condition}", NAMES[from.0], NAMES[to.0])
            }
            Self::Partition { side, condition } => {
                write!(f, "{} apart from the others: {condition}", names(side))
            }
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("whole"),
            Self::Cut { by_reset: true } => f.write_str("reset"),
            Self::Cut { by_reset: false } => f.write_str("closed"),
            Self::Swallowed { forth: true, back: true } => f.write_str("silent both ways"),
            Self::Swallowed { forth: true, .. } => f.write_str("silent forth"),
            Self::Swallowed { .. } => f.write_str("silent back"),
            Self::Slow(delay) => write!(f, "delayed by {delay:?}"),
            Self::Narrow { bytes_per_second } => write!(f, "{bytes_per_second} B/s"),
            Self::Garbled { one_in, .. } => write!(f, "one byte in {one_in} garbled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEANS: Means =
        Means { disk: Disk::After(Duration::from_secs(1)), has_key: false, has_namespaces: false };

    fn drawn(means: Means) -> impl Iterator<Item = Vec<Planned>> {
        (0..2000).map(move |seed| {
            let mut rng = Rng::with_seed(seed);
            let shape = Shape::draw(&mut rng);
            draw(&mut rng, &shape, means)
        })
    }

    fn kinds(means: Means) -> BTreeSet<&'static str> {
        drawn(means).flatten().map(|one| one.fault.kind()).collect()
    }

    #[test]
    fn every_shape_is_in_one_piece() {
        for seed in 0..500 {
            let shape = Shape::draw(&mut Rng::with_seed(seed));
            let mut reached = BTreeSet::from([ServerId(0)]);
            for _ in 0..NAMES.len() {
                for Pair(a, b) in &shape.pairs {
                    if reached.contains(a) || reached.contains(b) {
                        reached.extend([*a, *b]);
                    }
                }
            }
            assert_eq!(reached.len(), NAMES.len(), "{} of seed {seed}", shape.name);
        }
    }

    #[test]
    fn every_kind_of_fault_is_drawn_with_the_means_for_it() {
        let in_memory = kinds(Means { disk: Disk::Absent, ..MEANS });
        assert!(!in_memory.contains("all killed") && !in_memory.contains("killed and wiped"));
        let with_disk = kinds(MEANS);
        assert_eq!(with_disk.len(), 13, "{with_disk:?}");
        let between_namespaces = kinds(Means { has_namespaces: true, ..MEANS });
        assert!(!between_namespaces.contains("link garbled"), "{between_namespaces:?}");
    }

    #[test]
    fn no_two_faults_of_a_round_meet() {
        for plan in drawn(MEANS) {
            assert!((1..=MOST_FAULTS).contains(&plan.len()));
            for (at, one) in plan.iter().enumerate() {
                assert!(plan[at + 1..].iter().all(|other| !one.fault.meets(&other.fault)));
            }
        }
    }

    #[test]
    fn with_nothing_on_disk_one_server_lives_through_every_round() {
        for plan in drawn(Means { disk: Disk::Absent, ..MEANS }) {
            let ended: usize = plan.iter().map(|one| one.fault.ends()).sum();
            assert!(ended < NAMES.len(), "{plan:?}");
        }
    }

    #[test]
    fn with_always_a_server_is_wiped_while_all_else_is_well() {
        for plan in drawn(Means { disk: Disk::AtReply, ..MEANS }) {
            assert!(plan.len() == 1 || !plan.iter().any(|one| matches!(one.fault, Fault::Wipe(_))));
        }
    }
}
