//! The store with the real engine in a directory of its own, and with one that does as it is told.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::bounded;
use tempfile::TempDir;

use super::engine::{EngineError, Fjall};
use super::told::told;
use super::*;
use crate::config;
use crate::log::LogThread;
use crate::protocol::reply::Fields;
use crate::protocol::{Nanos, ServerName};
use crate::records::{Change, Merged, Record};

/// Longest wait; no test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(60);

fn record(client: &str, time: i64) -> Record {
    Record::new(&Fields {
        client: client.as_bytes(),
        origin: b"Ball",
        location: b"+1+1",
        time_text: time.to_string().as_bytes(),
        time: Nanos(time * 1_000_000_000),
        skew: Nanos(5),
    })
}

/// A directory with a log in it.
struct Place {
    log: Log,
    counters: Arc<Counters>,
    log_thread: LogThread,
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let conf = config::Log { dir: dir.path().join("logs"), ..config::Log::default() };
        let name = ServerName::parse(b"Ball").unwrap();
        let (log, log_thread) = Log::open(&name, &conf).unwrap();
        Self { log, counters: Arc::default(), log_thread, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("data").join("Ball")
    }

    /// Opens the store, and what came of it.
    fn open(&self) -> Result<(Fjall, Records), StoreError> {
        let records = Records::kept();
        let engine = open(&self.path(), &records, &self.log, &self.counters)?;
        Ok((engine, records))
    }

    /// What a fresh start finds.
    fn reloaded(&self) -> Vec<Record> {
        let (_engine, records) = self.open().unwrap();
        sorted(&records)
    }

    fn start(&self, engine: Box<dyn Engine>, records: &Arc<Records>, data: &Data) -> StoreThread {
        let (log, counters) = (self.log.clone(), Arc::clone(&self.counters));
        Store::start(engine, Arc::clone(records), data, log, counters).unwrap()
    }

    fn log_text(self) -> String {
        let Self { log, log_thread, dir, .. } = self;
        drop(log);
        log_thread.close(PATIENCE).unwrap();
        std::fs::read_to_string(dir.path().join("logs").join("Ball.log")).unwrap()
    }
}

fn sorted(records: &Records) -> Vec<Record> {
    let mut all: Vec<_> = records.iter().collect();
    all.sort_by(|a, b| a.client().cmp(b.client()));
    all
}

fn always() -> Data {
    Data { durability: Durability::Always, interval: PATIENCE, ..Data::default() }
}

#[test]
fn what_was_committed_is_there_at_the_next_start_the_newest_only() {
    let place = Place::new();
    let (engine, records) = place.open().unwrap();
    let records = Arc::new(records);
    let store = place.start(Box::new(engine), &records, &always());
    for at in 0..10_000 {
        records.merge(&record(&format!("client{at}"), 1));
    }
    let round = store.store().want().expect("something is noted");
    assert!(store.store().wait(round, Instant::now() + PATIENCE));
    records.merge(&record("client7", 3));
    records.merge(&record("client7", 2));
    store.stop(PATIENCE);
    assert_eq!(records.unsaved(), 0);
    assert_eq!(place.reloaded(), sorted(&records));
    assert_eq!(place.counters.stored.get(), 10_001);
    let (_engine, again) = place.open().unwrap();
    assert_eq!((again.unsaved(), again.digest()), (0, records.digest()));
}

#[test]
fn what_expires_leaves_the_disk_and_what_is_loaded_expired_too() {
    let place = Place::new();
    let (engine, records) = place.open().unwrap();
    let records = Arc::new(records);
    let store = place.start(Box::new(engine), &records, &always());
    for time in 1..=100 {
        records.merge(&record(&format!("client{time}"), time));
    }
    let round = store.store().want().unwrap();
    assert!(store.store().wait(round, Instant::now() + PATIENCE));
    assert_eq!(expiry::expire(&records, Nanos(41_000_000_000)), 40);
    store.stop(PATIENCE);
    assert_eq!(place.reloaded().len(), 60);

    // Later, with the server down meanwhile.
    let records = Arc::new(Records::kept());
    expiry::expire(&records, Nanos(91_000_000_000));
    let engine = open(&place.path(), &records, &place.log, &place.counters).unwrap();
    assert_eq!((records.len(), records.unsaved()), (10, 50));
    place.start(Box::new(engine), &records, &Data::default()).stop(PATIENCE);
    assert_eq!(place.reloaded().len(), 10);
}

#[test]
fn a_client_that_expired_and_came_back_is_stored() {
    let place = Place::new();
    let (engine, records) = place.open().unwrap();
    let records = Arc::new(records);
    records.merge(&record("kiwi", 1));
    expiry::expire(&records, Nanos(2_000_000_000));
    let newer = record("kiwi", 3);
    assert_eq!(records.merge(&newer), Merged::Stored { is_new: true });
    place.start(Box::new(engine), &records, &Data::default()).stop(PATIENCE);
    assert_eq!(place.reloaded(), [newer]);
}

