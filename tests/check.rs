//! The runner of the transcripts, against servers that say what a script tells them: right answers
//! pass, and every kind of wrong answer is found.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use herd::check::{Mismatch, Settings, parse, run};

/// What the scripted server does with its one connection.
enum Does {
    /// Reads until so many bytes have come.
    Reads(usize),
    /// Reads until the client has shut down.
    ReadsAll,
    Says(&'static [u8]),
    /// Says nothing and keeps the connection until the client goes away.
    Hangs,
}

use Does::{Hangs, Reads, ReadsAll, Says};

fn play(script: Vec<Does>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let player = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let limit = Some(Duration::from_secs(10));
        stream.set_read_timeout(limit).unwrap();
        stream.set_nodelay(true).unwrap();
        for does in script {
            match does {
                Reads(count) => stream.read_exact(&mut vec![0; count]).unwrap(),
                ReadsAll => {
                    stream.read_to_end(&mut Vec::new()).unwrap();
                }
                // The runner may have gone away at the first wrong byte.
                Says(bytes) => drop(stream.write_all(bytes)),
                Hangs => drop(stream.read_to_end(&mut Vec::new())),
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (addr, player)
}

fn outcome(text: &str, script: Vec<Does>) -> Result<(), Mismatch> {
    let settings = Settings { deadline: Duration::from_millis(300), ..Settings::default() };
    let cases = parse(&format!("== a case\n{text}")).unwrap();
    let (addr, player) = play(script);
    let outcome = run(&cases[0], addr, "Ball", &settings);
    player.join().unwrap();
    outcome
}

#[track_caller]
fn passes(text: &str, script: Vec<Does>) {
    if let Err(mismatch) = outcome(text, script) {
        panic!("{mismatch}");
    }
}

#[track_caller]
fn fails(text: &str, script: Vec<Does>, why: &str) {
    let mismatch = outcome(text, script).expect_err("the answer is wrong");
    assert!(mismatch.to_string().contains(why), "{mismatch}");
}

#[test]
fn a_right_answer_passes() {
    passes("> a\\n\n< ? a\\n\n", vec![Reads(2), Says(b"? a\n"), ReadsAll]);
}

#[test]
fn an_answer_in_pieces_passes() {
    passes("> a\\n\n< ? a\\n\n", vec![Reads(2), Says(b"?"), Says(b" a"), Says(b"\n"), ReadsAll]);
}

#[test]
fn another_byte_fails() {
    fails("> a\\n\n< ? a\\n\n", vec![Reads(2), Says(b"? b\n"), ReadsAll], "other bytes, from `b");
}

#[test]
fn a_byte_too_many_fails() {
    let script = vec![Reads(2), Says(b"? a\n\n"), ReadsAll];
    fails("> a\\n\n< ? a\\n\n", script, "bytes after the last reply");
}

#[test]
fn a_byte_too_many_after_the_half_close_fails() {
    let script = vec![Reads(2), Says(b"? a\n"), ReadsAll, Says(b"\n")];
    fails("> a\\n\n< ? a\\n\n", script, "bytes after the last reply");
}

#[test]
fn a_missing_byte_fails() {
    let script = vec![Reads(2), Says(b"? a"), Hangs];
    fails("> a\\n\n< ? a\\n\n", script, "nothing more came within 300ms");
}

#[test]
fn silence_fails_at_the_deadline() {
    let begin = Instant::now();
    fails("> a\\n\n< ? a\\n\n", vec![Hangs], "nothing more came within 300ms");
    assert!(begin.elapsed() < Duration::from_secs(3));
}

#[test]
fn an_early_end_fails() {
    fails("> a\\n\n< ? a\\n\n", vec![Reads(2), Says(b"? a")], "the server closed");
}

#[test]
fn an_end_that_the_case_does_not_expect_fails() {
    let text = "> a\\n\n< ? a\\n\n> b\\n\n< ? b\\n\n";
    fails(text, vec![Reads(2), Says(b"? a\n")], "the server closed");
}

#[test]
fn a_connection_that_stays_open_where_it_must_end_fails() {
    let script = vec![Reads(2), Says(b"? a\n"), Hangs];
    fails("> a\\n\n< ? a\\n\nclosed\n", script, "nothing more came within 300ms");
    let script = vec![Reads(2), Says(b"? a\n"), ReadsAll];
    fails("> a\\n\n< ? a\\n\nclosed\n", script, "nothing more came within 300ms");
}

#[test]
fn a_connection_that_ends_where_it_must_passes() {
    passes("> a\\n\n< ? a\\n\nclosed\n", vec![Reads(2), Says(b"? a\n")]);
}

#[test]
fn a_connection_that_stays_open_after_the_half_close_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let player = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        stream.write_all(b"? a\n").unwrap();
        thread::sleep(Duration::from_millis(600));
    });
    let settings = Settings { deadline: Duration::from_millis(100), ..Settings::default() };
    let cases = parse("== a case\n> a\nhalf-close\n< ? a\\n\n").unwrap();
    let mismatch = run(&cases[0], addr, "Ball", &settings).unwrap_err();
    assert!(mismatch.problem.contains("nothing more came"), "{mismatch}");
    player.join().unwrap();
}

