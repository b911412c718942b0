//! Commands to a server, and what it answers, for the rules that are no transcripts.

use std::net::SocketAddr;
use std::time::Instant;

use super::connection::{Connection, said};
use super::run::{clock, random};
use super::{Mismatch, Settings};
use crate::protocol::{ServerName, fields};

/// Commands on their way before their replies are waited for: enough that a round trip costs
/// little, few enough that all their replies fit the buffers between.
const AT_ONCE: usize = 100;

/// Reports a client that nobody else reports, and reads the server's name off the AT line.
///
/// # Errors
/// What the server answers, if that is not an AT line, and a connection that fails.
pub fn name_of(addr: SocketAddr, settings: &Settings) -> Result<ServerName, Mismatch> {
    let client = unique()?;
    let command = format!("IAMAT {client} +0+0 {}\n", seconds(clock().0));
    let line = ask_one(addr, command.as_bytes(), settings)?;
    let said: Vec<_> = fields(&line).collect();
    match said[..] {
        [b"AT", server, _, about, _, _] if about == client.as_bytes() => ServerName::parse(server),
        _ => None,
    }
    .ok_or_else(|| Mismatch {
        line: None,
        expected: format!("AT {{server}} {{skew}} {}", &command["IAMAT ".len()..].trim_end()),
        sent: command.into_bytes(),
        got: line,
        problem: "no AT line, so the server's name is not known".into(),
    })
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
    let of_connection = settings.commands_per_connection.unwrap_or(u64::MAX);
    let of_connection = usize::try_from(of_connection).unwrap_or(usize::MAX).max(1);
    let mut lines = Vec::with_capacity(commands.len());
    for commands in commands.chunks(of_connection) {
        let connection = Connection::open("", addr, settings.deadline);
        let mut connection =
            connection.map_err(|error| no_connection(commands[0].clone(), &error))?;
        for commands in commands.chunks(AT_ONCE) {
            ask_some(&mut connection, commands, settings, &mut lines)?;
        }
    }
    Ok(lines)
}

fn ask_some(
    connection: &mut Connection,
    commands: &[Vec<u8>],
    settings: &Settings,
    lines: &mut Vec<Vec<u8>>,
) -> Result<(), Mismatch> {
    let deadline = Instant::now() + settings.deadline;
    if let Err(error) = connection.send(&commands.concat(), deadline) {
        let problem = said(&error, settings.deadline);
        return Err(connection.mismatch(None, "all that is sent to be taken".into(), problem));
    }
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
            Ok(_) => continue,
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
    fn a_time_has_nine_decimals() {
        assert_eq!(seconds(1_479_413_884_000_000_001), "1479413884.000000001");
    }
}
