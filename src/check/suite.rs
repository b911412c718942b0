//! All transcripts of `tests/transcripts`, built in, and many of them at a time against a server.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use super::outcome::{Outcome, Verdict};
use super::{Case, Settings, parse, run};
use crate::protocol::ServerName;
use crate::threads;

/// Files of `tests/transcripts` with their text.
macro_rules! embedded {
    ($($file:literal),* $(,)?) => {
        &[$(($file, include_str!(concat!("../../tests/transcripts/", $file)))),*]
    };
}

const FILES: &[(&str, &str)] = embedded![
    "iamat.txt",
    "whatsat.txt",
    "white-space.txt",
    "fields.txt",
    "location.txt",
    "time.txt",
    "merge.txt",
    "update.txt",
    "framing.txt",
    "limit.txt",
];

/// A case and the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Such as `merge.txt`.
    pub file: &'static str,
    /// What is in it.
    pub case: Case,
}

/// A server that is checked.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where clients connect.
    pub addr: SocketAddr,
    /// As it stands in the server's AT lines.
    pub name: ServerName,
}

/// All cases of all files, in order.
pub fn transcripts() -> Vec<Filed> {
    let filed = |(file, text): &(&'static str, &str)| {
        let cases = parse(text).unwrap_or_else(|error| panic!("{file}, {error}"));
        let file = *file;
        cases.into_iter().map(move |case| Filed { file, case }).collect::<Vec<_>>()
    };
    FILES.iter().flat_map(filed).collect()
}

/// Runs cases against a server, `at_a_time` of them at a time, and tells what becomes of each, in
/// the order in which that is known.
///
/// # Errors
/// The operating system's, when it has no room for a thread.
pub fn run_all(
    cases: &[Filed],
    target: &Target,
    settings: &Settings,
    at_a_time: usize,
    told: impl FnMut(Outcome),
) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let next = || cases.get(next.fetch_add(1, Ordering::Relaxed));
    thread::scope(|scope| {
        let (send, outcomes) = sync_channel(at_a_time);
        for _ in 0..at_a_time.min(cases.len()) {
            let send = send.clone();
            let run_some = move || {
                while let Some(filed) = next() {
                    // Nobody listens any more when a later thread could not be started.
                    if send.send(filed.outcome(target, settings)).is_err() {
                        return;
                    }
                }
            };
            threads::spawn_scoped(scope, "check", run_some)?;
        }
        drop(send);
        outcomes.into_iter().for_each(told);
        Ok(())
    })
}

impl Filed {
    fn outcome(&self, target: &Target, settings: &Settings) -> Outcome {
        let case = &self.case;
        let verdict = match settings.unmet(&case.needs) {
            Some(reason) => Verdict::Skipped(reason),
            None => run(case, target.addr, target.name.as_str(), settings).into(),
        };
        Outcome { group: self.file, line: Some(case.line), rule: case.name.clone(), verdict }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_transcript_is_built_in() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
        let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.ends_with(".txt"));
        assert_eq!(
            FILES.iter().map(|(file, _)| (*file).to_owned()).collect::<BTreeSet<_>>(),
            names
        );
    }

    #[test]
    fn every_transcript_is_one_that_can_be_read() {
        assert!(transcripts().len() > 200);
    }
}
