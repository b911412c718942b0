//! The transcripts of the protocol against this server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::time::Duration;

use herd::check::{Outcome, Settings, Target, Verdict, run_all, transcripts};
use herd::protocol::ServerName;
use support::Conf;

/// Cases under way at a time, against one server.
const THREADS: usize = 8;

/// Every case that these settings allow holds, and there are at least `least` of them.
#[track_caller]
fn holds(conf: &str, settings: &Settings, least: usize) {
    let conf = Conf::alone(conf);
    let server = conf.start("Ball");
    let target = Target { addr: server.address, name: ServerName::parse(b"Ball").unwrap() };
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
