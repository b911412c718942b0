//! The transcripts against the real server, in each of its modes and with other limits.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use herd::check::{Outcome, Settings, Target, Verdict, run_all, transcripts};
use herd::protocol::ServerName;
use support::Serve;

const NAME: &str = "Ball";

/// Cases under way at a time, against one server.
const THREADS: usize = 8;

/// Starts a server with this conf and runs every case that these settings allow; all must hold,
/// and there must be at least `least` of them.
#[track_caller]
fn holds(conf: &str, settings: &Settings, least: usize) {
    let server = Serve::start(NAME, conf);
    let name = ServerName::parse(NAME.as_bytes()).unwrap();
    let target = Target { addr: server.addr, name };
    let (mut holds, mut failures) = (0, String::new());
    let told = |Outcome { group, rule, verdict, .. }| match verdict {
        Verdict::Holds => holds += 1,
        Verdict::Fails(mismatch) => failures += &format!("{group}: {rule}\n  {mismatch}\n"),
        Verdict::Skipped(_) => {}
    };
    run_all(&transcripts(), &target, settings, THREADS, told).unwrap();
    assert!(failures.is_empty(), "{failures}");
    assert!(holds >= least, "only {holds} cases were run");
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
