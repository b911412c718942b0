//! The start: opens the store of a server, and brings what it holds into the map.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use ::log::Level;

use super::engine::{EngineError, Fjall, sync_parent};
use crate::counters::Counters;
use crate::log::Log;
use crate::records::{Change, Merged, Record, Records};

/// Why a server does not start with its store, which is as it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "the store {} is open in another process: stop that one, or give this server another [data] dir",
        .0.display()
    )]
    Locked(PathBuf),
    /// The system does not let us.
    #[error("cannot open the store {}: {error}; [data] dir has to be a directory that this user may write, with room on its disk", path.display())]
    Unusable {
        /// The store's directory.
        path: PathBuf,
        /// The system's word.
        error: io::Error,
    },
    /// Whatever else the engine says that is no damage.
    #[error("cannot open the store {}: {error}; start the version of herd that wrote it, or move it away: neighbors fill a new one", path.display())]
    Refused {
        /// The store's directory.
        path: PathBuf,
        /// The engine's word.
        error: EngineError,
    },
}

/// Opens the store in `path`, or makes one, and merges what it holds into `records`. What the engine calls
/// damaged is set aside as `NAME.damaged-TIME`, said so on stderr and in the log, and a new one takes its place;
/// what could be read of it is kept. Blocks on the disk: about a microsecond a record.
///
/// # Errors
///
/// [`StoreError`]
pub fn open(
    path: &Path,
    records: &Records,
    log: &Log,
    counters: &Counters,
) -> Result<Fjall, StoreError> {
    let began = Instant::now();
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| refused(path, error.into()))?;
    }
    let damage = match Fjall::open(path) {
        Ok(engine) => match load(&engine, records, log, counters) {
            Ok(loaded) => {
                let took = began.elapsed();
                log.event(
                    Level::Info,
                    format_args!("{loaded} records loaded from {} in {took:.2?}", path.display()),
                );
                return Ok(engine);
            }
            Err(EngineError::Damaged(damage)) => damage,
            Err(error) => return Err(refused(path, error)),
        },
        Err(EngineError::Damaged(damage)) => damage,
        Err(error) => return Err(refused(path, error)),
    };
    let aside = set_aside(path).map_err(|error| refused(path, error.into()))?;
    let message = format!(
        "the store {} is damaged ({damage}): it is kept as {} and a new one is made; neighbors send what it lacks",
        path.display(),
        aside.display()
    );
    eprintln!("herd: {message}");
    log.event(Level::Error, format_args!("{message}"));
    let engine = Fjall::open(path).map_err(|error| refused(path, error))?;
    // What was read of the damaged one is not in the new one.
    for record in records.iter() {
        records.note_unsaved(Change::Held(record));
    }
    Ok(engine)
}

/// Returns how many records were taken.
fn load(
    engine: &Fjall,
    records: &Records,
    log: &Log,
    counters: &Counters,
) -> Result<u64, EngineError> {
    let (mut loaded, mut unreadable) = (0, 0_u64);
    for entry in engine.entries() {
        let (client, bytes) = entry?;
        let Some(record) =
            Record::from_bytes(&bytes).filter(|record| record.client() == &client[..])
        else {
            unreadable += 1;
            continue;
        };
        match records.restore(&record) {
            Merged::Expired => {
                counters.expired.add(1);
                records.note_unsaved(Change::Gone(record));
            }
            _ => loaded += 1,
        }
    }
    if unreadable > 0 {
        let message = format!("{unreadable} records of the store are not valid and were left out");
        eprintln!("herd: {message}");
        log.event(Level::Error, format_args!("{message}"));
    }
    Ok(loaded)
}

fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".damaged-");
    // A colon is not allowed in names everywhere.
    name.push(time.replace(':', ""));
    let aside = path.with_file_name(name);
    fs::rename(path, &aside)?;
    sync_parent(path)?;
    Ok(aside)
}

fn refused(path: &Path, error: EngineError) -> StoreError {
    let path = path.to_owned();
    match error {
        EngineError::Locked => StoreError::Locked(path),
        EngineError::Io(error) => StoreError::Unusable { path, error },
        error => StoreError::Refused { path, error },
    }
}
