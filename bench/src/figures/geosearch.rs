//! Places near clients, and the same places near the same locations from Redis.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use herd::places::gazetteer::Gazetteer;

use super::contender::{Kind, Programs};
use super::scenarios::{CLIENTS, HERD, HERD_WITHOUT_LOG, LOTS, LOTS_WITHOUT_LOG, clean, load};
use super::{Bench, Contender, FiguresError, Scenario, Values};
use crate::launch::{self, Running};
use crate::load::{PLACES_KEY, Work, run};

const REDIS: &str = "Redis GEOSEARCH";

/// Longest wait for Redis to have stored the places.
const STORED_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn scenario(programs: &Programs) -> Scenario {
    let herd = |name, conf| Contender {
        name,
        run: Box::new(move |bench: &Bench| {
            asked(bench, name, &bench.programs.herd(conf)?, Work::Whatsat)
        }),
    };
    let mut contenders = vec![herd(HERD, LOTS), herd(HERD_WITHOUT_LOG, LOTS_WITHOUT_LOG)];
    let mut reference = HERD_WITHOUT_LOG;
    if programs.have(Kind::Redis) {
        let run = |bench: &Bench| asked(bench, REDIS, &redis_with_places()?, Work::Geosearch);
        contenders.push(Contender { name: REDIS, run: Box::new(run) });
        reference = REDIS;
    }
    Scenario {
        name: "whatsat-geosearch",
        about: format!(
            "16 connections x 16 outstanding WHATSAT 10 5 from the gazetteer, {CLIENTS} clients; the \
             gazetteer's places in Redis, GEOSEARCH FROMLONLAT BYRADIUS 10 km ASC COUNT 5 WITHCOORD \
             at locations drawn as the clients' are"
        ),
        reference: Some(reference),
        contenders,
    }
}

fn asked(
    bench: &Bench,
    name: &'static str,
    server: &Running,
    work: Work,
) -> Result<Values, FiguresError> {
    let outcome = clean(name, run(&load(bench, server, work, 16, 16))?)?;
    if outcome.without_places > 0 {
        return Err(FiguresError::NotClean { contender: name, table: outcome.table() });
    }
    Ok(vec![
        ("queries/server CPU s", outcome.server_cpu_us.map_or(f64::NAN, |us| 1e6 / us)),
        ("queries/s", outcome.rate),
        ("p99 us", outcome.p99_us),
        ("generator cores", outcome.generator_cores),
    ])
}

/// The gazetteer's places in one key, each under the name that herd's answers give it.
fn redis_with_places() -> Result<Running, FiguresError> {
    let redis = launch::redis()?;
    let (mut commands, mut stored) = (String::new(), Vec::new());
    for (id, at) in Gazetteer::new().places() {
        let (latitude, longitude) = (at.latitude, at.longitude);
        // A String takes all that is written.
        let _ = write!(commands, "GEOADD {PLACES_KEY} {longitude} {latitude} geonames:{id}\r\n");
        stored.extend_from_slice(b":1\r\n");
    }
    let mut stream = TcpStream::connect(&redis.address)?;
    stream.set_read_timeout(Some(STORED_WITHIN))?;
    stream.set_write_timeout(Some(STORED_WITHIN))?;
    // Redis keeps the replies until they are read.
    stream.write_all(commands.as_bytes())?;
    let mut replies = vec![0; stored.len()];
    stream.read_exact(&mut replies)?;
    if replies == stored {
        return Ok(redis);
    }
    let wrong = replies.split(|byte| *byte == b'\n').find(|reply| *reply != b":1\r");
    let wrong = String::from_utf8_lossy(wrong.unwrap_or_default()).into_owned();
    Err(FiguresError::NotSeen(format!("Redis has not stored every place: {wrong}")))
}

#[cfg(test)]
mod tests {
    use herd::places::{Lookup, Provider as _};
    use herd::protocol::{Coordinates, Kilometers};
    use serde_json::Value;

    use super::*;

    #[test]
    fn redis_finds_the_places_that_herd_finds() {
        if launch::in_path("redis-server").is_none() {
            eprintln!("skipped, for want of Redis");
            return;
        }
        let center = Coordinates { latitude: 34.05, longitude: -118.45 };
        let lookup = Lookup { center, radius: Kilometers(10.0), bound: 5 };
        let answer = Gazetteer::new().nearby(&lookup).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let mut expected = "*5\r\n".to_string();
        for place in answer["results"].as_array().unwrap() {
            let id = place["place_id"].as_str().unwrap();
            write!(expected, "${}\r\n{id}\r\n", id.len()).unwrap();
        }
        let redis = redis_with_places().unwrap();
        let mut stream = TcpStream::connect(&redis.address).unwrap();
        stream.set_read_timeout(Some(STORED_WITHIN)).unwrap();
        let question = "FROMLONLAT -118.45 34.05 BYRADIUS 10 km ASC COUNT 5\r\n";
        write!(stream, "GEOSEARCH {PLACES_KEY} {question}").unwrap();
        let mut reply = vec![0; expected.len()];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(String::from_utf8_lossy(&reply), expected);
    }
}
