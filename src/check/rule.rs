//! Rules that are code: those of more than one server, which no transcript can hold.

use super::outcome::{Outcome, Verdict};
use super::{Filed, Mismatch, Settings};

/// A rule about a stage `S`: servers, and what the tool plays beside them.
pub(super) struct Rule<S> {
    /// As a sentence.
    pub(super) sentence: &'static str,
    /// What it cannot do without.
    needs: &'static [Need],
    /// Does what it takes to find out.
    holds: fn(&mut S) -> Result<(), Mismatch>,
}

impl<S> Rule<S> {
    pub(super) const fn new(
        sentence: &'static str,
        needs: &'static [Need],
        holds: fn(&mut S) -> Result<(), Mismatch>,
    ) -> Self {
        Self { sentence, needs, holds }
    }
}

/// What a rule cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// UPDATE is a valid command from here.
    Updates,
    /// More servers than one.
    Others,
    /// Connections that stay open for any number of commands.
    ManyCommands,
}

impl Need {
    /// Why a server with these settings cannot be held to a rule that needs this; `None`: it can.
    fn unmet(self, servers: usize, settings: &Settings) -> Option<String> {
        let reason = match self {
            Self::Updates if !settings.updates => "UPDATE is no command for us",
            Self::Others if servers < 2 => "for more servers than one",
            Self::ManyCommands if settings.commands_per_connection.is_some() => {
                "the server closes connections after some replies"
            }
            _ => return None,
        };
        Some(reason.into())
    }
}

/// Which rules are wanted: those that have a text in their sentence or in the name of their group.
#[derive(Clone, Debug, Default)]
pub struct Only(pub String);

impl Only {
    /// True if a transcript is wanted.
    pub fn takes(&self, filed: &Filed) -> bool {
        self.takes_rule(filed.file, &filed.case.name)
    }

    pub(super) fn takes_rule(&self, group: &str, sentence: &str) -> bool {
        group.contains(&self.0) || sentence.contains(&self.0)
    }
}

/// What rules are tried on.
pub(super) trait Stage {
    /// How many servers are there.
    fn servers(&self) -> usize;
    /// How they are set.
    fn settings(&self) -> &Settings;
    /// Why no rule can be tried any more; `None`: they can.
    fn gives_up(&self) -> Option<String> {
        None
    }
}

/// Finds out about each rule that is wanted, in order, and tells what became of it.
pub(super) fn try_all<S: Stage>(
    group: &'static str,
    rules: &[Rule<S>],
    only: &Only,
    stage: &mut S,
    mut told: impl FnMut(Outcome),
) {
    for Rule { sentence, needs, holds } in rules {
        if !only.takes_rule(group, sentence) {
            continue;
        }
        let (servers, settings) = (stage.servers(), stage.settings());
        let unmet = needs.iter().find_map(|need| need.unmet(servers, settings));
        let verdict = match unmet.or_else(|| stage.gives_up()) {
            Some(reason) => Verdict::Skipped(reason),
            None => holds(stage).into(),
        };
        told(Outcome { group, line: None, rule: (*sentence).to_owned(), verdict });
    }
}
