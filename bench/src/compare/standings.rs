//! Who takes part in a comparison, and why others do not; kept beside the samples.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::CompareError;
use super::conformance::{Standing, examine};
use super::progress::Progress;
use super::rivals::{ALL, Programs, Rival};
use super::scenarios::REFERENCES;
use crate::cli::Compare;

const FILE: &str = "conformance.csv";
const CONFORMS: &str = "conforms";
const MISSING: &str = "missing";
const FAILS: &str = "fails";

/// Of every rival: a word, and what was said.
#[derive(Default)]
pub(super) struct Standings {
    all: BTreeMap<String, (String, String)>,
    /// Who is to take part, of those who may.
    wanted: Option<Vec<String>>,
}

impl Standings {
    pub(super) fn load(out: &Path) -> io::Result<Self> {
        let text = match std::fs::read_to_string(out.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let fields = |line: &str| {
            let mut fields = line.splitn(3, ',').map(str::to_string);
            Some((fields.next()?, (fields.next()?, fields.next()?)))
        };
        Ok(Self { all: text.lines().skip(1).filter_map(fields).collect(), wanted: None })
    }

    pub(super) fn save(&self, out: &Path) -> io::Result<()> {
        let rows = self.all.iter().map(|(rival, (word, said))| {
            let said = said.replace(['\n', '\r'], "; ");
            format!("{rival},{word},{said}\n")
        });
        let text: String =
            std::iter::once("rival,standing,said\n".to_string()).chain(rows).collect();
        std::fs::write(out.join(FILE), text)
    }

    /// Starts each rival and has it checked, those that are wanted.
    ///
    /// # Errors
    ///
    /// When a name is unknown, or the herd itself does not start.
    pub(super) fn examine(
        &mut self,
        args: &Compare,
        programs: &Programs,
        progress: &Progress,
    ) -> Result<(), CompareError> {
        self.wanted = args
            .rivals
            .as_deref()
            .map(|names| names.split(',').map(|name| name.trim().to_string()).collect());
        if let Some(name) = self.wanted.iter().flatten().find(|name| !is_known(name)) {
            let there: Vec<_> = names().collect();
            let there = there.join(", ");
            return Err(CompareError::Unknown { what: "rival", name: name.clone(), there });
        }
        if args.unchecked {
            return Ok(());
        }
        let wanted: Vec<_> = ALL.iter().filter(|rival| self.wants(rival.name)).collect();
        for rival in wanted {
            let (word, said) = describe(examine(*rival, programs)?);
            progress.say(&format!("{}: {word}: {said}", rival.name));
            self.all.insert(rival.name.to_string(), (word.to_string(), said));
        }
        Ok(())
    }

    /// Those who take part, in the order of the tables.
    pub(super) fn present<I: Iterator<Item = &'static str>>(
        &self,
        references_missing: impl Fn() -> I,
    ) -> Vec<&'static str> {
        let rivals = ALL.iter().map(|rival| rival.name).filter(|name| self.may(name));
        let is_there = |reference: &&&str| {
            let program = reference.split(' ').next().unwrap_or_default().to_lowercase();
            !references_missing().any(|missing| missing.starts_with(&program))
        };
        let references = REFERENCES.iter().filter(is_there).copied();
        rivals.chain(references).filter(|name| self.wants(name)).collect()
    }

    /// Who does not take part, and why.
    pub(super) fn absent(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let absent = self.all.iter().filter(|(_, (word, _))| word != CONFORMS);
        absent.map(|(rival, (word, said))| (rival.as_str(), word.as_str(), said.as_str()))
    }

    /// What the check said of a rival.
    pub(super) fn said(&self, rival: &Rival) -> &str {
        self.all.get(rival.name).map_or("not checked", |(_, said)| said)
    }

    /// Whoever was not checked was told to take part so.
    fn may(&self, rival: &str) -> bool {
        self.all.get(rival).is_none_or(|(word, _)| word == CONFORMS)
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| wanted == name))
    }
}

fn describe(standing: Standing) -> (&'static str, String) {
    match standing {
        Standing::Conforms(said) => (CONFORMS, said),
        Standing::Missing(said) => (MISSING, said),
        Standing::Fails(said) => (FAILS, said),
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|rival| rival.name).chain(REFERENCES.iter().copied())
}

fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}
