//! The rules for herds and neighbors, against servers that keep them and servers that have a fault:
//! each rule is broken by one, and found so.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use herd::check::{Neighbor, Only, Outcome, Settings, Target, Verdict, check_herd, herd_rules};
use herd::protocol::ServerName;

use crate::faulty::{Fault, Faulty, pair};
use crate::ports;

const OTHER: &str = "Other";

/// When a fault is found, and what is said of it.
#[derive(Clone, Copy)]
enum Found {
    /// As soon as it shows, however slow the machine is.
    AtOnce(&'static str),
    /// When what must come has not come.
    AtTheDeadline(&'static str),
}

use Found::{AtOnce, AtTheDeadline};

/// A fault, a rule that it breaks, and how that is found.
type Broken = (Fault, &'static str, Found);

const HERD: &[Broken] = &[
    (
        Fault::KeepsReportsToItself,
        "a report to any server is known at",
        AtTheDeadline("still answers this"),
    ),
    (Fault::LetsTheFirstWin, "a newer report to another server", AtOnce("this is not")),
    (
        Fault::AnswersWithTheReportItself,
        "an older report to another server",
        AtOnce("knows better"),
    ),
    (Fault::RestampsEqualReports, "a report of the same bytes", AtOnce("knows better")),
    (Fault::LetsTheFirstTieWin, "of reports with equal times", AtTheDeadline("still answers this")),
    (
        Fault::LetsTheGreaterSkewWin,
        "updates that come to servers in different",
        AtTheDeadline("still answers"),
    ),
    (Fault::AnswersTheOneBefore, "no server says an older thing", AtOnce("goes back")),
    (Fault::LosesOneOfMany, "a burst of reports to all servers", AtTheDeadline("and so for")),
];

const NEIGHBOR: &[Broken] = &[
    (
        Fault::NeverDials,
        "a report reaches the neighbor as an UPDATE",
        AtTheDeadline("no connection came"),
    ),
    (Fault::TellsTheNeighborTwice, "a report is flooded once", AtOnce("2 came")),
    (
        Fault::TellsTheNeighborWhatIsNotNewer,
        "a report that is not newer is not flooded",
        AtOnce("came"),
    ),
    (
        Fault::TellsTheNeighborOnlyOfItsOwnClients,
        "a report to another server",
        AtTheDeadline("did not come"),
    ),
    (
        Fault::IgnoresUpdates,
        "an update of the neighbor is known at every",
        AtTheDeadline("still answers this"),
    ),
    (
        Fault::TellsTheNeighborItsOwnUpdates,
        "an update of the neighbor is not sent back",
        AtOnce("1 came"),
    ),
    (
        Fault::LeavesTheSender,
        "an update of another sender is flooded",
        AtTheDeadline("did not come"),
    ),
    (Fault::LeavesTheSkew, "an update of another sender is flooded", AtTheDeadline("did not come")),
    (
        Fault::TellsTheNeighborWhatIsNotNewer,
        "an update that is not newer is not flooded",
        AtOnce("came"),
    ),
    (Fault::DialsOnce, "a connection that is cut is dialed again", AtTheDeadline("did not come")),
    (
        Fault::SendsOnlyWhatComesLater,
        "reports made while the neighbor refused",
        AtTheDeadline("did not come"),
    ),
    (
        Fault::SendsOnlyWhatComesLater,
        "all that is known is sent on each",
        AtTheDeadline("did not come"),
    ),
    (Fault::Queues, "a neighbor that does not read", AtOnce("20000 lines for 20000 reports")),
    (
        Fault::QueuesNewestFirst,
        "a neighbor that does not read",
        AtOnce("an older report after a newer"),
    ),
    (
        Fault::GreetsItsNeighbor,
        "every line that the neighbor gets is an UPDATE",
        AtOnce("this is none"),
    ),
];

/// Longer than anything takes on a busy machine. No test waits for it to pass.
fn patient() -> Settings {
    Settings { deadline: Duration::from_secs(30), ..Settings::default() }
}

/// For what does not come.
fn impatient() -> Settings {
    Settings { deadline: Duration::from_millis(700), ..Settings::default() }
}

fn targets(servers: &[Faulty]) -> Vec<Target> {
    let target = |server: &Faulty| Target {
        addr: server.addr,
        name: ServerName::parse(server.name.as_bytes()).unwrap(),
    };
    servers.iter().map(target).collect()
}

fn held_together(fault: Option<Fault>, settings: &Settings, only: &str) -> Vec<Outcome> {
    let servers = pair(fault, None);
    let mut outcomes = Vec::new();
    check_herd(&targets(&servers), settings, &Only(only.into()), |it| outcomes.push(it)).unwrap();
    outcomes
}

fn held_beside(fault: Option<Fault>, settings: &Settings, only: &str) -> Vec<Outcome> {
    let addr: SocketAddr = ports::listener().local_addr().unwrap();
    let name = ServerName::parse(OTHER.as_bytes()).unwrap();
    let neighbor = Neighbor::new(name, &addr.to_string()).unwrap();
    let servers = pair(fault, Some((OTHER, addr)));
    let mut outcomes = Vec::new();
    let told = |outcome| outcomes.push(outcome);
    neighbor.check(&targets(&servers), settings, &Only(only.into()), told).unwrap();
    outcomes
}

type HeldTo = fn(Option<Fault>, &Settings, &str) -> Vec<Outcome>;

#[track_caller]
fn all_hold(outcomes: &[Outcome], rules: usize) {
    for Outcome { rule, verdict, .. } in outcomes {
        assert_eq!(*verdict, Verdict::Holds, "{rule}");
    }
    assert_eq!(outcomes.len(), rules);
}

/// Each fault is found, all of them at the same time, and no rule is without one that breaks it.
#[track_caller]
fn each_is_found(broken: &[Broken], all: BTreeSet<&str>, held_to: HeldTo) {
    let find = |(fault, rule, found): Broken| {
        let (settings, why) = match found {
            AtOnce(why) => (patient(), why),
            AtTheDeadline(why) => (impatient(), why),
        };
        let outcomes = held_to(Some(fault), &settings, rule);
        let [Outcome { rule, verdict: Verdict::Fails(mismatch), .. }] = &outcomes[..] else {
            panic!("{fault:?}: {rule}: {outcomes:?}")
        };
        assert!(mismatch.problem.contains(why), "{fault:?}: {rule}: {mismatch}");
        rule.clone()
    };
    let found: BTreeSet<_> = thread::scope(|scope| {
        let finding: Vec<_> = broken.iter().map(|it| scope.spawn(move || find(*it))).collect();
        finding.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), all);
}

#[test]
fn servers_without_a_fault_keep_every_rule_for_herds() {
    all_hold(&held_together(None, &patient(), ""), herd_rules(&Only::default()).count());
}

#[test]
fn servers_without_a_fault_keep_every_rule_for_neighbors() {
    all_hold(&held_beside(None, &patient(), ""), Neighbor::rules(&Only::default()).count());
}

#[test]
fn each_rule_for_herds_is_broken_by_a_fault_and_found_so() {
    each_is_found(HERD, herd_rules(&Only::default()).collect(), held_together);
}

#[test]
fn each_rule_for_neighbors_is_broken_by_a_fault_and_found_so() {
    each_is_found(NEIGHBOR, Neighbor::rules(&Only::default()).collect(), held_beside);
}

#[test]
fn without_a_connection_to_the_neighbor_the_other_rules_are_skipped() {
    let outcomes = held_beside(Some(Fault::NeverDials), &impatient(), "");
    let (first, others) = outcomes.split_first().unwrap();
    assert!(matches!(first.verdict, Verdict::Fails(_)), "{first:?}");
    for other in others {
        assert!(matches!(other.verdict, Verdict::Skipped(_)), "{other:?}");
    }
}

#[test]
fn rules_of_updates_are_skipped_where_those_are_closed() {
    let closed = Settings { updates: false, ..patient() };
    let is_skipped = |outcomes: &[Outcome]| matches!(outcomes[0].verdict, Verdict::Skipped(_));
    assert!(is_skipped(&held_together(None, &closed, "updates that come to servers")));
    assert!(is_skipped(&held_beside(None, &closed, "an update of another sender")));
}
