//! What the contract lets the herd lose: a model of who holds a record for certain, out of what was
//! done to servers and links. A record that some server has to hold and none does is a failure.
//!
//! "Stored in this server's memory and queued to every link that is up; with a data directory, on disk as
//! the `durability` setting says": so a holder loses what is in memory when it is killed, a neighbor
//! has a record [`ABOUT_A_SECOND`] after the link could carry it, and the disk has it as the setting says.

use std::time::{Duration, Instant};

/// The contract's "about a second": from a reply until the neighbors have the record, for certain. Two,
/// on a machine that is busy with the whole herd and its clients; the ages of losses are printed.
pub(super) const ABOUT_A_SECOND: Duration = Duration::from_secs(2);

/// From when two servers can reach each other again until their link is up and in use, for certain: the
/// one that did not notice takes `[links] timeout` to, then comes the redial.
pub(super) const IN_USE_WITHIN: Duration = Duration::from_secs(6);

/// A server of the herd, by its place in the conf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ServerId(pub(super) usize);

/// Two neighbors, the smaller first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pair(pub(super) ServerId, pub(super) ServerId);

impl Pair {
    pub(super) fn new(one: ServerId, other: ServerId) -> Self {
        Self(one.min(other), one.max(other))
    }
}

/// What was done. Each is noted before it is done if it can lose something, and after if it mends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Killed(ServerId),
    /// Told to stop: it sends what it has before it ends.
    Stopped(ServerId),
    /// What it had on disk is gone.
    Wiped(ServerId),
    /// It serves again, with what is on its disk.
    Started(ServerId),
    Frozen(ServerId),
    Thawed(ServerId),
    /// The link between them does not carry all that it should.
    Broken(Pair),
    Whole(Pair),
    /// All servers were found to hold all that they should.
    Agreed,
}

/// When a record is on the disk of a server that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    /// There is none.
    Absent,
    /// When the system gets to it, or at a stop.
    AtStop,
    /// So long after it was taken.
    After(Duration),
    /// Before the reply.
    AtReply,
}

/// What was answered, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    pub(super) origin: ServerId,
    /// Before the report was sent.
    pub(super) sent: Instant,
    /// After its reply had come.
    pub(super) answered: Instant,
}

/// All that was done to a herd since it started, with nothing wrong.
pub(super) struct Timeline {
    servers: usize,
    pairs: Vec<Pair>,
    disk: Disk,
    events: Vec<(Instant, Event)>,
}

impl Timeline {
    pub(super) fn new(servers: usize, pairs: Vec<Pair>, disk: Disk) -> Self {
        Self { servers, pairs, disk, events: Vec::new() }
    }

    pub(super) fn note(&mut self, event: Event) {
        self.note_at(Instant::now(), event);
    }

    fn note_at(&mut self, when: Instant, event: Event) {
        self.events.push((when, event));
    }

    /// True if the contract does not say that anybody holds the record now.
    pub(super) fn may_be_lost(&self, birth: Birth, now: Instant) -> bool {
        let mut world = World::new(self);
        let (before, since) =
            self.events.split_at(self.events.partition_point(|(when, _)| *when < birth.sent));
        for (when, event) in before {
            world.apply(*event, *when);
        }
        world.bear(birth);
        for (when, event) in since {
            world.spread(*when);
            world.apply(*event, *when);
        }
        world.spread(now);
        world.servers.iter().all(|server| server.held_since.is_none())
    }

    /// From the reply until the origin lost its memory, if it did.
    pub(super) fn age_at_kill(&self, birth: Birth) -> Option<Duration> {
        let is_end =
            |event| event == Event::Killed(birth.origin) || event == Event::Stopped(birth.origin);
        let mut ends =
            self.events.iter().filter(|(when, event)| *when >= birth.sent && is_end(*event));
        ends.next().map(|(when, _)| when.saturating_duration_since(birth.answered))
    }
}

/// Where one record is for certain, at a moment.
struct World<'a> {
    timeline: &'a Timeline,
    servers: Vec<Holder>,
    /// Since when the pair can exchange updates; `None`: it can't.
    whole: Vec<Option<Since>>,
}

#[derive(Clone, Default)]
struct Holder {
    /// `None`: it is down or frozen.
    runs: Option<Since>,
    /// When it got the record into its memory.
    held_since: Option<Instant>,
    has_on_disk: bool,
}

