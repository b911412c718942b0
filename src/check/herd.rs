//! The rules between the servers of a herd, whatever its shape: what one of them is told all of
//! them come to say, in the same bytes.

use std::collections::BTreeMap;

use super::ask::{
    all_become_known, ask_all, ask_one, becomes_known, fact_of, iamat, report, seconds, unique,
};
use super::burst;
use super::fact::Fact;
use super::outcome::Outcome;
use super::rule::{Need, Only, Rule, Stage, try_all};
use super::run::clock;
use super::suite::Target;
use super::{Mismatch, Settings, escaped};

const GROUP: &str = "herd";

/// Clients that are reported to several servers at once with equal times: some of them meet
/// between two servers whatever the clocks are.
const TIES: usize = 20;

type Held = Result<(), Mismatch>;

const RULES: &[Rule<Servers>] = &[
    Rule::new("a report to any server is known at every other", &[], is_known_everywhere),
    Rule::new("a newer report to another server replaces it everywhere", &[], a_newer_one_replaces),
    Rule::new(
        "an older report to another server is answered with the newer line and changes nothing",
        &[],
        an_older_one_is_answered_with_the_newer,
    ),
    Rule::new(
        "a report of the same bytes to another server is answered with the line known",
        &[],
        an_equal_one_is_answered_with_the_line_known,
    ),
    Rule::new(
        "of reports with equal times to several servers at once the same one wins everywhere",
        &[],
        ties_end_equal,
    ),
    Rule::new(
        "updates that come to servers in different orders end with the same one, by the merge order",
        &[Need::Updates],
        order_of_updates_does_not_matter,
    ),
    Rule::new("no server says an older thing after a newer one", &[], burst::nothing_goes_back),
    Rule::new(
        "a burst of reports to all servers at once ends with equal and newest records everywhere",
        &[],
        burst::ends_equal,
    ),
];

/// The servers of a herd, which are held to the rules together.
pub(super) struct Servers {
    pub(super) targets: Vec<Target>,
    pub(super) settings: Settings,
    /// What the clients of this run begin with, and how many there are.
    prefix: String,
    clients: usize,
}

/// What the rules for herds say, in order.
pub fn herd_rules(only: &Only) -> impl Iterator<Item = &'static str> {
    let sentences = RULES.iter().map(|rule| rule.sentence);
    sentences.filter(|sentence| only.takes_rule(GROUP, sentence))
}

/// Holds the servers of a herd, at least two, to the rules that are wanted.
///
/// # Errors
/// The system's, if it has no random numbers.
pub fn check_herd(
    targets: &[Target],
    settings: &Settings,
    only: &Only,
    told: impl FnMut(Outcome),
) -> Result<(), Mismatch> {
    let (targets, settings) = (targets.to_vec(), settings.clone());
    let mut servers = Servers { targets, settings, prefix: unique()?, clients: 0 };
    try_all(GROUP, RULES, only, &mut servers, told);
    Ok(())
}

fn is_known_everywhere(servers: &mut Servers) -> Held {
    (0..servers.targets.len()).try_for_each(|at| servers.spreads(at).map(drop))
}

fn a_newer_one_replaces(servers: &mut Servers) -> Held {
    servers.each_pair(|servers, [first, second]| {
        let old = servers.spreads(first)?;
        let new = servers.reports(second, &old.client, "+2+2", old.nanos().0 + 1)?;
        servers.all_know(&new)
    })
}

fn an_older_one_is_answered_with_the_newer(servers: &mut Servers) -> Held {
    servers.each_pair(|servers, [first, second]| {
        let new = servers.spreads(first)?;
        let older = iamat(&new.client, "+2+2", &seconds(new.nanos().0 - 1));
        servers.answers(second, &older, &new)?;
        servers.all_know(&new)
    })
}

fn an_equal_one_is_answered_with_the_line_known(servers: &mut Servers) -> Held {
    servers.each_pair(|servers, [first, second]| {
        let known = servers.spreads(first)?;
        let equal = iamat(&known.client, "+1+1", &seconds(known.nanos().0));
        servers.answers(second, &equal, &known)?;
        servers.all_know(&known)
    })
}

/// The reports go out to all servers before any answer is read, so that they cross on the way.
fn ties_end_equal(servers: &mut Servers) -> Held {
    let time = clock().0;
    let clients: Vec<_> = (0..TIES).map(|_| servers.client()).collect();
    let commands: Vec<Vec<_>> = (0..servers.targets.len())
        .map(|at| {
            let location = format!("+{at}+{at}");
            let report = |client: &String| iamat(client.as_bytes(), &location, &seconds(time));
            clients.iter().map(report).collect()
        })
        .collect();
    let lines = ask_all(&servers.targets, &commands, &servers.settings)?;
    let facts = commands.iter().flatten().zip(&lines).map(|(command, line)| fact_of(command, line));
    let facts = facts.collect::<Result<Vec<_>, _>>()?;
    servers.all_know_the_newest(&facts)
}