/// A plain close with unread input resets the connection, and the last reply can be lost.
#[test]
fn a_reset_where_the_connection_must_end_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let player = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 2]).unwrap();
        stream.write_all(b"? a\n").unwrap();
    });
    let cases = parse("== a case\n> a\\nmore\\n\n< ? a\\n\nclosed\n").unwrap();
    assert!(run(&cases[0], addr, "Ball", &Settings::default()).is_err());
    player.join().unwrap();
}

#[test]
fn an_answer_in_two_reads_fails_where_one_is_asked_for() {
    let text = "> a\\n\nin one read\n< ? a\\n\n";
    passes(text, vec![Reads(2), Says(b"? a\n"), ReadsAll]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let player = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"? a").unwrap();
        thread::sleep(Duration::from_millis(300));
        let _ = stream.write_all(b"\n");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let cases = parse(&format!("== a case\n{text}")).unwrap();
    let mismatch = run(&cases[0], addr, "Ball", &Settings::default()).unwrap_err();
    assert!(mismatch.problem.contains("one read"), "{mismatch}");
    player.join().unwrap();
}

#[test]
fn a_refused_connection_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let cases = parse("== a case\n> a\n< ? a\\n\n").unwrap();
    assert!(run(&cases[0], addr, "Ball", &Settings::default()).is_err());
}

/// The server takes nothing more once nobody takes its replies: a runner that writes all before it
/// reads would wait for it for ever.
#[test]
fn a_write_larger_than_all_buffers_takes_the_replies_meanwhile() {
    const LINES: usize = 40_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let player = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = [0; 502];
        while stream.read_exact(&mut line).is_ok() {
            stream.write_all(b"? ").unwrap();
            stream.write_all(&line).unwrap();
        }
    });
    let text = format!("== a case\n>*{LINES} a{{x*500}}\\n\n<*{LINES} ? a{{x*500}}\\n\n");
    let cases = parse(&text).unwrap();
    let settings = Settings { deadline: Duration::from_secs(60), ..Settings::default() };
    if let Err(mismatch) = run(&cases[0], addr, "Ball", &settings) {
        panic!("{mismatch}");
    }
    player.join().unwrap();
}

#[test]
fn a_mismatch_says_what_was_sent_expected_and_got() {
    let mismatch =
        outcome("> a\\x00\\n\n< ? a\\x00\\n\n", vec![Reads(3), Says(b"? \xff\n"), ReadsAll])
            .unwrap_err();
    let text = "line 3: other bytes, from `\\xff\\n` on\n  sent     a\\x00\\n\n  expected ? a\\x00\\n\n  \
                got      ? \\xff\\n";
    assert_eq!(mismatch.to_string(), text);
}
