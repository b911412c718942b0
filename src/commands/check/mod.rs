//! `herd check`: servers of any make, held to the protocol.

mod report;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use herd::check::{
    Filed, Mismatch, Neighbor, Only, Outcome, Settings, Target, Verdict, check_herd, herd_rules,
    name_of, run_all, transcripts,
};
use herd::protocol::ServerName;

use self::report::Report;
use super::{CommandError, Exit};
use crate::cli::{Check, PlayedNeighbor};

pub(crate) fn run(args: &Check) -> Result<Exit, CommandError> {
    let only = Only(args.only.clone());
    let mut cases = transcripts();
    cases.retain(|filed| only.takes(filed));
    if args.list {
        list(&cases, &only);
        return Ok(Exit::Ok);
    }
    if cases.is_empty() && rules(&only).next().is_none() {
        let message = format!("no rule has `{}` in it; --list shows all", args.only);
        return Err(CommandError::Usage(message));
    }
    let settings = settings(args);
    let addrs = addresses(args)?;
    let neighbor = args.neighbor.as_ref().map(listen).transpose()?;
    let mut report = Report::new(io::stdout(), args.verbose);
    let Some(targets) = named(&addrs, &args.name, &settings, &mut report) else {
        return Ok(Exit::WrongAnswer);
    };
    are_different(&targets)?;
    if !cases.is_empty() {
        for target in &targets {
            hold_to_transcripts(&cases, target, &settings, args.at_a_time, &mut report)?;
        }
    }
    if targets.len() > 1 {
        hold_together(&targets, &settings, &only, &mut report)?;
    }
    if let Some((played, neighbor)) = args.neighbor.as_ref().zip(neighbor) {
        hold_beside(played, neighbor, &targets, &settings, &only, &mut report)?;
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

/// The wanted rules of more than one party, with what they are about.
fn rules(only: &Only) -> impl Iterator<Item = (&'static str, &'static str)> {
    let herd = herd_rules(only).map(|rule| ("herd", rule));
    herd.chain(Neighbor::rules(only).map(|rule| ("neighbor", rule)))
}

fn list(cases: &[Filed], only: &Only) {
    let mut out = io::BufWriter::new(io::stdout().lock());
    // Who closes the pipe early has read what they wanted.
    for Filed { file, case } in cases {
        let _ = writeln!(out, "{file}:{}: {}", case.line, case.name);
    }
    for (group, rule) in rules(only) {
        let _ = writeln!(out, "{group}: {rule}");
    }
}

fn listen(played: &PlayedNeighbor) -> Result<Neighbor, CommandError> {
    Neighbor::new(played.name.clone(), &played.listen)
        .map_err(|error| cannot_listen(played, &error))
}

fn cannot_listen(
    PlayedNeighbor { name, listen }: &PlayedNeighbor,
    error: &io::Error,
) -> CommandError {
    CommandError::CannotListen(format!("cannot listen on {listen} as {name}: {error}"))
}

/// Where the servers are. All of them must take a connection before any is checked.
fn addresses(args: &Check) -> Result<Vec<SocketAddr>, CommandError> {
    if args.servers.is_empty() {
        return Err(CommandError::Usage("say which server to check: HOST:PORT".into()));
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

/// The servers with their names, said or learned; `None` if one does not say it, which is shown.
fn named(
    addrs: &[SocketAddr],
    names: &[ServerName],
    settings: &Settings,
    report: &mut Report<impl Write>,
) -> Option<Vec<Target>> {
    let name = |(at, addr): (usize, &SocketAddr)| {
        let name = names.get(at).cloned().map_or_else(|| name_of(*addr, settings), Ok);
        let target = name.map(|name| Target { addr: *addr, name });
        target.inspect_err(|mismatch| {
            let outcome = Outcome {
                group: "name",
                line: None,
                rule: "an AT line says the server's name (or say it yourself: --name)".into(),
                verdict: Verdict::Fails(Box::new(mismatch.clone())),
            };
            report.begin(&addr.to_string());
            report.add(&outcome);
        })
    };
    addrs.iter().enumerate().map(name).collect::<Result<_, _>>().ok()
}

/// Servers of one herd have different names: the same twice would be a herd of fewer than it seems.
fn are_different(targets: &[Target]) -> Result<(), CommandError> {
    let is_again = |at: &usize| targets[..*at].iter().any(|it| it.name == targets[*at].name);
    match (0..targets.len()).find(is_again) {
        None => Ok(()),
        Some(at) => {
            let message = format!("two of the servers have the name {}", targets[at].name);
            Err(CommandError::Usage(message))
        }
    }
}

fn hold_to_transcripts(
    cases: &[Filed],
    target: &Target,
    settings: &Settings,
    at_a_time: usize,
    report: &mut Report<impl Write>,
) -> Result<(), CommandError> {
    let Target { addr, name } = target;
    report.begin(&format!("{name} at {addr}"));
    run_all(cases, target, settings, at_a_time, |outcome| report.add(&outcome))
        .map_err(|error| CommandError::RunTime(format!("cannot start a thread: {error}")))?;
    report.end(name.as_str());
    Ok(())
}

fn hold_together(
    targets: &[Target],
    settings: &Settings,
    only: &Only,
    report: &mut Report<impl Write>,
) -> Result<(), CommandError> {
    if herd_rules(only).next().is_none() {
        return Ok(());
    }
    let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
    let who = format!("the herd of {}", names.join(", "));
    report.begin(&who);
    check_herd(targets, settings, only, |outcome| report.add(&outcome))
        .map_err(|Mismatch { problem, .. }| CommandError::RunTime(problem))?;
    report.end(&who);
    Ok(())
}

fn hold_beside(
    played: &PlayedNeighbor,
    neighbor: Neighbor,
    targets: &[Target],
    settings: &Settings,
    only: &Only,
    report: &mut Report<impl Write>,
) -> Result<(), CommandError> {
    if Neighbor::rules(only).next().is_none() {
        return Ok(());
    }
    let who = format!("{} beside its neighbor {}", targets[0].name, played.name);
    report.begin(&format!("{who} at {}", played.listen));
    neighbor
        .check(targets, settings, only, |outcome| report.add(&outcome))
        .map_err(|error| cannot_listen(played, &error))?;
    report.end(&who);
    Ok(())
}
