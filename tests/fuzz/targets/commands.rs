//! Commands: a line is one exactly if a second, slow reading of the grammar says so; what was read is
//! written and read again without loss, as a record and as an UPDATE; and no line forges another in the
//! log.
//!
//! Input: a line.

#![no_main]

use herd::log::escape_into;
use herd::protocol::reply::{Fields, write_at, write_update};
use herd::protocol::{Command, Nanos, Update, fields, is_white_space, location};
use herd::records::Record;
use libfuzzer_sys::fuzz_target;

/// What a command says, in the words of the second reading.
#[derive(Debug, PartialEq)]
enum Said<'a> {
    Iamat { client: &'a [u8], location: &'a [u8], nanos: i128 },
    Whatsat { client: &'a [u8], radius: f64, bound: u64 },
    Update { client: &'a [u8], location: &'a [u8], nanos: i128, skew: i128, sender: &'a [u8] },
}

fuzz_target!(|line: &[u8]| {
    let words: Vec<&[u8]> = line
        .split(|byte| b" \t\r\n\x0b\x0c".contains(byte))
        .filter(|word| !word.is_empty())
        .collect();
    assert!(fields(line).eq(words.iter().copied()));
    let command = Command::parse(line);
    assert_eq!(command.map(said), expected(&words), "{}", line.escape_ascii());
    match command {
        Some(Command::Iamat(iamat)) => {
            // As the server that got it stores it and passes it on.
            goes_on(&Fields {
                client: iamat.client,
                origin: b"Goloman",
                location: iamat.location,
                time_text: iamat.time_text,
                time: iamat.time,
                skew: Nanos(1_479_413_884_392_014_450_i64.saturating_sub(iamat.time.0)),
            });
        }
        Some(Command::Update(update)) => goes_on(&update.fields()),
        Some(Command::Whatsat(_)) | None => {}
    }
    let mut logged = Vec::new();
    escape_into(line, &mut logged);
    assert!(logged.iter().all(|byte| (b' '..=b'~').contains(byte)), "{}", logged.escape_ascii());
});

fn said(command: Command<'_>) -> Said<'_> {
    match command {
        Command::Iamat(read) => {
            Said::Iamat { client: read.client, location: read.location, nanos: read.time.0.into() }
        }
        Command::Whatsat(read) => {
            Said::Whatsat { client: read.client, radius: read.radius.0, bound: read.bound.into() }
        }
        Command::Update(read) => Said::Update {
            client: read.client,
            location: read.location,
            nanos: read.time.0.into(),
            skew: read.skew.0.into(),
            sender: read.sender,
        },
    }
}

/// Fields that were read make the same record, and the same UPDATE and AT lines, at the next server.
fn goes_on(fields: &Fields<'_>) {
    let record = Record::new(fields);
    assert_eq!(record.fields(), *fields);
    let mut line = Vec::new();
    write_update(&record.fields(), b"Hands", &mut line);
    assert!(line.len() <= 512, "{}", line.len());
    let read = Update::parse(&line).expect("what we write is an UPDATE");
    assert_eq!((read.fields(), read.sender), (*fields, &b"Hands"[..]));
    let (mut here, mut there) = (Vec::new(), Vec::new());
    write_at(fields, &mut here);
    write_at(&read.fields(), &mut there);
    assert_eq!(here, there);
    let center = location::coordinates(fields.location).expect("a valid location has a value");
    assert!(center.latitude.abs() <= 90.0 && center.longitude.abs() <= 180.0, "{center:?}");
}

/// The grammar as the contract words it, on strings of digits and without care for speed.
fn expected<'a>(words: &[&'a [u8]]) -> Option<Said<'a>> {
    match *words {
        [b"IAMAT", client, location, time] => {
            let is_valid = is_client(client) && is_location(location) && time.len() <= 40;
            Some(Said::Iamat { client, location, nanos: nanos(time)? }).filter(|_| is_valid)
        }
        [b"WHATSAT", client, radius, bound] => {
            let is_digits = bound.iter().all(u8::is_ascii_digit);
            let is_valid = is_client(client) && is_at_most(radius, "50") && is_at_most(bound, "20");
            let text = |field| std::str::from_utf8(field).ok();
            (is_valid && is_digits).then_some(())?;
            Some(Said::Whatsat {
                client,
                radius: text(radius)?.parse().ok()?,
                bound: number(bound)?.0.parse().unwrap_or(0),
            })
        }
        [b"UPDATE", client, origin, time, location, skew, sender] => {
            let is_valid = is_client(client)
                && is_location(location)
                && is_server(origin)
                && is_server(sender)
                && time.len() <= 40;
            is_valid.then_some(())?;
            let (sign, magnitude) = match skew {
                [b'-', magnitude @ ..] => (-1, magnitude),
                [b'+', magnitude @ ..] => (1, magnitude),
                magnitude => (1, magnitude),
            };
            let skew = signed_64(sign * unbounded_nanos(magnitude)?)?;
            Some(Said::Update { client, location, nanos: nanos(time)?, skew, sender })
        }
        _ => None,
    }
}

fn is_client(word: &[u8]) -> bool {
    word.len() <= 255 && !word.iter().any(|&byte| is_white_space(byte))
}

fn is_server(word: &[u8]) -> bool {
    let allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    word.len() <= 32 && word[0] != b'.' && word.iter().all(|byte| allowed.as_bytes().contains(byte))
}

fn is_location(word: &[u8]) -> bool {
    let signs: Vec<usize> = (0..word.len()).filter(|&at| b"+-".contains(&word[at])).collect();
    let [0, second] = signs[..] else { return false };
    word.len() <= 64 && is_at_most(&word[1..second], "90") && is_at_most(&word[second + 1..], "180")
}

/// The digits before the point without leading zeros, and those behind it without trailing ones.
fn number(word: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8(word.to_vec()).ok()?;
    let parts: Vec<&str> = text.split('.').collect();
    let is_digits =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() > 2 || !parts.iter().all(is_digits) {
        return None;
    }
    let fraction = parts.get(1).map_or("", |part| part.trim_end_matches('0'));
    Some((parts[0].trim_start_matches('0').to_owned(), fraction.to_owned()))
}

fn is_at_most(word: &[u8], limit: &str) -> bool {
    number(word).is_some_and(|(whole, fraction)| {
        let (length, limit_length) = (whole.len(), limit.len());
        let order = (length, whole.as_str()).cmp(&(limit_length, limit));
        order.is_lt() || order.is_eq() && fraction.is_empty()
    })
}

fn nanos(word: &[u8]) -> Option<i128> {
    signed_64(unbounded_nanos(word)?)
}

/// `None` also for more than 20 digits before the point, which no 64 bits hold.
fn unbounded_nanos(word: &[u8]) -> Option<i128> {
    let (whole, fraction) = number(word)?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    (whole.len() <= 20).then_some(())?;
    format!("0{whole}{digits}").parse().ok()
}

fn signed_64(nanos: i128) -> Option<i128> {
    i64::try_from(nanos).ok().map(i128::from)
}
