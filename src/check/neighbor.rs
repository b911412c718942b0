//! The rules between a server and a plain neighbor, which the tool plays: it takes the connection
//! that the server dials, and sends UPDATEs of its own to where clients connect.
//!
//! The server must have the neighbor in its conf, as one that speaks UPDATE only. Cutting links is
//! only in the power of who has an end of them, so this is also where cut and heal are shown.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use super::ask::{ask, becomes_known, fact_of, iamat, seconds, unique};
use super::fact::Fact;
use super::outcome::Outcome;
use super::played::{PlayedBeside, command_of, text};
use super::player::{Heard, Player};
use super::rule::{Need, Only, Rule, try_all};
use super::run::clock;
use super::suite::Target;
use super::{Mismatch, Settings};
use crate::protocol::ServerName;

const GROUP: &str = "neighbor";

/// How long the neighbor refuses connections when it is away: long enough that a server that waits
/// a moment before it dials again is refused at least once.
const AWAY: Duration = Duration::from_millis(300);

/// Reports of one client while the neighbor does not read. Their updates are some 6 MB: more than
/// kernels hold for a connection whose other side has never read much.
const UNREAD_REPORTS: i64 = 20_000;

const LONGEST_CLIENT: usize = 255;

type Held = Result<(), Mismatch>;

const RULES: &[Rule<PlayedBeside>] = &[
    Rule::new(
        "a report reaches the neighbor as an UPDATE, on a connection that the server dials",
        &[],
        reaches_the_neighbor,
    ),
    Rule::new("a report is flooded once", &[], is_flooded_once),
    Rule::new("a report that is not newer is not flooded", &[], an_older_report_is_not_flooded),
    Rule::new(
        "a report to another server reaches the neighbor with this server as its sender",
        &[Need::Others],
        a_report_elsewhere_reaches_the_neighbor,
    ),
    Rule::new(
        "an update of the neighbor is known at every server",
        &[Need::Updates],
        its_update_is_known_everywhere,
    ),
    Rule::new(
        "an update of the neighbor is not sent back to it",
        &[Need::Updates],
        its_update_does_not_come_back,
    ),
    Rule::new(
        "an update of another sender is flooded, with this server as its sender and nine decimals",
        &[Need::Updates],
        an_update_of_another_is_flooded,
    ),
    Rule::new(
        "an update that is not newer is not flooded",
        &[Need::Updates],
        an_older_update_is_not_flooded,
    ),
    Rule::new(
        "a connection that is cut is dialed again, and a report made meanwhile arrives",
        &[],
        a_cut_is_healed,
    ),
    Rule::new(
        "reports made while the neighbor refused connections arrive when it is back",
        &[],
        an_absence_is_healed,
    ),
    Rule::new("all that is known is sent on each connect", &[], all_is_sent_on_each_connect),
    Rule::new(
        "a neighbor that does not read gets the newest report in the end, not each one before it",
        &[Need::ManyCommands],
        reports_conflate,
    ),
    Rule::new(
        "every line that the neighbor gets is an UPDATE of this server, as the protocol writes it",
        &[],
        every_line_is_an_update,
    ),
];

/// A neighbor that the tool plays.
pub struct Neighbor {
    name: ServerName,
    player: Player,
    /// What the clients of this run begin with.
    prefix: String,
}

impl Neighbor {
    /// A neighbor that can listen at `HOST:PORT`, where the server dials it. It does so while it is
    /// checked: until then connections are refused, so that nothing that is sent waits unread.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new(name: ServerName, address: &str) -> io::Result<Self> {
        let prefix = unique().map_err(|mismatch| io::Error::other(mismatch.problem))?;
        let mut player = Player::listen(address, &prefix)?;
        player.go_away();
        Ok(Self { name, player, prefix })
    }

    /// What the rules say, in order.
    pub fn rules(only: &Only) -> impl Iterator<Item = &'static str> {
        let sentences = RULES.iter().map(|rule| rule.sentence);
        sentences.filter(|sentence| only.takes_rule(GROUP, sentence))
    }

    /// Holds the first of the servers, which has this neighbor, to the rules that are wanted. The
    /// others are of its herd.
    ///
    /// # Errors
    /// The operating system's, when it no longer lets us listen.
    pub fn check(
        self,
        targets: &[Target],
        settings: &Settings,
        only: &Only,
        told: impl FnMut(Outcome),
    ) -> io::Result<()> {
        let Self { name, mut player, prefix } = self;
        player.come_back()?;
        let mut stage = PlayedBeside {
            name,
            player,
            prefix,
            clients: 0,
            targets: targets.to_vec(),
            settings: settings.clone(),
            speaking: None,
        };
        stage.settle();
        try_all(GROUP, RULES, only, &mut stage, told);
        Ok(())
    }
}

fn reaches_the_neighbor(stage: &mut PlayedBeside) -> Held {
    stage.passes_on(0).map(drop)
}

fn is_flooded_once(stage: &mut PlayedBeside) -> Held {
    stage.settle();
    let fact = stage.passes_on(0)?;
    stage.still_came(&fact, 1)
}

fn an_older_report_is_not_flooded(stage: &mut PlayedBeside) -> Held {
    stage.settle();
    let fact = stage.passes_on(0)?;
    let server = stage.targets[0].addr;
    let again = iamat(&fact.client, text(&fact.location), text(&fact.time));
    let older = iamat(&fact.client, "+2+2", &seconds(fact.nanos().0 - 1));
    let equal = iamat(&fact.client, "+3+3", text(&fact.time));
    ask(server, &[again, older, equal], &stage.settings)?;
    stage.still_came(&fact, 1)
}

