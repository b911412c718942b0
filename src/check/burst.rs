//! Many reports at the same time, to all servers of a herd.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::Mismatch;
use super::ask::{ask, fact_of, iamat, report, seconds, whatsat};
use super::fact::Fact;
use super::herd::Servers;
use super::run::clock;
use crate::protocol::Nanos;
use crate::threads;

/// Clients of the burst, and how often each server is told where each of them is.
const CLIENTS: usize = 1000;
const ROUNDS: usize = 3;

/// Different times among the reports of a client. Each server is told of each, in another order than the
/// others, so that the newest is told to all of them, and skews decide which of those wins.
const TIMES: usize = ROUNDS;

/// Reports of the client that is looked at meanwhile, and looks on one connection.
const STEPS: i64 = 300;
const LOOKS: usize = 20;

/// After a burst in which every server was told of every client several times, in another order of
/// times than the others.
pub(super) fn ends_equal(servers: &mut Servers) -> Result<(), Mismatch> {
    let from = clock().0;
    let clients: Vec<_> = (0..CLIENTS).map(|_| servers.client()).collect();
    let reports_to = |at: usize| {
        let report = |round: usize, number: usize, client: &String| {
            let time = (number + round * 2 + at) % TIMES;
            let time = seconds(from + i64::try_from(time).expect("it is small"));
            iamat(client.as_bytes(), &format!("+{at}+{round}"), &time)
        };
        let round = |round| clients.iter().enumerate().map(move |(at, it)| report(round, at, it));
        (0..ROUNDS).flat_map(round).collect::<Vec<_>>()
    };
    let commands: Vec<_> = (0..servers.targets.len()).map(reports_to).collect();
    let facts = report_at_once(servers, &commands)?;
    servers.all_know_the_newest(&facts)
}

/// Reports to each server, to all of them at the same time, and what the answers say.
fn report_at_once(servers: &Servers, commands: &[Vec<Vec<u8>>]) -> Result<Vec<Fact>, Mismatch> {
    let told = side_by_side(commands.len(), |at| {
        let lines = ask(servers.targets[at].addr, &commands[at], &servers.settings)?;
        let facts = commands[at].iter().zip(&lines).map(|(command, line)| fact_of(command, line));
        facts.collect::<Result<Vec<_>, _>>()
    })?;
    Ok(told.concat())
}

/// One client is reported to one server after the other, each time newer, while all servers are
/// asked for it.
pub(super) fn nothing_goes_back(servers: &mut Servers) -> Result<(), Mismatch> {
    let client = servers.client();
    let (servers, count) = (&*servers, servers.targets.len());
    let is_over = AtomicBool::new(false);
    let reports = || {
        let from = clock().0;
        (0..STEPS).try_for_each(|step| {
            let target = servers.targets.iter().cycle().nth(usize::try_from(step).unwrap_or(0));
            let target = target.expect("there are servers");
            report(target, &client, "+1+1", &seconds(from + step), &servers.settings).map(drop)
        })
    };
    // The first one started ends the others, also if one of them cannot be started.
    side_by_side(count + 1, |at| match at.checked_sub(1) {
        None => {
            let reported = reports();
            is_over.store(true, Ordering::Relaxed);
            reported
        }
        Some(at) => looks_on(servers, at, &client, &is_over),
    })
    .map(drop)
}

fn looks_on(
    servers: &Servers,
    at: usize,
    client: &str,
    is_over: &AtomicBool,
) -> Result<(), Mismatch> {
    let command = whatsat(client.as_bytes());
    let looks = vec![command.clone(); LOOKS];
    let target = &servers.targets[at];
    let mut last = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        for line in ask(target.addr, &looks, &servers.settings)? {
            // Before it is known it has no time.
            let time = |line: &[u8]| Fact::of_at(line).map(|fact| fact.nanos());
            if time(&line) < time(&last) {
                let before = time(&last).map_or_else(String::new, |Nanos(time)| seconds(time));
                return Err(Mismatch {
                    line: None,
                    sent: command,
                    expected: format!("a time from {before} on"),
                    got: line,
                    problem: format!("{} goes back", target.name),
                });
            }
            last = line;
        }
    }
    Ok(())
}

/// Runs so many things at the same time, and waits for all of them. The first failure counts.
fn side_by_side<T: Send>(
    count: usize,
    run: impl Fn(usize) -> Result<T, Mismatch> + Sync,
) -> Result<Vec<T>, Mismatch> {
    let run = &run;
    let ended: Vec<Result<T, Mismatch>> = thread::scope(|scope| {
        let start = |at| threads::spawn_scoped(scope, "check", move || run(at));
        // All are started before any is waited for.
        let started: Vec<_> = (0..count).map(start).collect();
        let end = |thread: std::io::Result<thread::ScopedJoinHandle<'_, _>>| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err(Mismatch {
                line: None,
                sent: Vec::new(),
                expected: "a thread of our own".into(),
                got: Vec::new(),
                problem: error.to_string(),
            }),
        };
        started.into_iter().map(end).collect()
    });
    ended.into_iter().collect()
}
