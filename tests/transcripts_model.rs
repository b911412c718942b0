//! The transcripts against a model of the server, also without a socket: they agree with the protocol
//! module, and whatever is wrong with a server, one of them finds it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/model.rs"]
mod model;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use herd::check::{Case, Line, Match, Settings, Step, Values, Window, run, transcripts};
use herd::protocol::Nanos;
use model::{Fault, Model, Session};

const NAME: &str = "Ball";

/// Start of every case, and by how much the clock moves at each step.
const START: Nanos = Nanos(1_800_000_000_123_456_789);
const STEP: i64 = 1_000_001;

/// Plays a case; the error says what differs.
fn play(case: &Case, fault: Option<Fault>, seed: u64) -> Result<(), String> {
    let settings = Settings::default();
    let mut model = Model::new(NAME, fault);
    model.commands_per_connection = case.needs.commands_per_connection;
    let mut values = Values::new(NAME, &settings, seed, START);
    let mut clock = START;
    let mut sessions: HashMap<String, Session> = HashMap::new();
    let mut current = String::new();
    let mut ended = HashSet::new();
    for step in &case.steps {
        clock.0 += STEP;
        if let Step::On(name) = step {
            current.clone_from(name);
        }
        let session = sessions.entry(current.clone()).or_default();
        match step {
            Step::On(_) | Step::Pause => {}
            Step::Send { lines, byte_by_byte } => {
                let bytes = bytes(&values, lines);
                let piece = if *byte_by_byte { 1 } else { bytes.len() };
                bytes.chunks(piece).for_each(|piece| model.feed(session, piece, clock));
            }
            Step::Expect { lines, .. } => {
                let window = Window { from: START, until: clock };
                expect(&mut values, lines, session, window)?;
            }
            Step::HalfClose => {
                ended.insert(current.clone());
                model.end(session, clock);
            }
            Step::Closed { line } => closed(session, *line)?,
        }
    }
    for (name, session) in &mut sessions {
        if !ended.contains(name) {
            model.end(session, clock);
        }
        closed(session, case.line)?;
    }
    Ok(())
}

fn bytes(values: &Values<'_>, lines: &[Line]) -> Vec<u8> {
    let repeated = |line: &Line| {
        (1..=line.times).flat_map(|index| values.bytes(line, index)).collect::<Vec<_>>()
    };
    lines.iter().flat_map(repeated).collect()
}

fn expect(
    values: &mut Values<'_>,
    lines: &[Line],
    session: &mut Session,
    window: Window,
) -> Result<(), String> {
    let output = std::mem::take(&mut session.output);
    let mut rest = &output[..];
    for line in lines {
        for index in 1..=line.times {
            match values.compare(line, index, rest, window) {
                Match::Whole(length) => rest = &rest[length..],
                Match::More => return Err(format!("line {}: more must come", line.number)),
                Match::Wrong(problem) => return Err(format!("line {}: {problem}", line.number)),
            }
        }
    }
    session.output = rest.to_vec();
    Ok(())
}

fn closed(session: &Session, line: usize) -> Result<(), String> {
    if session.is_closed && session.output.is_empty() {
        return Ok(());
    }
    let output = herd::check::escaped(&session.output);
    Err(format!("line {line}: closed {}, with `{output}` left", session.is_closed))
}

/// Plays the model on a connection until it or the client ends it.
fn converse(model: &Mutex<&mut Model>, stream: &mut TcpStream) -> io::Result<()> {
    let clock = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Nanos(since.as_nanos().try_into().unwrap())
    };
    let mut session = Session::default();
    let mut buffer = [0; 4096];
    while !session.is_closed {
        match stream.read(&mut buffer)? {
            0 => model.lock().unwrap().end(&mut session, clock()),
            count => model.lock().unwrap().feed(&mut session, &buffer[..count], clock()),
        }
        stream.write_all(&std::mem::take(&mut session.output))?;
    }
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

#[test]
fn the_runner_finds_that_the_model_keeps_every_transcript() {
    let all = transcripts();
    for limit in [None, Some(1), Some(3)] {
        let settings = Settings { commands_per_connection: limit, ..Settings::default() };
        let mut model = Model::new(NAME, None);
        model.commands_per_connection = limit;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let model = &Mutex::new(&mut model);
        let is_over = &AtomicBool::new(false);
        let wrong = thread::scope(|scope| {
            scope.spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    scope.spawn(move || converse(model, &mut stream));
                }
            });
            let mut wrong = String::new();
            for filed in all.iter().filter(|filed| settings.meet(&filed.case.needs)) {
                if let Err(mismatch) = run(&filed.case, addr, NAME, &settings) {
                    wrong += &format!("{}: {}\n  {mismatch}\n", filed.file, filed.case.name);
                }
            }
            is_over.store(true, Ordering::SeqCst);
            TcpStream::connect(addr).unwrap();
            wrong
        });
        assert!(wrong.is_empty(), "{wrong}");
    }
}

#[test]
fn the_protocol_module_keeps_every_transcript() {
    let mut wrong = Vec::new();
    for (filed, seed) in transcripts().iter().zip(0..) {
        if let Err(problem) = play(&filed.case, None, seed) {
            wrong.push(format!("{}: {}: {problem}", filed.file, filed.case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_of_a_server_is_found() {
    use Fault::*;
    let faults = [
        RestampsEqualReports,
        ReadsTimesAsFloats,
        LetsTheLastTieWin,
        LetsTheFirstTieWin,
        LetsTheGreaterSkewWin,
        AnswersWithTheReportItself,
        StripsTheCr,
        CopiesAsText,
        SplitsAtUnicodeSpaces,
        SplitsAtControlBytes,
        IgnoresCase,
        RoundsSkews,
        SkewsBackwards,
        AnswersUpdates,
        ForgetsUpdates,
        JudgesHowFarUpdatesAreAhead,
        TakesAnyFuture,
        DropsTheFinalLine,
        TakesAnEmptyRemainderForALine,
        SkipsEmptyLines,
        CountsTheLf,
        StaysAfterALongLine,
        ReadsOnAfterALongLine,
        WaitsForTheEndOfALongLine,
        LosesWhatFollowsALine,
        ForgetsTheBound,
        KnowsEveryClient,
        EndsPlacesWithOneLf,
        SwapsReplies,
        NeverCloses,
        ExecutesWhatItDoesNotAnswer,
    ];
    let all = transcripts();
    for fault in faults {
        let found = all.iter().filter(|filed| play(&filed.case, Some(fault), 1).is_err()).count();
        println!("{fault:?}: found by {found} cases");
        assert!(found > 0, "no case finds {fault:?}");
        assert!(found < all.len(), "every case fails with {fault:?}: the model is broken");
    }
}

#[test]
fn there_are_at_least_120_cases_and_no_name_twice() {
    let all = transcripts();
    assert!(all.len() >= 120, "{}", all.len());
    let names: HashSet<&str> = all.iter().map(|filed| filed.case.name.as_str()).collect();
    assert_eq!(names.len(), all.len());
}
