//! The embedded store behind its few verbs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::records::Change;

/// Something that keeps records.
pub trait Engine: Send {
    /// Writes these changes; with `is_safe` they are on the disk when it returns, else with the operating
    /// system. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// When they may not be there, or not all. The next call tries anew.
    fn commit(&mut self, changes: &[Change], is_safe: bool) -> Result<(), EngineError>;
}

/// What the engine says.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another process has it open.
    #[error("another process has it open")]
    Locked,
    /// The system's word.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A version of the engine that we do not have wrote it.
    #[error("it was written by another version: {0}")]
    Version(String),
    /// Its own checks say that it is not as it was written.
    #[error("{0}")]
    Damaged(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Where the records are in it: client to packed bytes. Another layout of the packed bytes needs another
/// name.
const RECORDS: &str = "records-1";

/// What the engine knows a store by.
const VERSION_FILE: &str = "version";

/// Bytes of changes that are kept in memory, and in the journal, until they are sorted into the tree. Twice
/// as much holds 16 MiB more and costs about as much CPU.
const MEMTABLE_BYTES: u64 = 16 << 20;

/// The least that the engine allows: with less in its journals it starts up faster after a crash.
const JOURNAL_BYTES: u64 = 64 << 20;

/// Records are read at the start only, in order.
const CACHE_BYTES: u64 = 4 << 20;

/// Changes handed over at once, at most: they are copied.
const BATCH: usize = 4096;

/// fjall in a directory. It takes no more writes after one that failed, so it is opened again then.
pub struct Fjall {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    // Before the database, which waits for its threads when it is dropped.
    records: Keyspace,
    database: Database,
}

impl Fjall {
    /// Opens the store in that directory, or makes one. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`EngineError`]; the store is as it was.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let is_empty = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return Err(error.into()),
        };
        if is_empty {
            create(path)?;
        } else if !path.join(VERSION_FILE).try_exists()? {
            // The engine would make a store among whatever that is.
            return Err(EngineError::Failed("the directory holds something else".to_owned()));
        }
        Ok(Self { path: path.to_owned(), open: Some(Open::new(path)?) })
    }

    /// Every client and its packed bytes, as they are on disk.
    pub fn entries(
        &self,
    ) -> impl Iterator<Item = Result<(fjall::UserKey, fjall::UserValue), EngineError>> {
        let entries = self.open.iter().flat_map(|open| open.records.iter());
        entries.map(|entry| entry.into_inner().map_err(EngineError::from))
    }
}

/// A store that is half made is not openable, so it is made beside and moved there whole.
fn create(path: &Path) -> Result<(), EngineError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    match fs::remove_dir_all(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let made = Open::new(&beside).and_then(|open| {
        let synced = open.database.persist(PersistMode::SyncAll);
        drop(open);
        synced?;
        fs::rename(&beside, path)?;
        sync_parent(path)?;
        Ok(())
    });
    if made.is_err() {
        // It is in the way of nobody, but it takes room.
        let _ = fs::remove_dir_all(&beside);
    }
    made
}

/// Makes a rename in the directory above safe.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

impl Open {
    fn new(path: &Path) -> Result<Self, EngineError> {
        let database = Database::builder(path)
            .worker_threads(1)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let records = database.keyspace(RECORDS, options)?;
        Ok(Self { records, database })
    }

    fn commit(&self, changes: &[Change], is_safe: bool) -> fjall::Result<()> {
        for changes in changes.chunks(BATCH) {
            let mut batch = self.database.batch();
            for change in changes {
                match change {
                    Change::Held(record) => {
                        batch.insert(&self.records, record.client(), record.bytes());
                    }
                    Change::Gone(record) => batch.remove(&self.records, record.client()),
                }
            }
            batch.commit()?;
        }
        // All are in one journal, or in others that were synced when they were full.
        self.database.persist(if is_safe { PersistMode::SyncData } else { PersistMode::Buffer })
    }
}

impl Engine for Fjall {
    fn commit(&mut self, changes: &[Change], is_safe: bool) -> Result<(), EngineError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&self.path)?,
        };
        // Dropped, and so closed, if it fails.
        open.commit(changes, is_safe)?;
        self.open = Some(open);
        Ok(())
    }
}

impl From<fjall::Error> for EngineError {
    fn from(error: fjall::Error) -> Self {
        use fjall::Error;
        use fjall::LsmError;
        match error {
            Error::Locked => Self::Locked,
            Error::Io(error) | Error::Storage(LsmError::Io(error)) => from_io(error),
            Error::InvalidVersion(Some(version)) => Self::Version(format!("{version:?}")),
            Error::Storage(LsmError::InvalidVersion(version)) => Self::Version(version.to_string()),
            Error::Storage(_)
            | Error::JournalRecovery(_)
            | Error::InvalidVersion(None)
            | Error::Decompress(_)
            | Error::InvalidTrailer
            | Error::InvalidTag(_)
            | Error::Unrecoverable => Self::Damaged(error.to_string()),
            Error::Poisoned => Self::Failed("an earlier write failed".to_owned()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// What the engine finds in its files, or of them, is damage: bytes that are not as written, a file that
/// ends early or is not there. All else (no right, no room, no descriptor, a disk that fails) is the system's.
fn from_io(error: io::Error) -> EngineError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => {
            EngineError::Damaged(error.to_string())
        }
        _ => EngineError::Io(error),
    }
}
