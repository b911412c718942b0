//! The bytes of requests: templates whose fields are overwritten, so that a request costs a copy and
//! a few digits.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Work;
use super::replies::Expected;

const CLIENT: &str = "client-0000000000000";
const LATITUDE: &str = "34.0000000";
const LONGITUDE: &str = "-118.400000";
const TIME: &str = "0000000000.000000000";

/// Kilometers that are asked for, and places: what an app would show of one's surroundings.
const RADIUS: &str = "10";
const BOUND: &str = "5";

/// Redis: the key that holds places.
pub(crate) const PLACES_KEY: &str = "places";

/// A request and where its fields stand.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    text: String,
    /// Where the field ends; its digits are written from there backwards.
    client_end: Option<usize>,
    latitude_end: Option<usize>,
    longitude_end: Option<usize>,
    time: Option<usize>,
}

impl Template {
    /// 71 bytes: a client of 20, a location of 22, a time of 20.
    pub(crate) fn iamat() -> Self {
        Self::of(format!("IAMAT {CLIENT} +{LATITUDE}{LONGITUDE} {TIME}\n"))
    }

    pub(crate) fn whatsat() -> Self {
        Self::of(format!("WHATSAT {CLIENT} {RADIUS} {BOUND}\n"))
    }

    pub(crate) fn geoadd() -> Self {
        Self::resp(&["GEOADD", "herd", LONGITUDE, LATITUDE, CLIENT])
    }

    /// What WHATSAT asks for, about a location as clients have it.
    pub(crate) fn geosearch() -> Self {
        let (from, by) = (["FROMLONLAT", LONGITUDE, LATITUDE], ["BYRADIUS", RADIUS, "km"]);
        let which = ["ASC", "COUNT", BOUND, "WITHCOORD"];
        Self::resp(&[&["GEOSEARCH", PLACES_KEY][..], &from, &by, &which].concat())
    }

    pub(crate) fn set() -> Self {
        Self::resp(&["SET", CLIENT, &value()])
    }

    pub(crate) fn memcached_set() -> Self {
        let value = value();
        Self::of(format!("set {CLIENT} 0 0 {}\r\n{value}\r\n", value.len()))
    }

    /// A command as Redis takes it: an array of strings with their lengths.
    fn resp(words: &[&str]) -> Self {
        let strings: String =
            words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        Self::of(format!("*{}\r\n{strings}", words.len()))
    }

    fn of(text: String) -> Self {
        let end = |field: &str| text.find(field).map(|start| start + field.len());
        Self {
            client_end: end(CLIENT),
            latitude_end: end(LATITUDE),
            longitude_end: end(LONGITUDE),
            time: text.find(TIME),
            text,
        }
    }

    fn write(&self, out: &mut Vec<u8>, client: u32, place: u32, time: Option<&Stamp>) {
        let start = out.len();
        out.extend_from_slice(self.text.as_bytes());
        let line = &mut out[start..];
        if let Some(end) = self.client_end {
            write_digits(&mut line[..end], client);
        }
        if let Some(end) = self.latitude_end {
            write_digits(&mut line[..end], place % 1_000_000);
        }
        if let Some(end) = self.longitude_end {
            write_digits(&mut line[..end], (place >> 12) % 100_000);
        }
        if let (Some(at), Some(time)) = (self.time, time) {
            line[at..at + TIME.len()].copy_from_slice(&time.text);
        }
    }
}

/// What is stored of a client where a server has no fields: 22 bytes, a space, 20 bytes.
fn value() -> String {
    format!("+{LATITUDE}{LONGITUDE} {TIME}")
}

