//! The transcripts against the real server, in each of its modes and with other limits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;
#[path = "support/transcripts.rs"]
mod transcripts;

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use herd::check::{Settings, run};
use support::Serve;

const NAME: &str = "Ball";

/// Cases under way at a time, against one server.
const THREADS: usize = 8;

/// Starts a server with this conf and runs every case that these settings allow; all must hold,
/// and there must be at least `least` of them.
#[track_caller]
fn holds(conf: &str, settings: &Settings, least: usize) {
    let server = Serve::start(NAME, conf);
    let mut cases = transcripts::all();
    cases.retain(|filed| settings.meet(&filed.case.needs));
    assert!(cases.len() >= least, "only {} cases to run", cases.len());
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(filed) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(mismatch) = run(&filed.case, server.addr, NAME, settings) {
                        failures.lock().unwrap().push((filed, mismatch));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let mut said = format!("{} of {} cases fail:\n", failures.len(), cases.len());
    for (filed, mismatch) in &failures {
        let (file, case) = (&filed.file, &filed.case);
        writeln!(said, "{file}:{}: {}\n  {mismatch}", case.line, case.name).unwrap();
    }
    assert!(failures.is_empty(), "{said}");
}

#[test]
fn the_server_keeps_every_transcript() {
    holds("", &Settings::default(), 200);
}

#[test]
fn the_server_keeps_every_transcript_with_a_worker_for_each_connection() {
    holds("[pool]\nmode = \"pinned\"\nworkers = 64\n", &Settings::default(), 200);
}

#[test]
fn the_server_keeps_every_transcript_with_other_limits() {
    let settings = Settings {
        max_line: Some(512),
        max_ahead: Some(Duration::from_secs(2 * 60 * 60)),
        ..Settings::default()
    };
    holds("[limits]\nmax_line = 512\nmax_ahead = \"2h\"\n", &settings, 200);
}

#[test]
fn the_server_keeps_the_transcripts_of_one_reply_a_connection() {
    let settings = Settings { commands_per_connection: Some(1), ..Settings::default() };
    holds("[limits]\ncommands_per_connection = 1\n", &settings, 10);
}

#[test]
fn the_server_keeps_the_transcripts_of_one_reply_a_connection_with_a_worker_for_each() {
    let settings = Settings { commands_per_connection: Some(1), ..Settings::default() };
    let conf = "[pool]\nmode = \"pinned\"\nworkers = 64\n[limits]\ncommands_per_connection = 1\n";
    holds(conf, &settings, 10);
}

#[test]
fn the_server_keeps_the_transcripts_of_three_replies_a_connection() {
    let settings = Settings { commands_per_connection: Some(3), ..Settings::default() };
    holds("[limits]\ncommands_per_connection = 3\n", &settings, 3);
}