/// `Start`: from before the first report, in use already.
#[derive(Clone, Copy, Debug, Default)]
enum Since {
    #[default]
    Start,
    Then(Instant),
}

impl Since {
    /// What came up then is in use, as far as it matters for what happened at `when`.
    fn or_in_use(self, when: Instant) -> Instant {
        match self {
            Self::Start => when,
            Self::Then(since) => when.max(since + IN_USE_WITHIN),
        }
    }
}

impl<'a> World<'a> {
    fn new(timeline: &'a Timeline) -> Self {
        let server = Holder { runs: Some(Since::Start), ..Holder::default() };
        Self {
            timeline,
            servers: vec![server; timeline.servers],
            whole: vec![Some(Since::Start); timeline.pairs.len()],
        }
    }

    fn bear(&mut self, birth: Birth) {
        let origin = &mut self.servers[birth.origin.0];
        // Else it was answered in the moment between the note of its end and its end.
        if origin.runs.is_some() {
            origin.held_since = Some(birth.answered);
        }
        origin.has_on_disk = self.timeline.disk == Disk::AtReply;
    }

    /// Passes the record on, as far as it has to have come by then.
    fn spread(&mut self, until: Instant) {
        while let Some((to, when)) = self.next_to_get() {
            if when > until {
                break;
            }
            self.servers[to.0].held_since = Some(when);
        }
        let on_disk_after = match self.timeline.disk {
            Disk::After(interval) => interval,
            Disk::AtReply => Duration::ZERO,
            Disk::Absent | Disk::AtStop => return,
        };
        for server in &mut self.servers {
            let (Some(held), Some(runs)) = (server.held_since, server.runs) else { continue };
            let works_since = match runs {
                Since::Start => held,
                Since::Then(since) => held.max(since),
            };
            server.has_on_disk |= works_since + on_disk_after + ABOUT_A_SECOND <= until;
        }
    }

    /// Who gets the record next, and when at the latest.
    fn next_to_get(&self) -> Option<(ServerId, Instant)> {
        let passes = (0..self.whole.len()).filter_map(|at| self.passes(at));
        passes.min_by_key(|(_, when)| *when)
    }

    /// Over this pair, if one has it and the other not.
    fn passes(&self, at: usize) -> Option<(ServerId, Instant)> {
        let Pair(a, b) = self.timeline.pairs[at];
        let (to, held) = match (self.servers[a.0].held_since, self.servers[b.0].held_since) {
            (Some(held), None) => (b, held),
            (None, Some(held)) => (a, held),
            _ => return None,
        };
        let whole = self.whole[at]?;
        let ends = [whole, self.servers[a.0].runs?, self.servers[b.0].runs?];
        let in_use = ends.into_iter().fold(held, |when, since| since.or_in_use(when));
        Some((to, in_use + ABOUT_A_SECOND))
    }

    fn apply(&mut self, event: Event, when: Instant) {
        let place = |pair| self.timeline.pairs.iter().position(|other| *other == pair);
        match event {
            Event::Killed(id) => self.end(id),
            Event::Stopped(id) => {
                if self.servers[id.0].held_since.is_some() {
                    for at in 0..self.whole.len() {
                        match self.passes(at) {
                            Some((to, by)) if by <= when + ABOUT_A_SECOND && to != id => {
                                self.servers[to.0].held_since = Some(when);
                            }
                            _ => {}
                        }
                    }
                    self.servers[id.0].has_on_disk |= self.timeline.disk != Disk::Absent;
                }
                self.end(id);
            }
            Event::Wiped(id) => self.servers[id.0].has_on_disk = false,
            Event::Started(id) => {
                let server = &mut self.servers[id.0];
                server.runs = Some(Since::Then(when));
                server.held_since = server.has_on_disk.then_some(when);
            }
            Event::Frozen(id) => self.servers[id.0].runs = None,
            Event::Thawed(id) => self.servers[id.0].runs = Some(Since::Then(when)),
            Event::Broken(pair) => {
                if let Some(at) = place(pair) {
                    self.whole[at] = None;
                }
            }
            Event::Whole(pair) => {
                if let Some(at) = place(pair) {
                    self.whole[at] = Some(Since::Then(when));
                }
            }
            Event::Agreed => {
                let is_known = self.servers.iter().any(|server| server.held_since.is_some());
                for server in self.servers.iter_mut().filter(|_| is_known) {
                    server.held_since.get_or_insert(when);
                }
            }
        }
    }

