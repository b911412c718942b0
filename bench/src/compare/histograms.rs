//! Latencies as HdrHistogram interval logs, which other tools read too: one file a scenario, one interval a
//! sample, tagged `RIVAL|SETTING|WHAT|ROUND` with `_` for spaces.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

/// Nanoseconds to the milliseconds that such logs give the greatest value in.
const NANOS_PER_MILLI: f64 = 1e6;

/// Whose latencies they are, in what setting, and of which requests.
pub(super) struct Title<'a> {
    pub(super) rival: &'a str,
    pub(super) setting: &'a str,
    pub(super) of: &'a str,
}

impl Title<'_> {
    /// Without the round.
    fn tag(&self) -> String {
        format!("{}|{}|{}", self.rival, self.setting, self.of).replace([' ', ','], "_")
    }
}

/// Latencies in nanoseconds, by round.
pub(super) type Latencies = BTreeMap<usize, Histogram<u64>>;

/// The latencies of a scenario, by tag.
#[derive(Default)]
pub(super) struct Logged(BTreeMap<String, Latencies>);

impl Logged {
    pub(super) fn of(&self, title: &Title<'_>) -> Option<&Latencies> {
        self.0.get(&title.tag())
    }
}

/// A quantile of all the histograms together, in microseconds. NaN if they hold nothing.
pub(super) fn quantile_of<'a>(
    histograms: impl IntoIterator<Item = &'a Histogram<u64>>,
    quantile: f64,
) -> f64 {
    let mut histograms = histograms.into_iter();
    let Some(mut all) = histograms.next().cloned() else { return f64::NAN };
    for more in histograms {
        all.add(more).expect("all have the generator's bounds");
    }
    if all.is_empty() {
        return f64::NAN;
    }
    all.value_at_quantile(quantile) as f64 / 1e3
}

/// Appends a sample to the log of its scenario, with a header if it is the first.
///
/// # Errors
///
/// When the file can't be written.
pub(super) fn append(
    directory: &Path,
    scenario: &str,
    title: &Title<'_>,
    round: usize,
    latencies: &Histogram<u64>,
    duration: Duration,
) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut file = OpenOptions::new().create(true).append(true).open(file(directory, scenario))?;
    let now = SystemTime::now();
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    // What other readers of such logs look for.
    builder.add_comment("[Histogram log format version 1.3]");
    builder.with_max_value_divisor(NANOS_PER_MILLI);
    let mut log = builder.begin_log_with(&mut text, &mut serializer)?;
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let tag = format!("{}|{round}", title.tag());
    log.write_histogram(latencies, since, duration, Tag::new(&tag))
        .map_err(|error| io::Error::other(format!("{error:?}")))?;
    if file.metadata()?.len() > 0 {
        text = without_header(&text);
    }
    file.write_all(&text)
}

/// Reads the log of a scenario.
///
/// # Errors
///
/// When the file can't be read, or is no such log.
pub(super) fn load(directory: &Path, scenario: &str) -> io::Result<Logged> {
    let path = file(directory, scenario);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Logged::default()),
        Err(error) => return Err(error),
    };
    let unreadable = |why: String| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
    };
    let mut logged = Logged::default();
    let mut deserializer = Deserializer::new();
    for entry in IntervalLogIterator::new(&text) {
        let LogEntry::Interval(interval) = entry.map_err(|e| unreadable(format!("{e:?}")))? else {
            continue;
        };
        let tag = interval.tag().map(|tag| tag.as_str()).unwrap_or_default();
        let (title, round) = tag
            .rsplit_once('|')
            .and_then(|(title, round)| Some((title.to_string(), round.parse().ok()?)))
            .ok_or_else(|| unreadable(format!("the tag {tag:?} ends with no round")))?;
        let bytes = BASE64_STANDARD
            .decode(interval.encoded_histogram())
            .map_err(|error| unreadable(error.to_string()))?;
        let latencies: Histogram<u64> = deserializer
            .deserialize(&mut Cursor::new(bytes))
            .map_err(|error| unreadable(error.to_string()))?;
        logged.0.entry(title).or_default().insert(round, latencies);
    }
    Ok(logged)
}

fn file(directory: &Path, scenario: &str) -> PathBuf {
    directory.join(format!("{scenario}.hlog"))
}

/// The lines of `text` that are no comments and no legend.
fn without_header(text: &[u8]) -> Vec<u8> {
    let is_header =
        |line: &&[u8]| line.starts_with(b"#") || line.starts_with(b"\"StartTimestamp\"");
    text.split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !is_header(line))
        .flatten()
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_of_a_rival_are_merged_and_others_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let title = |rival| Title { rival, setting: "16 x 1", of: "IAMAT" };
        let add = |rival, round, nanos| {
            let mut latencies = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
            latencies.record_n(nanos, 10).unwrap();
            let (directory, second) = (directory.path(), Duration::from_secs(1));
            append(directory, "throughput", &title(rival), round, &latencies, second).unwrap();
        };
        add("java pool", 1, 1_000);
        add("node", 1, 500_000);
        add("java pool", 2, 3_000);
        let logged = load(directory.path(), "throughput").unwrap();
        let pool = logged.of(&title("java pool")).unwrap();
        assert_eq!(pool.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(quantile_of(pool.values(), 0.5), 1.0);
        assert_eq!(quantile_of(pool.values(), 0.51), 3.001);
        assert_eq!(logged.of(&title("node")).unwrap()[&1].len(), 10);
        assert!(logged.of(&title("go")).is_none());
        let text = std::fs::read_to_string(directory.path().join("throughput.hlog")).unwrap();
        assert_eq!(text.matches("log format version").count(), 1, "{text}");
        assert_eq!(text.matches("MaxValueDivisor").count(), 1, "{text}");
    }

    #[test]
    fn there_is_nothing_of_a_scenario_that_was_not_measured() {
        let directory = tempfile::tempdir().unwrap();
        assert!(load(directory.path(), "idle").unwrap().0.is_empty());
        assert!(quantile_of([], 0.5).is_nan());
        assert!(quantile_of([&Histogram::<u64>::new(3).unwrap()], 0.5).is_nan());
    }
}