/// Over the zeros at the end of `field`.
fn write_digits(field: &mut [u8], mut number: u32) {
    for place in field.iter_mut().rev() {
        if number == 0 {
            break;
        }
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A time as it stands in a line, which goes up by a nanosecond a line.
#[derive(Debug)]
struct Stamp {
    nanos: u64,
    text: [u8; 20],
}

impl Stamp {
    fn new() -> Self {
        Self { nanos: 0, text: *b"0000000000.000000000" }
    }

    /// To the clock's time, unless it is ahead of that.
    fn advance_to(&mut self, nanos: u64) {
        if nanos > self.nanos {
            self.nanos = nanos;
            let text = format!("{:010}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
            // Ten digits of seconds last until the year 2286.
            self.text.copy_from_slice(&text.as_bytes()[..20]);
        }
    }

    fn next(&mut self) {
        self.nanos += 1;
        for digit in self.text.iter_mut().rev().filter(|digit| **digit != b'.') {
            if *digit != b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }
}

/// Makes requests: clients drawn uniformly, each report newer than the one before.
#[derive(Debug)]
pub(crate) struct Requests {
    report: Template,
    reply: Expected,
    whatsat: Template,
    whatsat_percent: u8,
    clients: u32,
    draws: fastrand::Rng,
    stamp: Stamp,
}

impl Requests {
    /// `expect_echo`: the server sends every line back as it is.
    pub(crate) fn new(work: Work, clients: u32, seed: u64, expect_echo: bool) -> Self {
        let (report, reply) = work.report();
        Self {
            report,
            reply: if expect_echo { Expected::Echo } else { reply },
            whatsat: Template::whatsat(),
            whatsat_percent: work.whatsat_percent(),
            clients,
            draws: fastrand::Rng::with_seed(seed),
            stamp: Stamp::new(),
        }
    }

    /// Brings the reports' times up to the clock; once a batch is enough, since each report after
    /// is a nanosecond newer.
    pub(crate) fn read_clock(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.stamp.advance_to(now.as_nanos() as u64);
    }

    /// Appends one request, and says what its reply has to be.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>) -> Expected {
        let draw = self.draws.u64(..);
        // The upper half picks the client, the lower half the place.
        let client = (((draw >> 32) * u64::from(self.clients)) >> 32) as u32;
        let asks = self.whatsat_percent > 0 && self.draws.u8(..100) < self.whatsat_percent;
        if asks {
            self.whatsat.write(out, client, 0, None);
            return Expected::AtAndPlaces;
        }
        self.stamp.next();
        self.report.write(out, client, draw as u32, Some(&self.stamp));
        self.reply
    }

    /// A report for each client, in order.
    pub(crate) fn one_report_each(&mut self) -> impl Iterator<Item = Vec<u8>> + Send {
        self.read_clock();
        (0..self.clients).map(|client| {
            let mut line = Vec::with_capacity(self.report.text.len());
            self.stamp.next();
            self.report.write(&mut line, client, self.draws.u32(..), Some(&self.stamp));
            line
        })
    }
}

#[cfg(test)]
mod tests {
    use herd::protocol::{Command, Nanos};

    use super::*;

    fn made(work: Work, clients: u32) -> Requests {
        let mut requests = Requests::new(work, clients, 7, false);
        requests.stamp.advance_to(1_479_413_884_392_014_450);
        requests
    }

    fn line(requests: &mut Requests) -> String {
        let mut out = Vec::new();
        requests.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_report_has_the_sizes_that_the_figures_are_stated_for() {
        let line = line(&mut made(Work::Iamat, 100_000));
        assert_eq!(line.len(), 71);
        let Some(Command::Iamat(report)) = Command::parse(line.trim_end().as_bytes()) else {
            panic!("{line:?} is no IAMAT")
        };
        assert_eq!(report.client.len(), 20, "{line}");
        assert_eq!(report.location.len(), 22, "{line}");
        assert_eq!(report.time_text.len(), 20, "{line}");
    }

    #[test]
    fn each_report_is_a_nanosecond_newer_over_every_carry() {
        let mut requests = made(Work::Iamat, 10);
        requests.stamp.advance_to(1_999_999_999_999_999_997);
        for newer in 1..=1_000 {
            let line = line(&mut requests);
            let Some(Command::Iamat(report)) = Command::parse(line.trim_end().as_bytes()) else {
                panic!("{line:?} is no IAMAT")
            };
            assert_eq!(report.time, Nanos(1_999_999_999_999_999_997 + newer));
        }
    }

    #[test]
    fn the_clock_never_makes_a_report_older() {
        let mut requests = made(Work::Iamat, 10);
        requests.stamp.advance_to(5);
        assert!(line(&mut requests).ends_with(" 1479413884.392014451\n"));
    }

    #[test]
    fn clients_are_drawn_from_all_and_only_those() {
        let mut requests = made(Work::Iamat, 3);
        let mut drawn: Vec<_> = (0..200).map(|_| line(&mut requests)[6..26].to_string()).collect();
        drawn.sort();
        drawn.dedup();
        assert_eq!(drawn, [0, 1, 2].map(|client| format!("client-{client:013}")));
        let each: Vec<_> = requests.one_report_each().collect();
        assert_eq!(each.len(), 3);
        assert!(each[2].starts_with(b"IAMAT client-0000000000002 +34.0"));
    }

    #[test]
    fn a_mix_holds_about_its_share_of_questions() {
        let mut requests = made(Work::Mix(10), 100_000);
        let mut out = Vec::new();
        let asked = (0..10_000).filter(|_| requests.write(&mut out) == Expected::AtAndPlaces);
        assert!((900..1_100).contains(&asked.count()));
        for line in out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            assert!(Command::parse(line).is_some(), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn the_other_servers_get_the_same_bytes_in_their_own_words() {
        let set = line(&mut made(Work::Set, 1));
        assert!(set.starts_with("*3\r\n$3\r\nSET\r\n$20\r\nclient-0000000000000\r\n$43\r\n+34.0"));
        assert!(set.ends_with(" 1479413884.392014451\r\n"), "{set}");
        let geoadd = line(&mut made(Work::Geoadd, 1));
        assert!(geoadd.starts_with("*5\r\n$6\r\nGEOADD\r\n$4\r\nherd\r\n$11\r\n-118.4"));
        assert!(geoadd.ends_with("$20\r\nclient-0000000000000\r\n"), "{geoadd}");
        let geosearch = line(&mut made(Work::Geosearch, 1));
        assert!(
            geosearch
                .starts_with("*12\r\n$9\r\nGEOSEARCH\r\n$6\r\nplaces\r\n$10\r\nFROMLONLAT\r\n")
        );
        assert!(
            geosearch.contains("$11\r\n-118.4") && geosearch.contains("$10\r\n34.0"),
            "{geosearch}"
        );
        assert!(geosearch.ends_with("$3\r\nASC\r\n$5\r\nCOUNT\r\n$1\r\n5\r\n$9\r\nWITHCOORD\r\n"));
        let memcached = line(&mut made(Work::MemcachedSet, 1));
        let (head, value) = memcached.split_once("\r\n").unwrap();
        assert_eq!(head, "set client-0000000000000 0 0 43");
        assert_eq!(value.len(), 43 + 2);
    }
}