    fn end(&mut self, id: ServerId) {
        self.servers[id.0].runs = None;
        self.servers[id.0].held_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ServerId = ServerId(0);
    const B: ServerId = ServerId(1);
    const C: ServerId = ServerId(2);

    /// A line of three, A - B - C; a report to A, sent at second 10 and answered at 10.1; what was done at
    /// which second; whether it may be lost at second 100.
    #[track_caller]
    fn check(disk: Disk, done: &[(f64, Event)], may_be_lost: bool) {
        let start = Instant::now();
        let at = |second: f64| start + Duration::from_secs_f64(second);
        let mut timeline = Timeline::new(3, vec![Pair(A, B), Pair(B, C)], disk);
        for (second, event) in done {
            timeline.note_at(at(*second), *event);
        }
        let birth = Birth { origin: A, sent: at(10.0), answered: at(10.1) };
        assert_eq!(timeline.may_be_lost(birth, at(100.0)), may_be_lost, "{done:?}");
    }

    #[test]
    fn what_nothing_was_done_to_is_there() {
        check(Disk::Absent, &[], false);
        check(Disk::Absent, &[(9.0, Event::Killed(C)), (11.0, Event::Started(C))], false);
    }

    #[test]
    fn an_origin_that_is_killed_loses_what_is_younger_than_about_a_second() {
        check(Disk::Absent, &[(10.05, Event::Killed(A)), (20.0, Event::Started(A))], true);
        check(Disk::Absent, &[(11.0, Event::Killed(A)), (20.0, Event::Started(A))], true);
        check(Disk::Absent, &[(13.0, Event::Killed(A)), (20.0, Event::Started(A))], false);
    }

    #[test]
    fn an_origin_that_is_cut_off_or_frozen_has_told_nobody() {
        let broken = (9.0, Event::Broken(Pair(A, B)));
        let killed = (30.0, Event::Killed(A));
        check(Disk::Absent, &[broken, killed], true);
        check(Disk::Absent, &[broken, (12.0, Event::Whole(Pair(A, B))), killed], false);
        check(Disk::Absent, &[broken, (25.0, Event::Whole(Pair(A, B))), killed], true);
        check(Disk::Absent, &[(10.5, Event::Frozen(A)), killed], true);
        check(Disk::Absent, &[(10.5, Event::Frozen(A)), (20.0, Event::Thawed(A)), killed], false);
    }

    #[test]
    fn a_neighbor_that_is_killed_too_has_passed_it_on_or_not() {
        let a = (12.5, Event::Killed(A));
        check(Disk::Absent, &[a, (13.0, Event::Killed(B))], true);
        check(Disk::Absent, &[a, (15.0, Event::Killed(B))], false);
    }

    #[test]
    fn the_disk_has_it_as_the_setting_says() {
        let all = |second| [A, B, C].map(|id| (second, Event::Killed(id)));
        let back = [A, B, C].map(|id| (50.0, Event::Started(id)));
        let done = |second| [all(second), back].concat();
        let interval = Disk::After(Duration::from_secs(1));
        check(Disk::Absent, &done(60.0), true);
        check(Disk::AtStop, &done(40.0), true);
        check(interval, &done(12.0), true);
        check(interval, &done(13.5), false);
        check(Disk::AtReply, &done(10.05), false);
        check(
            Disk::AtReply,
            &[all(12.0), [A, B, C].map(|id| (13.0, Event::Wiped(id))), back].concat(),
            true,
        );
    }

    #[test]
    fn a_server_that_is_told_to_stop_tells_its_neighbors_first() {
        check(Disk::Absent, &[(10.5, Event::Stopped(A)), (20.0, Event::Started(A))], false);
        let broken = (9.0, Event::Broken(Pair(A, B)));
        check(Disk::Absent, &[broken, (10.5, Event::Stopped(A))], true);
        check(Disk::AtStop, &[broken, (10.5, Event::Stopped(A)), (20.0, Event::Started(A))], false);
    }

    #[test]
    fn what_was_found_everywhere_is_everywhere() {
        let broken = (9.0, Event::Broken(Pair(A, B)));
        check(Disk::Absent, &[broken, (11.0, Event::Agreed), (11.1, Event::Killed(A))], false);
    }
}