#[test]
fn a_second_process_is_refused_and_touches_nothing() {
    let place = Place::new();
    let held = place.open().unwrap();
    let listing = || {
        let mut names: Vec<_> = std::fs::read_dir(place.dir.path().join("data"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = listing();
    assert!(matches!(place.open(), Err(StoreError::Locked(_))));
    assert_eq!(listing(), before);
    drop(held);
    place.open().unwrap();
}

#[test]
fn a_value_that_is_no_record_is_left_out_and_said() {
    let place = Place::new();
    let database = |path: &Path| fjall::Database::builder(path).open().unwrap();
    drop(place.open().unwrap());
    {
        let database = database(&place.path());
        let records =
            database.keyspace("records-1", fjall::KeyspaceCreateOptions::default).unwrap();
        let good = record("kiwi", 1);
        records.insert("kiwi", good.bytes()).unwrap();
        records.insert("plum", good.bytes()).unwrap();
        records.insert("short", &good.bytes()[..20]).unwrap();
        records.insert("none", b"").unwrap();
    }
    assert_eq!(place.reloaded(), [record("kiwi", 1)]);
    let text = place.log_text();
    assert!(text.contains("3 records of the store are not valid"), "{text}");
}

/// Changes bytes of every file below that `which` takes.
fn spoil(path: &Path, which: &dyn Fn(&str) -> bool) -> usize {
    let mut spoilt = 0;
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            spoilt += spoil(&path, which);
        } else if which(&name) {
            let mut bytes = std::fs::read(&path).unwrap();
            let length = bytes.len();
            bytes[length / 4..length / 2].fill(0x5a);
            std::fs::write(&path, bytes).unwrap();
            spoilt += 1;
        }
    }
    spoilt
}

#[test]
fn a_store_that_the_engine_calls_damaged_is_set_aside_and_a_new_one_made() {
    let place = Place::new();
    let (engine, records) = place.open().unwrap();
    let records = Arc::new(records);
    // More than the engine keeps in its journal alone.
    let store = place.start(Box::new(engine), &records, &always());
    for at in 0..300_000 {
        records.merge(&record(&format!("client{at}"), 1));
    }
    store.stop(PATIENCE);
    let tables = |name: &str| name.contains("/tables/");
    assert!(spoil(&place.path(), &tables) > 0);

    let (engine, records) = place.open().unwrap();
    let names: Vec<_> = std::fs::read_dir(place.dir.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("Ball.damaged-")), "{names:?}");
    // What could be read goes into the new one.
    assert_eq!(records.unsaved(), records.len());
    let records = Arc::new(records);
    place.start(Box::new(engine), &records, &Data::default()).stop(PATIENCE);
    assert_eq!(place.reloaded().len(), records.len());
    assert!(place.log_text().contains("is damaged"));
}

#[test]
fn a_start_that_was_cut_while_it_made_the_store_is_no_harm() {
    let place = Place::new();
    let beside = place.path().with_file_name("Ball.new");
    std::fs::create_dir_all(&beside).unwrap();
    std::fs::write(beside.join("0.jnl"), "half").unwrap();
    place.open().unwrap();
    assert!(!beside.exists());
}

#[test]
fn all_that_comes_while_a_commit_runs_shares_the_next() {
    let place = Place::new();
    let (engine, say, commits) = told();
    let records = Arc::new(Records::kept());
    let thread = place.start(engine, &records, &always());
    let store = thread.store();
    assert_eq!(store.want(), None, "nothing is noted");
    records.merge(&record("first", 1));
    let first = store.want().unwrap();
    assert_eq!(commits.recv_timeout(PATIENCE).unwrap().0.len(), 1);
    let rounds: Vec<_> = (0..100)
        .map(|at| {
            records.merge(&record(&format!("later{at}"), 1));
            store.want().unwrap()
        })
        .collect();
    assert!(!store.is_done(first));
    say.send(true).unwrap();
    assert!(store.wait(first, Instant::now() + PATIENCE));
    assert_eq!(commits.recv_timeout(PATIENCE).unwrap().0.len(), 100);
    assert!(!rounds.iter().any(|&round| store.is_done(round)));
    say.send(true).unwrap();
    for round in rounds {
        assert!(store.wait(round, Instant::now() + PATIENCE));
    }
    assert_eq!(store.want(), None);
    say.send(true).unwrap();
    thread.stop(PATIENCE);
}