fn order_of_updates_does_not_matter(servers: &mut Servers) -> Held {
    let time = clock().0;
    let (now, later) = (seconds(time), seconds(time + 1));
    let longer = format!("{now}0");
    // The second is the one that has to win.
    let rivals = [
        [(&now, "-5.000000000", "B", "+2+2"), (&later, "+9.000000000", "A", "+1+1")],
        [(&now, "+0.000000002", "B", "+2+2"), (&now, "+0.000000001", "A", "+1+1")],
        [(&now, "+0.000000001", "B", "+2+2"), (&now, "-0.000000001", "A", "+1+1")],
        [(&now, "+0.500000000", "A", "+2+2"), (&now, "+0.500000000", "B", "+1+1")],
        [(&now, "+0.500000000", "B", "+1+1"), (&now, "+0.500000000", "B", "+2+2")],
        [(&now, "+0.500000000", "B", "+1+1"), (&longer, "+0.500000000", "B", "+1+1")],
    ];
    servers.each_pair(|servers, [first, second]| {
        for rivals in rivals {
            let client = servers.client();
            let [loser, winner] = rivals.map(|(time, skew, origin, location)| {
                let [origin, location, skew] = [origin, location, skew].map(str::as_bytes);
                Fact::new(client.as_bytes(), origin, time.as_bytes(), location, skew)
            });
            let [low, high] = [&loser, &winner].map(|fact| fact.update(b"Elsewhere"));
            servers.says(first, &[&low[..], &high].concat())?;
            servers.says(second, &[&high[..], &low].concat())?;
            servers.all_know(&winner)?;
        }
        Ok(())
    })
}

impl Servers {
    /// A client that nobody else reports.
    pub(super) fn client(&mut self) -> String {
        self.clients += 1;
        format!("{}-{}", self.prefix, self.clients)
    }

    /// Each server with the one after it, so that every server is first once and second once.
    fn each_pair(&mut self, mut try_pair: impl FnMut(&mut Self, [usize; 2]) -> Held) -> Held {
        let count = self.targets.len();
        (0..count).try_for_each(|first| try_pair(self, [first, (first + 1) % count]))
    }

    fn reports(&self, at: usize, client: &[u8], place: &str, nanos: i64) -> Result<Fact, Mismatch> {
        let client = str::from_utf8(client).unwrap_or_default();
        report(&self.targets[at], client, place, &seconds(nanos), &self.settings)
    }

    /// Reports a new client to one server, and waits until all know it.
    fn spreads(&mut self, at: usize) -> Result<Fact, Mismatch> {
        let client = self.client();
        let fact = self.reports(at, client.as_bytes(), "+1+1", clock().0)?;
        self.all_know(&fact)?;
        Ok(fact)
    }

    /// Waits until all servers say this.
    fn all_know(&self, fact: &Fact) -> Held {
        self.targets.iter().try_for_each(|target| becomes_known(target, fact, &self.settings))
    }

    /// Waits until all servers say the newest of what was said of each client.
    pub(super) fn all_know_the_newest(&self, facts: &[Fact]) -> Held {
        let mut newest = BTreeMap::<&[u8], &Fact>::new();
        for fact in facts {
            let known = newest.entry(&fact.client).or_insert(fact);
            if known.merge_order(fact).is_lt() {
                *known = fact;
            }
        }
        let newest: Vec<_> = newest.into_values().collect();
        self.targets
            .iter()
            .try_for_each(|target| all_become_known(target, newest.clone(), &self.settings))
    }

    /// A command must be answered with what is known.
    fn answers(&self, at: usize, command: &[u8], known: &Fact) -> Held {
        let Target { addr, name } = &self.targets[at];
        let line = ask_one(*addr, command, &self.settings)?;
        if line == known.at() {
            return Ok(());
        }
        Err(Mismatch {
            line: None,
            sent: command.to_vec(),
            expected: escaped(&known.at()),
            got: line,
            problem: format!("{name} knows better"),
        })
    }

    /// Says UPDATEs to a server.
    fn says(&self, at: usize, updates: &[u8]) -> Held {
        /// No command: its answer says that the updates before it are merged.
        const END: &[u8] = b"END\n";
        let sent = [updates, END].concat();
        let got = ask_one(self.targets[at].addr, &sent, &self.settings)?;
        if got == b"? END\n" {
            return Ok(());
        }
        let (expected, problem) = ("? END\\n".into(), "updates have no reply".into());
        Err(Mismatch { line: None, sent, expected, got, problem })
    }
}

impl Stage for Servers {
    fn servers(&self) -> usize {
        self.targets.len()
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }
}
