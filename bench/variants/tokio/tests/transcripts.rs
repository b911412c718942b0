//! The transcripts of the protocol against this server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use herd::check::{Case, Settings, parse, run};
use support::Conf;

/// Cases under way at a time, against one server.
const THREADS: usize = 8;

fn cases(settings: &Settings) -> Vec<(String, Case)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/transcripts");
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            let parsed = parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
            cases.extend(parsed.into_iter().map(|case| (file.clone(), case)));
        }
    }
    cases.retain(|(_, case)| settings.meet(&case.needs));
    cases
}

/// Every case that these settings allow holds, and there are at least `least` of them.
#[track_caller]
fn holds(conf: &str, settings: &Settings, least: usize) {
    let conf = Conf::alone(conf);
    let server = conf.start("Ball");
    let cases = cases(settings);
    assert!(cases.len() >= least, "only {} cases to run", cases.len());
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some((file, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(mismatch) = run(case, server.address, "Ball", settings) {
                        let failure = format!("{file}:{}: {}\n  {mismatch}", case.line, case.name);
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn every_transcript_holds() {
    holds("", &Settings::default(), 200);
}

#[test]
fn every_transcript_holds_with_other_limits() {
    let settings = Settings {
        max_line: Some(512),
        max_ahead: Some(Duration::from_secs(2 * 60 * 60)),
        ..Settings::default()
    };
    holds("[limits]\nmax_line = 512\nmax_ahead = \"2h\"\n", &settings, 200);
}

#[test]
fn the_transcripts_of_one_reply_a_connection_hold() {
    let settings = Settings { commands_per_connection: Some(1), ..Settings::default() };
    holds("[limits]\ncommands_per_connection = 1\n", &settings, 10);
}

#[test]
fn the_transcripts_of_three_replies_a_connection_hold() {
    let settings = Settings { commands_per_connection: Some(3), ..Settings::default() };
    holds("[limits]\ncommands_per_connection = 3\n", &settings, 3);
}
