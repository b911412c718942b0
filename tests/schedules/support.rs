//! Running a model, and what models are made of.

use std::sync::{Arc, LazyLock};

use herd::config::{self, Config};
use herd::counters::Counters;
use herd::flood::{self, Batch, Filling, Flood, Link, Neighbor, flooder};
use herd::log::{Log, LogThread};
use herd::places::lookups::{LookupLimits, Lookups};
use herd::places::{Failure, Lookup, Provider};
use herd::protocol::reply::Fields;
use herd::protocol::{Nanos, ServerName};
use herd::records::{Record, Records};
use herd::server::exceeded::Exceeded;
use herd::server::rates::WhatsatRates;
use herd::server::shared::Shared;
use herd::store::Store;
use herd::waits::Receiver;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{MaxSteps, Runner};
use tempfile::TempDir;

/// Longer than any stand-in waits: it does not end by itself.
pub(crate) const ENDLESS: std::time::Duration = std::time::Duration::from_secs(3600);

/// Runs a model under schedules of two kinds: half draw every step alike, half let threads run on but for
/// a few changes, which finds what needs a rare order of few steps.
#[track_caller]
pub(crate) fn check(schedules: usize, model: impl Fn() + Send + Sync + 'static) {
    let model = Arc::new(model);
    if let Ok(schedule) = std::env::var("SCHEDULE") {
        return shuttle::replay(move || model(), &schedule);
    }
    run(RandomScheduler::new(schedules / 2), &model);
    run(PctScheduler::new(3, schedules / 2), &model);
}

fn run(scheduler: impl Scheduler + 'static, model: &Arc<impl Fn() + Send + Sync + 'static>) {
    let mut config = shuttle::Config::new();
    config.stack_size = 512 * 1024;
    // Models take some hundred steps: this many are a thread that waits in a circle.
    config.max_steps = MaxSteps::FailAfter(20_000);
    let model = Arc::clone(model);
    Runner::new(scheduler, config).run(move || model());
}

/// A record that differs from others of its client in its time alone.
pub(crate) fn record(client: &str, time: i64) -> Record {
    Record::new(&Fields {
        client: client.as_bytes(),
        origin: b"Ball",
        location: b"+1+1",
        time_text: time.to_string().as_bytes(),
        time: Nanos(time * 1_000_000_000),
        skew: Nanos(0),
    })
}

/// Lets others go on until something is so.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        shuttle::thread::yield_now();
    }
}

/// One log for all schedules: its thread is a real one, which no model waits for.
static LOG: LazyLock<(Log, LogThread, TempDir)> = LazyLock::new(|| {
    let directory = TempDir::new().unwrap();
    let config =
        config(&format!("[log]\ndir = '{}'\nlevel = \"error\"\n", directory.path().display()));
    let (log, thread) = Log::open(&name("schedules"), &config.log).unwrap();
    (log, thread, directory)
});

/// The conf of a server with the name Ball and another, Welsh.
pub(crate) fn config(more: &str) -> Config {
    let servers = "[[server]]\nname = \"Ball\"\nlisten = \"127.0.0.1:12001\"\nneighbors = [\"Welsh\"]\n\
                   [[server]]\nname = \"Welsh\"\nlisten = \"127.0.0.1:12002\"\n";
    Config::parse(std::path::Path::new("herd.toml"), &format!("{servers}{more}")).unwrap()
}

/// What the threads of a server share, and none of them.
pub(crate) fn server(
    server: &str,
    config: &Config,
    provider: Arc<dyn Provider>,
) -> (Arc<Shared>, Receiver<Batch>) {
    server_with(Arc::default(), None, server, config, provider)
}

/// The same, with those records and their store.
pub(crate) fn server_with(
    records: Arc<Records>,
    store: Option<Arc<Store>>,
    server: &str,
    config: &Config,
    provider: Arc<dyn Provider>,
) -> (Arc<Shared>, Receiver<Batch>) {
    let (name, counters) = (name(server), Arc::<Counters>::default());
    let links = config.neighbors_of(&name).map(|neighbor| {
        Link::new(Neighbor {
            name: neighbor.name.clone(),
            kind: neighbor.link,
            address: neighbor.links.clone(),
        })
    });
    let flood = Flood {
        me: flood::hello(name.clone(), flood::new_instance().unwrap(), config.data.expire_after),
        records: Arc::clone(&records),
        links: links.collect(),
        filling: Filling::new(config.links.timeout),
        settings: config.links.clone(),
        keys: None,
        log: log(),
        counters: Arc::clone(&counters),
    };
    let (flooder, batches) = flooder::channel();
    let config::Places { workers: calls, queue: queued, timeout: wait, .. } = config.places;
    let shared = Shared {
        name,
        records,
        flood: Arc::new(flood),
        flooder,
        store,
        lookups: Lookups::new(provider, LookupLimits { calls, queued, wait }),
        rates: WhatsatRates::new(&config.places),
        limits: config.limits.clone(),
        pool: config.pool.clone(),
        places: config.places.clone(),
        log: log(),
        counters,
        exceeded: Exceeded::default(),
        connections: Arc::default(),
        addresses: Arc::default(),
        is_stopping: Arc::default(),
    };
    (Arc::new(shared), batches)
}

pub(crate) fn log() -> Log {
    LOG.0.clone()
}

pub(crate) fn name(text: &str) -> ServerName {
    ServerName::parse(text.as_bytes()).unwrap()
}

/// A provider that lets others go on while it is asked.
pub(crate) struct Slow;

impl Provider for Slow {
    fn computes(&self) -> bool {
        false
    }

    fn nearby(&self, lookup: &Lookup) -> Result<Vec<u8>, Failure> {
        shuttle::thread::yield_now();
        Ok(format!(r#"{{"results":[],"status":"{}"}}"#, lookup.radius.0).into_bytes())
    }
}
