//! Commands to a server, and what it answers, for the rules that are no transcripts.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::connection::{Connection, said};
use super::fact::Fact;
use super::run::{clock, random};
use super::suite::Target;
use super::{Mismatch, Settings, escaped};
use crate::protocol::{ServerName, fields};

/// Commands on their way before their replies are waited for: enough that a round trip costs
/// little, few enough that all their replies fit the buffers between.
const AT_ONCE: usize = 100;

/// Longest reply, in bytes, that is waited for: there are no places in what is asked here.
const MAX_REPLY: usize = 64 << 10;

/// Time between two looks at what should come about.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Reports a client that nobody else reports, and reads the server's name off the AT line.
///
/// # Errors
/// What the server answers, if that is not an AT line, and a connection that fails.
pub fn name_of(addr: SocketAddr, settings: &Settings) -> Result<ServerName, Mismatch> {
    let command = iamat(unique()?.as_bytes(), "+0+0", &seconds(clock().0));
    let line = ask_one(addr, &command, settings)?;
    let origin = fact_of(&command, &line)?.origin;
    ServerName::parse(&origin).ok_or_else(|| {
        let problem = "no server has such a name".into();
        Mismatch { line: None, expected: at_of(&command), sent: command, got: line, problem }
    })
}

/// Reports a client to a server, for which that is news, and gives what the AT line says.
pub(super) fn report(
    target: &Target,
    client: &str,
    location: &str,
    time: &str,
    settings: &Settings,
) -> Result<Fact, Mismatch> {
    let command = iamat(client.as_bytes(), location, time);
    let line = ask_one(target.addr, &command, settings)?;
    let fact = fact_of(&command, &line)?;
    let is_the_report = fact.location == location.as_bytes() && fact.time == time.as_bytes();
    if is_the_report { Ok(fact) } else { Err(no_at_line(&command, &line, "report")) }
}

/// What the AT line that answers a report says: that, or what is newer.
pub(super) fn fact_of(command: &[u8], line: &[u8]) -> Result<Fact, Mismatch> {
    let client = fields(command).nth(1);
    let fact = Fact::of_at(line).filter(|fact| Some(&fact.client[..]) == client);
    fact.ok_or_else(|| no_at_line(command, line, "client"))
}

fn no_at_line(command: &[u8], line: &[u8], whose: &str) -> Mismatch {
    Mismatch {
        line: None,
        sent: command.to_vec(),
        expected: at_of(command),
        got: line.to_vec(),
        problem: format!("this is not the AT line of the {whose}"),
    }
}

/// The AT line of a report, as a transcript writes it.
fn at_of(iamat: &[u8]) -> String {
    let rest = iamat.strip_prefix(b"IAMAT ").unwrap_or(iamat);
    format!("AT {{server}} {{skew}} {}", escaped(rest))
}

/// Waits until a server answers a look-up with what is said.
pub(super) fn becomes_known(
    target: &Target,
    fact: &Fact,
    settings: &Settings,
) -> Result<(), Mismatch> {
    all_become_known(target, vec![fact], settings)
}

/// Waits until a server answers look-ups with what is said of each client.
pub(super) fn all_become_known(
    target: &Target,
    mut unknown: Vec<&Fact>,
    settings: &Settings,
) -> Result<(), Mismatch> {
    let deadline = Instant::now() + settings.deadline;
    loop {
        let looks: Vec<_> = unknown.iter().map(|fact| whatsat(&fact.client)).collect();
        let lines = ask(target.addr, &looks, settings)?;
        let still = unknown.iter().zip(lines).filter(|(fact, line)| fact.at() != *line);
        let (still, lines): (Vec<&Fact>, Vec<_>) = still.map(|(fact, line)| (*fact, line)).unzip();
        let Some((fact, got)) = still.first().zip(lines.into_iter().next()) else { return Ok(()) };
        if Instant::now() >= deadline {
            let (name, limit) = (&target.name, settings.deadline);
            return Err(Mismatch {
                line: None,
                sent: whatsat(&fact.client),
                expected: escaped(&fact.at()),
                got,
                problem: match still.len() {
                    1 => format!("{name} still answers this after {limit:?}"),
                    n => {
                        format!("{name} still answers this after {limit:?}, and so for {n} clients")
                    }
                },
            });
        }
        unknown = still;
        sleep(LOOK_AGAIN);
    }
}

/// `IAMAT` with its LF.
pub(super) fn iamat(client: &[u8], location: &str, time: &str) -> Vec<u8> {
    [b"IAMAT ", client, b" ", location.as_bytes(), b" ", time.as_bytes(), b"\n"].concat()
}

/// `WHATSAT` that asks for no places, with its LF.
pub(super) fn whatsat(client: &[u8]) -> Vec<u8> {
    [b"WHATSAT ", client, b" 1 0\n"].concat()
}

/// A client's name that no other rule and no other run uses.
pub(super) fn unique() -> Result<String, Mismatch> {
    let number = random().map_err(|error| no_connection(Vec::new(), &error))?;
    Ok(format!("c{number:016x}"))
}

