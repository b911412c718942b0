//! A neighbor that is played beside servers, and what rules do with it.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ask::{iamat, report, seconds};
use super::connection::{Connection, said};
use super::fact::Fact;
use super::player::{Heard, Player};
use super::rule::Stage;
use super::run::clock;
use super::suite::Target;
use super::{Mismatch, Settings, escaped};
use crate::protocol::ServerName;

/// After so long without a line, what a server sends on a connect is taken to be over.
const QUIET: Duration = Duration::from_millis(200);

/// The played neighbor and the servers.
pub(super) struct PlayedBeside {
    pub(super) name: ServerName,
    pub(super) player: Player,
    pub(super) prefix: String,
    /// How many clients there are.
    pub(super) clients: usize,
    /// The first one has the neighbor.
    pub(super) targets: Vec<Target>,
    pub(super) settings: Settings,
    /// What the neighbor's updates go on.
    pub(super) speaking: Option<Connection>,
}

impl Stage for PlayedBeside {
    fn servers(&self) -> usize {
        self.targets.len()
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn gives_up(&self) -> Option<String> {
        let was_tried = self.clients > 0;
        let is_alone = was_tried && self.player.connections == 0;
        is_alone.then(|| "the server does not dial the neighbor".into())
    }
}

impl PlayedBeside {
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.settings.deadline
    }

    /// A client that nobody else reports.
    pub(super) fn client(&mut self) -> String {
        self.clients += 1;
        format!("{}-{}", self.prefix, self.clients)
    }

    /// What nobody knows yet, of a new client and with the neighbor as its origin.
    pub(super) fn fact(&mut self, skew: &str) -> Fact {
        let client = self.client();
        let time = seconds(clock().0);
        let origin = self.name.as_bytes();
        Fact::new(
            client.as_bytes(),
            origin,
            time.as_bytes(),
            b"+34.068930-118.445127",
            skew.as_bytes(),
        )
    }

    /// Reports a new client to a server.
    pub(super) fn reports(&mut self, at: usize) -> Result<Fact, Mismatch> {
        let client = self.client();
        let time = seconds(clock().0);
        report(&self.targets[at], &client, "+34.068930-118.445127", &time, &self.settings)
    }

    /// Reports a new client to a server, and waits until the neighbor is told of it.
    pub(super) fn passes_on(&mut self, at: usize) -> Result<Fact, Mismatch> {
        let fact = self.reports(at)?;
        self.comes(&fact, &command_of(&fact))?;
        Ok(fact)
    }

    /// The neighbor says something to the server, where clients connect.
    pub(super) fn says(&mut self, lines: &[u8]) -> Result<(), Mismatch> {
        let deadline = self.deadline();
        let fails = |problem| Mismatch {
            line: None,
            sent: lines.to_vec(),
            expected: "all that is sent to be taken".into(),
            got: Vec::new(),
            problem,
        };
        if self.speaking.is_none() {
            let addr = self.targets[0].addr;
            let opened = Connection::open("", addr, self.settings.deadline);
            self.speaking = Some(opened.map_err(|error| fails(error.to_string()))?);
        }
        let speaking = self.speaking.as_mut().expect("it is open now");
        speaking.send(lines, deadline).map_err(|error| fails(said(&error, self.settings.deadline)))
    }

    /// Waits until the neighbor is told this, by the server.
    pub(super) fn comes(&mut self, fact: &Fact, sent: &[u8]) -> Result<(), Mismatch> {
        self.comes_where(fact, sent, |_| true)
    }

    pub(super) fn comes_where(
        &mut self,
        fact: &Fact,
        sent: &[u8],
        is_it: impl Fn(&Heard) -> bool,
    ) -> Result<(), Mismatch> {
        let deadline = self.deadline();
        let sender = self.targets[0].name.as_bytes();
        let is_told =
            |heard: &&Heard| heard.fact == *fact && heard.sender == sender && is_it(heard);
        let found = |player: &Player| player.heard.iter().rev().find(is_told).map(drop);
        self.player.hear_until(deadline, found).ok_or_else(|| {
            let limit = self.settings.deadline;
            let problem = match self.player.connections {
                0 => format!("no connection came to {} within {limit:?}", self.player.addr),
                _ => format!("it did not come within {limit:?}"),
            };
            self.mismatch(fact, sent, escaped(&fact.update(sender)), problem)
        })
    }

    /// After more reports have come: the client of this has come so often and no more.
    pub(super) fn still_came(&mut self, fact: &Fact, times: usize) -> Result<(), Mismatch> {
        for _ in 0..3 {
            self.passes_on(0)?;
        }
        let came = self.player.heard.iter().filter(|it| it.fact.client == fact.client).count();
        if came == times {
            return Ok(());
        }
        let expected = match times {
            0 => "no line of this client".into(),
            _ => "one line of this client".into(),
        };
        let sender = self.name.as_bytes();
        let sent = if times == 0 { fact.update(sender) } else { command_of(fact) };
        Err(self.mismatch(fact, &sent, expected, format!("{came} came")))
    }

    pub(super) fn comes_back(&mut self) -> Result<(), Mismatch> {
        let addr = self.player.addr;
        self.player.come_back().map_err(|error| Mismatch {
            line: None,
            sent: Vec::new(),
            expected: "connections".into(),
            got: Vec::new(),
            problem: format!("cannot listen at {addr} again: {error}"),
        })
    }

    /// Waits until nothing comes for a moment, so that what is sent on a connect is not taken for
    /// more than that. A herd that is never quiet is waited for no longer than for anything else.
    pub(super) fn settle(&mut self) {
        let deadline = self.deadline();
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < QUIET && Instant::now() < deadline {
            if self.player.hear() {
                quiet_since = Instant::now();
            } else {
                sleep(Duration::from_millis(1));
            }
        }
    }

    /// Got is all that came of the client.
    pub(super) fn mismatch(
        &self,
        fact: &Fact,
        sent: &[u8],
        expected: String,
        problem: String,
    ) -> Mismatch {
        let heard = self.player.heard.iter().filter(|heard| heard.fact.client == fact.client);
        let got = heard.flat_map(|heard| heard.fact.update(&heard.sender)).collect();
        Mismatch { line: None, sent: sent.to_vec(), expected, got, problem }
    }
}

/// The report that a fact came from.
pub(super) fn command_of(fact: &Fact) -> Vec<u8> {
    iamat(&fact.client, text(&fact.location), text(&fact.time))
}

/// What we sent as text, in the bytes that came back.
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