#[test]
fn a_record_that_is_held_and_being_committed_is_waited_for() {
    let place = Place::new();
    let (engine, say, commits) = told();
    let records = Arc::new(Records::kept());
    let thread = place.start(engine, &records, &always());
    let store = thread.store();
    records.merge(&record("kiwi", 1));
    let first = store.want().unwrap();
    commits.recv_timeout(PATIENCE).unwrap();
    assert_eq!(records.unsaved(), 0, "it was taken");
    // As a reply that shows what is held.
    let second = store.want().unwrap();
    assert!(!store.wait(second, Instant::now()));
    say.send(true).unwrap();
    assert!(store.wait(second, Instant::now() + PATIENCE));
    assert!(store.is_done(first));
    assert_eq!(commits.len(), 0, "there was nothing more to commit");
    say.send(true).unwrap();
    thread.stop(PATIENCE);
}

#[test]
fn what_cannot_be_written_waits_in_memory_and_is_written_when_it_can_be() {
    let place = Place::new();
    let (engine, say, commits) = told();
    let records = Arc::new(Records::kept());
    let thread = place.start(engine, &records, &always());
    let store = thread.store();
    records.merge(&record("kiwi", 1));
    let round = store.want().unwrap();
    for _ in 0..3 {
        say.send(false).unwrap();
        assert_eq!(commits.recv_timeout(PATIENCE).unwrap().0, [Change::Held(record("kiwi", 1))]);
    }
    assert!(!store.is_done(round));
    let told_of = || store.status().error.is_some();
    while !told_of() {
        std::thread::yield_now();
    }
    records.merge(&record("kiwi", 2));
    say.send(true).unwrap();
    assert!(store.wait(round, Instant::now() + PATIENCE));
    let (last, is_safe) = commits.recv_timeout(PATIENCE).unwrap();
    assert_eq!((last, is_safe), (vec![Change::Held(record("kiwi", 2))], true));
    let status = store.status();
    assert_eq!((status.unsaved, status.error), (0, None));
    assert_eq!((place.counters.failed_commits.get(), place.counters.commits.get()), (3, 1));
    say.send(true).unwrap();
    thread.stop(PATIENCE);
    let text = place.log_text();
    assert_eq!(
        text.matches("cannot write the store: as told; 1 records wait").count(),
        1,
        "{text}"
    );
    assert!(text.contains("the store is written again"), "{text}");
}

#[test]
fn with_interval_it_writes_without_being_asked_and_with_none_it_syncs_at_the_stop_only() {
    for (durability, is_safe) in [(Durability::Interval, true), (Durability::None, false)] {
        let place = Place::new();
        let (engine, say, commits) = told();
        let records = Arc::new(Records::kept());
        let interval = Duration::from_millis(10);
        let data = Data { durability, interval, ..Data::default() };
        let thread = place.start(engine, &records, &data);
        records.merge(&record("kiwi", 1));
        let (first, was_safe) = commits.recv_timeout(PATIENCE).unwrap();
        assert_eq!((first.len(), was_safe), (1, is_safe));
        say.send(true).unwrap();
        say.send(true).unwrap();
        thread.stop(PATIENCE);
        assert_eq!(commits.recv_timeout(PATIENCE).unwrap(), (vec![], true));
    }
}

#[test]
fn a_stop_tries_until_its_time_is_over_and_says_what_is_lost() {
    let place = Place::new();
    let (engine, say, _commits) = told();
    let records = Arc::new(Records::kept());
    let data = Data { interval: PATIENCE, ..Data::default() };
    let thread = place.start(engine, &records, &data);
    records.merge(&record("kiwi", 1));
    (0..100).for_each(|_| say.send(false).unwrap());
    thread.stop(Duration::from_millis(300));
    assert!(place.counters.failed_commits.get() >= 2, "it tried again");
    assert!(place.log_text().contains("stopped with 1 records not written"));
}

#[test]
fn who_waits_for_a_commit_is_told() {
    let place = Place::new();
    let (engine, say, _commits) = told();
    let records = Arc::new(Records::kept());
    let thread = place.start(engine, &records, &always());
    let (tell, told) = bounded(10);
    thread.store().on_commit(move || tell.send(()).unwrap());
    records.merge(&record("kiwi", 1));
    thread.store().want().unwrap();
    say.send(true).unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    say.send(true).unwrap();
    thread.stop(PATIENCE);
}

/// A panic of the engine is one more failure.
struct Panics(Arc<AtomicBool>);

impl Engine for Panics {
    fn commit(&mut self, _: &[Change], _: bool) -> Result<(), EngineError> {
        if self.0.swap(false, Ordering::SeqCst) {
            panic!("meant");
        }
        Ok(())
    }
}

#[test]
fn a_panic_of_the_engine_costs_one_try() {
    let place = Place::new();
    let records = Arc::new(Records::kept());
    let engine = Box::new(Panics(Arc::new(AtomicBool::new(true))));
    let thread = place.start(engine, &records, &always());
    records.merge(&record("kiwi", 1));
    let round = thread.store().want().unwrap();
    assert!(thread.store().wait(round, Instant::now() + PATIENCE));
    assert_eq!(place.counters.failed_commits.get(), 1);
    thread.stop(PATIENCE);
}
