//! What digest sync costs: two servers in this process, one link between them, through a relay that counts
//! its bytes and can be cut.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use herd::config::{Config, ConfigError};
use herd::protocol::reply::Fields;
use herd::protocol::{Nanos, ServerName};
use herd::records::{Record, Records};
use herd::server::{Server, ServerError, ServerHandle};

mod relay;

use crate::cli;
use relay::Relay;

/// Longest wait for a link, a fill or a repair.
const LIMIT: Duration = Duration::from_mins(5);

/// So long nothing but heartbeats goes over a link that has nothing more to say.
const QUIET: Duration = Duration::from_millis(500);

/// Seconds since 1970 of the records that both hold.
const SECOND: i64 = 1_700_000_000;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RepairError {
    #[error(transparent)]
    Conf(#[from] ConfigError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("not within 5 minutes: {0}")]
    Late(&'static str),
}

/// Measures, and returns a table of it.
pub(crate) fn run(args: &cli::Repair) -> Result<String, RepairError> {
    let mut rng = Rng::with_seed(args.seed);
    let rate = fill_rate(args, false)?;
    let rate_with_log = fill_rate(args, true)?;

    let pair = Pair::start(args, Way::Relayed, false)?;
    pair.a.hold(args.records);
    pair.heal();
    pair.is_equal("the empty server is filled")?;
    let full_copy = pair.bytes_when_quiet();

    pair.cut();
    pair.heal();
    let equal = pair.bytes_when_quiet();

    pair.cut();
    for number in 0..args.differences {
        let side = if number.is_multiple_of(2) { &pair.a } else { &pair.b };
        side.records().merge(&record(rng.u32(..args.records), SECOND + 1));
    }
    pair.heal();
    pair.is_equal("what differs is repaired")?;
    let repair = pair.bytes_when_quiet();
    pair.stop();

    let of_full = |bytes: u64| bytes as f64 * 100.0 / full_copy as f64;
    Ok(format!(
        "{} records\n\
         an empty server is filled at        {rate:>12.0} records a second\n\
         the same with a traffic log on both {rate_with_log:>12.0} records a second\n\
         bytes of a full copy                {full_copy:>12}\n\
         bytes when both are equal           {equal:>12}\n\
         bytes of the repair of {:<12} {repair:>12}   {:.2} % of a full copy\n\
         Both ways, with handshake and heartbeats.\n",
        args.records,
        args.differences,
        of_full(repair),
    ))
}

/// Records a second that an empty server takes in from its neighbor, with nothing between them.
fn fill_rate(args: &cli::Repair, has_log: bool) -> Result<f64, RepairError> {
    let pair = Pair::start(args, Way::Direct, has_log)?;
    let filled = &pair.b.records();
    let begun = wait_for("the link comes up", || !filled.is_empty())?;
    let had = filled.len();
    let ended = wait_for("the empty server is filled", || filled.len() >= args.records as usize)?;
    pair.is_equal("both are equal")?;
    pair.stop();
    Ok((args.records as usize - had) as f64 / (ended - begun).as_secs_f64())
}

/// How two servers reach each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Relayed,
}

/// Two servers with one link, which is cut at first if it is relayed.
struct Pair {
    a: Side,
    b: Side,
    relays: Vec<Relay>,
    _directory: tempfile::TempDir,
}

struct Side(ServerHandle);

impl Pair {
    /// With a direct link the first one has its records before the other one answers.
    fn start(args: &cli::Repair, way: Way, has_log: bool) -> Result<Self, RepairError> {
        let directory = tempfile::tempdir()?;
        let config = config(directory.path(), has_log)?;
        let bound = [Server::bind(&config, &name("A"))?, Server::bind(&config, &name("B"))?];
        let links =
            bound.each_ref().map(|server| server.links_address().expect("it has a neighbor"));
        let mut relays = Vec::new();
        // How each is seen by the other one.
        let mut seen = links;
        if way == Way::Relayed {
            for address in &mut seen {
                let relay = Relay::start(*address)?;
                *address = relay.address;
                relays.push(relay);
            }
        }
        let [a, b] = bound;
        let a = Side(a.start(&with_links(&config, seen))?);
        if way == Way::Direct {
            a.hold(args.records);
        }
        let b = Side(b.start(&with_links(&config, seen))?);
        Ok(Self { a, b, relays, _directory: directory })
    }

    fn cut(&self) {
        for relay in &self.relays {
            relay.cut();
        }
        // Both have to notice, or they would not say anything when it heals.
        std::thread::sleep(QUIET);
    }

    /// Counts from here on.
    fn heal(&self) {
        for relay in &self.relays {
            relay.heal();
        }
    }

    fn is_equal(&self, what: &'static str) -> Result<(), RepairError> {
        let digest = |side: &Side| side.records().digest();
        wait_for(what, || digest(&self.a) == digest(&self.b)).map(|_| ())
    }

    /// Bytes since the link was healed, once it has said its digests and nothing more comes.
    fn bytes_when_quiet(&self) -> u64 {
        /// More than handshake and heartbeats, and less than a DIGESTS.
        const SOME: u64 = 5000;
        /// Less than this in a while is heartbeats.
        const HEARTBEATS: u64 = 50;
        let counts = || self.relays.iter().map(Relay::bytes);
        loop {
            let before: u64 = counts().sum();
            std::thread::sleep(QUIET);
            let after = counts().sum();
            if counts().all(|bytes| bytes > SOME) && after - before < HEARTBEATS {
                return after;
            }
        }
    }

    fn stop(self) {
        self.a.0.stop();
        self.b.0.stop();
    }
}

impl Side {
    fn records(&self) -> &Records {
        self.0.records()
    }

    fn hold(&self, count: u32) {
        for number in 0..count {
            self.records().merge(&record(number, SECOND));
        }
    }
}

fn name(text: &str) -> ServerName {
    ServerName::parse(text.as_bytes()).expect("a name")
}

fn record(number: u32, second: i64) -> Record {
    Record::new(&Fields {
        client: format!("client-{number:07}.example.net").as_bytes(),
        origin: b"A",
        location: b"+34.068930-118.445127",
        time_text: format!("{second}.392014450").as_bytes(),
        time: Nanos(second * 1_000_000_000 + 392_014_450),
        skew: Nanos(263_873_386),
    })
}

/// Digests are said when the link comes up only, so that a sync that is due does not count twice.
fn config(directory: &Path, has_log: bool) -> Result<Config, RepairError> {
    let server = |name: &str, neighbor: &str| {
        format!(
            "[[server]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\nlinks = \"127.0.0.1:0\"\n\
             neighbors = [\"{neighbor}\"]\n"
        )
    };
    let (a, b, directory) = (server("A", "B"), server("B", "A"), directory.display());
    let text = format!(
        "{a}{b}[links]\nsync_interval = \"1d\"\n[log]\ndir = '{directory}'\ntraffic = {has_log}\n"
    );
    Ok(Config::parse(Path::new("herd.toml"), &text)?)
}

fn with_links(config: &Config, links: [SocketAddr; 2]) -> Config {
    let mut config = config.clone();
    for (server, address) in config.servers.iter_mut().zip(links) {
        server.links = address.to_string();
    }
    config
}

/// When it came about.
fn wait_for(what: &'static str, condition: impl Fn() -> bool) -> Result<Instant, RepairError> {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        if Instant::now() > deadline {
            return Err(RepairError::Late(what));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(Instant::now())
}