/// A time of the protocol: seconds with nine decimals.
pub(super) fn seconds(nanos: i64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// The first line of the reply to a command, with its LF.
pub(super) fn ask_one(
    addr: SocketAddr,
    command: &[u8],
    settings: &Settings,
) -> Result<Vec<u8>, Mismatch> {
    let mut lines = ask(addr, &[command.to_vec()], settings)?;
    Ok(lines.pop().expect("a reply to each command"))
}

/// The first line of the reply to each command, with its LF: an AT line, or `? ` and the command.
/// On as few connections as the server allows.
pub(super) fn ask(
    addr: SocketAddr,
    commands: &[Vec<u8>],
    settings: &Settings,
) -> Result<Vec<Vec<u8>>, Mismatch> {
    let mut lines = Vec::with_capacity(commands.len());
    for commands in commands.chunks(of_connection(settings)) {
        let mut connection = open(addr, commands, settings)?;
        for commands in commands.chunks(AT_ONCE) {
            send(&mut connection, commands, settings)?;
            replies(&mut connection, commands, settings, &mut lines)?;
        }
    }
    Ok(lines)
}

/// As [`ask`], of several servers: all of them have their commands before any answer is read. Each
/// has at most [`AT_ONCE`].
pub(super) fn ask_all(
    targets: &[Target],
    commands: &[Vec<Vec<u8>>],
    settings: &Settings,
) -> Result<Vec<Vec<u8>>, Mismatch> {
    let mut under_way = Vec::new();
    for (target, commands) in targets.iter().zip(commands) {
        for commands in commands.chunks(of_connection(settings)) {
            under_way.push((open(target.addr, commands, settings)?, commands));
        }
    }
    for (connection, commands) in &mut under_way {
        send(connection, commands, settings)?;
    }
    let mut lines = Vec::new();
    for (connection, commands) in &mut under_way {
        replies(connection, commands, settings, &mut lines)?;
    }
    Ok(lines)
}

/// Commands that a connection may be used for.
fn of_connection(settings: &Settings) -> usize {
    let count = settings.commands_per_connection.unwrap_or(u64::MAX);
    usize::try_from(count).unwrap_or(usize::MAX).max(1)
}

fn open(
    addr: SocketAddr,
    commands: &[Vec<u8>],
    settings: &Settings,
) -> Result<Connection, Mismatch> {
    let opened = Connection::open("", addr, settings.deadline);
    opened.map_err(|error| no_connection(commands[0].clone(), &error))
}

fn send(
    connection: &mut Connection,
    commands: &[Vec<u8>],
    settings: &Settings,
) -> Result<(), Mismatch> {
    let deadline = Instant::now() + settings.deadline;
    connection.send(&commands.concat(), deadline).map_err(|error| {
        let problem = said(&error, settings.deadline);
        connection.mismatch(None, "all that is sent to be taken".into(), problem)
    })
}

fn replies(
    connection: &mut Connection,
    commands: &[Vec<u8>],
    settings: &Settings,
    lines: &mut Vec<Vec<u8>>,
) -> Result<(), Mismatch> {
    for command in commands {
        connection.sent.clone_from(command);
        lines.push(reply(connection, command, settings)?);
    }
    Ok(())
}

/// The next reply, of which the first line is given.
fn reply(
    connection: &mut Connection,
    command: &[u8],
    settings: &Settings,
) -> Result<Vec<u8>, Mismatch> {
    let deadline = Instant::now() + settings.deadline;
    loop {
        if let Some(length) = reply_length(command, connection.untaken()) {
            let line = connection.untaken()[..length].split_inclusive(|&byte| byte == b'\n');
            let line = line.take(1).collect::<Vec<_>>().concat();
            connection.take(length);
            return Ok(line);
        }
        let problem = match connection.receive(deadline) {
            Ok(0) => "the server closed the connection".into(),
            Ok(_) if connection.untaken().len() <= MAX_REPLY * AT_ONCE => continue,
            Ok(_) => "a reply without an end".into(),
            Err(error) => said(&error, settings.deadline),
        };
        return Err(connection.mismatch(None, "a reply".into(), problem));
    }
}

/// How long the reply at the start of these bytes is, once all of it is there: a line, and places
/// after it if a look-up is answered with an AT line.
fn reply_length(command: &[u8], got: &[u8]) -> Option<usize> {
    if command.starts_with(b"WHATSAT ") && got.starts_with(b"AT ") {
        return got.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 2);
    }
    got.iter().position(|&byte| byte == b'\n').map(|at| at + 1)
}

fn no_connection(sent: Vec<u8>, error: &dyn std::error::Error) -> Mismatch {
    let (expected, got) = ("a connection".into(), Vec::new());
    Mismatch { line: None, sent, expected, got, problem: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_whole_with_its_places() {
        assert_eq!(reply_length(b"IAMAT a +1+1 1\n", b"AT A +0 a +1+1 1\nAT "), Some(17));
        assert_eq!(reply_length(b"WHATSAT a 1 0\n", b"AT A +0 a +1+1 1\n{}\n"), None);
        assert_eq!(reply_length(b"WHATSAT a 1 0\n", b"AT A +0 a +1+1 1\n{}\n\n? "), Some(21));
        assert_eq!(reply_length(b"WHATSAT a 1 0\n", b"? WHATSAT a 1 0\n"), Some(16));
        assert_eq!(reply_length(b"WHATSAT a 1 0\n", b"AT"), None);
    }

    #[test]
    fn the_answer_to_a_report_is_about_its_client() {
        let command = iamat(b"kiwi", "+1+1", "1");
        assert!(fact_of(&command, b"AT A +0.000000000 kiwi +1+1 1\n").is_ok());
        let wrong = fact_of(&command, b"AT A +0.000000000 duck +1+1 1\n").unwrap_err();
        assert_eq!(wrong.expected, "AT {server} {skew} kiwi +1+1 1\\n");
        assert!(fact_of(&command, b"? IAMAT kiwi +1+1 1\n").is_err());
    }

    #[test]
    fn a_time_has_nine_decimals() {
        assert_eq!(seconds(1_479_413_884_000_000_001), "1479413884.000000001");
    }
}