fn a_report_elsewhere_reaches_the_neighbor(stage: &mut PlayedBeside) -> Held {
    (1..stage.targets.len()).try_for_each(|at| stage.passes_on(at).map(drop))
}

fn its_update_is_known_everywhere(stage: &mut PlayedBeside) -> Held {
    let fact = stage.fact("+0.123456789");
    stage.says(&fact.update(stage.name.as_bytes()))?;
    stage.targets.iter().try_for_each(|target| becomes_known(target, &fact, &stage.settings))
}

fn its_update_does_not_come_back(stage: &mut PlayedBeside) -> Held {
    stage.settle();
    let fact = stage.fact("+0.123456789");
    stage.says(&fact.update(stage.name.as_bytes()))?;
    becomes_known(&stage.targets[0], &fact, &stage.settings)?;
    stage.still_came(&fact, 0)
}

fn an_update_of_another_is_flooded(stage: &mut PlayedBeside) -> Held {
    for (written, normalised) in
        [("0.5", "+0.500000000"), ("-1.9999999999", "-1.999999999"), ("+7", "+7.000000000")]
    {
        let mut fact = stage.fact(written);
        let update = fact.update(b"Elsewhere");
        fact.skew = normalised.into();
        stage.says(&update)?;
        stage.comes(&fact, &update)?;
    }
    Ok(())
}

fn an_older_update_is_not_flooded(stage: &mut PlayedBeside) -> Held {
    stage.settle();
    let fact = stage.fact("+0.500000000");
    let update = fact.update(b"Elsewhere");
    stage.says(&update)?;
    stage.comes(&fact, &update)?;
    let older = Fact { time: seconds(fact.nanos().0 - 1).into(), ..fact.clone() };
    let higher_skew = Fact { skew: b"+0.500000001".to_vec(), ..fact.clone() };
    let again = [fact.clone(), older, higher_skew].map(|fact| fact.update(b"Elsewhere"));
    stage.says(&again.concat())?;
    becomes_known(&stage.targets[0], &fact, &stage.settings)?;
    stage.still_came(&fact, 1)
}

fn a_cut_is_healed(stage: &mut PlayedBeside) -> Held {
    stage.passes_on(0)?;
    stage.player.hang_up();
    stage.passes_on(0).map(drop)
}

fn an_absence_is_healed(stage: &mut PlayedBeside) -> Held {
    stage.player.go_away();
    let mut missed = Vec::new();
    for at in 0..stage.targets.len() {
        missed.push(stage.reports(at)?);
    }
    sleep(AWAY);
    missed.push(stage.reports(0)?);
    stage.comes_back()?;
    missed.iter().try_for_each(|fact| stage.comes(fact, &command_of(fact)))
}

fn all_is_sent_on_each_connect(stage: &mut PlayedBeside) -> Held {
    let mut facts = Vec::new();
    for at in 0..stage.targets.len() {
        facts.push(stage.passes_on(at)?);
    }
    let before = stage.player.connections;
    stage.player.go_away();
    sleep(AWAY);
    stage.comes_back()?;
    facts.iter().try_for_each(|fact| {
        stage.comes_where(fact, &command_of(fact), |heard| heard.connection > before)
    })
}

fn reports_conflate(stage: &mut PlayedBeside) -> Held {
    stage.settle();
    let client = format!("{:x<LONGEST_CLIENT$}", stage.client());
    let from = clock().0;
    let reports: Vec<_> = (0..UNREAD_REPORTS)
        .map(|number| iamat(client.as_bytes(), "+1+1", &seconds(from + number)))
        .collect();
    // Nothing is read meanwhile.
    let answers = ask(stage.targets[0].addr, &reports, &stage.settings)?;
    let (command, answer) = reports.last().zip(answers.last()).expect("there are reports");
    let newest = fact_of(command, answer)?;
    stage.comes(&newest, command)?;
    let of_client = |heard: &&Heard| heard.fact.client == newest.client;
    let heard: Vec<_> = stage.player.heard.iter().filter(of_client).collect();
    let fails = |problem: String, got: Vec<u8>| {
        let expected = "the newest report that waits, and never an older one after it".into();
        Err(Mismatch { line: None, sent: command.clone(), expected, got, problem })
    };
    for pair in heard.windows(2).filter(|pair| pair[0].connection == pair[1].connection) {
        if pair[0].fact.nanos() > pair[1].fact.nanos() {
            let got = pair.iter().flat_map(|heard| heard.fact.update(&heard.sender)).collect();
            return fails("an older report after a newer one".into(), got);
        }
    }
    if heard.len() >= reports.len() {
        return fails(format!("{} lines for {UNREAD_REPORTS} reports", heard.len()), Vec::new());
    }
    Ok(())
}

fn every_line_is_an_update(stage: &mut PlayedBeside) -> Held {
    stage.settle();
    let name = &stage.targets[0].name;
    let of_another = |heard: &&Heard| heard.sender != name.as_bytes();
    let wrong = stage.player.wrong_line.clone().or_else(|| {
        let heard = stage.player.heard.iter().find(of_another)?;
        Some(heard.fact.update(&heard.sender))
    });
    let Some(got) = wrong else { return Ok(()) };
    let expected = format!("UPDATE {{client}} {{origin}} {{time}} {{location}} {{skew}} {name}\\n");
    let problem = "this is none".into();
    Err(Mismatch { line: None, sent: Vec::new(), expected, got, problem })
}
