//! `herd check`: servers of any make, held to the protocol.

mod report;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use herd::check::{Filed, Outcome, Settings, Target, Verdict, name_of, run_all, transcripts};
use herd::protocol::ServerName;

use self::report::Report;
use super::{CommandError, Exit};
use crate::cli::Check;

pub(crate) fn run(args: &Check) -> Result<Exit, CommandError> {
    let cases = selected(&args.only)?;
    if args.list {
        list(&cases);
        return Ok(Exit::Ok);
    }
    let settings = settings(args);
    let mut report = Report::new(io::stdout(), args.verbose);
    let addrs = addresses(args)?;
    for (at, addr) in addrs.iter().enumerate() {
        let Some(target) = target(*addr, args.name.get(at), &settings, &mut report) else {
            continue;
        };
        hold(&cases, &target, &settings, args.at_a_time, &mut report)?;
    }
    Ok(if report.any_fails() { Exit::WrongAnswer } else { Exit::Ok })
}

/// What the options say of the servers.
fn settings(args: &Check) -> Settings {
    Settings {
        max_line: args.max_line.0,
        max_ahead: args.max_ahead.0,
        commands_per_connection: args.commands_per_connection.map(|count| count as u64),
        updates: !args.no_updates,
        deadline: args.timeout,
        clock_tolerance: args.clock_tolerance,
    }
}

/// The transcripts that have this text in their file's name or in their own.
fn selected(text: &str) -> Result<Vec<Filed>, CommandError> {
    let mut cases = transcripts();
    cases.retain(|filed| filed.file.contains(text) || filed.case.name.contains(text));
    if cases.is_empty() {
        let message = format!("no rule has `{text}` in it; --list shows all");
        return Err(CommandError::Usage(message));
    }
    Ok(cases)
}

fn list(cases: &[Filed]) {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for Filed { file, case } in cases {
        // Who closes the pipe early has read what they wanted.
        let _ = writeln!(out, "{file}:{}: {}", case.line, case.name);
    }
}

/// Where the servers are. All of them must take a connection before any is checked.
fn addresses(args: &Check) -> Result<Vec<SocketAddr>, CommandError> {
    if args.servers.is_empty() {
        return Err(CommandError::Usage("say which server: HOST:PORT".into()));
    }
    if ![0, args.servers.len()].contains(&args.name.len()) {
        let (names, servers) = (args.name.len(), args.servers.len());
        let message =
            format!("{names} times --name for {servers} servers; say it for each or none");
        return Err(CommandError::Usage(message));
    }
    args.servers.iter().map(|server| address(server, args.timeout)).collect()
}

/// The first address of `HOST:PORT` that takes a connection.
fn address(server: &str, timeout: Duration) -> Result<SocketAddr, CommandError> {
    if !server.contains(':') {
        return Err(CommandError::Usage(format!("`{server}` is not HOST:PORT")));
    }
    let fails =
        |error: io::Error| CommandError::RunTime(format!("cannot connect to {server}: {error}"));
    let mut last = io::Error::other("the name has no address");
    for addr in server.to_socket_addrs().map_err(fails)? {
        match TcpStream::connect_timeout(&addr, timeout) {
            Ok(_) => return Ok(addr),
            Err(error) => last = error,
        }
    }
    Err(fails(last))
}

/// The server with its name; `None` if it does not say it, which is then said.
fn target(
    addr: SocketAddr,
    name: Option<&ServerName>,
    settings: &Settings,
    report: &mut Report<impl Write>,
) -> Option<Target> {
    let name = name.cloned().map_or_else(|| name_of(addr, settings), Ok);
    name.map(|name| Target { addr, name })
        .inspect_err(|mismatch| {
            let rule = "an AT line names the server (or say it: --name NAME)".into();
            let verdict = Verdict::Fails(Box::new(mismatch.clone()));
            let group = "name";
            let _ = report.begin(&addr.to_string());
            let _ = report.add(&Outcome { group, line: None, rule, verdict });
        })
        .ok()
}

/// Holds a server to the transcripts.
fn hold(
    cases: &[Filed],
    target: &Target,
    settings: &Settings,
    at_a_time: usize,
    report: &mut Report<impl Write>,
) -> Result<(), CommandError> {
    let Target { addr, name } = target;
    // Who closes the pipe early (`| head`) has read what they wanted; the exit code is right all the
    // same.
    let _ = report.begin(&format!("{name} at {addr}"));
    run_all(cases, target, settings, at_a_time, |outcome| drop(report.add(&outcome)))
        .map_err(|error| CommandError::RunTime(format!("cannot start a thread: {error}")))?;
    let _ = report.end(name.as_str());
    Ok(())
}
