//! The file `dir/NAME.log`, through flexi_logger's writer: appended to, rotated by size, old ones
//! removed.
//!
//! flexi_logger would rotate by itself after the write that passes the size; here it is told to
//! before that write ([`FileLogWriter::rotate`]), so that no file passes the size, a piece never
//! goes half to the old file and half to the new, and a failed rotation comes back as an error
//! instead of a message on standard error for each write.
//!
//! [`FileLogWriter::rotate`]: flexi_logger::writers::FileLogWriter::rotate

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use flexi_logger::writers::{ArcFileLogWriter, FileLogWriter, FileLogWriterHandle};
use flexi_logger::{Cleanup, Criterion, FileSpec, FlexiLoggerError, Naming, WriteMode};

use super::LogError;
use super::writer::{Failure, Sink};
use crate::config;
use crate::protocol::ServerName;

/// Longest piece of one write(2), so that a failing one leaves little to look through.
const PIECE_BYTES: usize = 1 << 20;

/// What a line cut short by a crash ends with.
const CUT_SHORT: &[u8] = b" (cut short)\n";

/// The log file of one server.
pub(super) struct LogFile {
    name: String,
    dir: PathBuf,
    path: PathBuf,
    max_size: u64,
    keep: usize,
    /// `None` after an error: whatever state the writer was left in, the next write begins anew.
    open: Option<Open>,
}

/// The handle ends the writer when it is dropped.
struct Open(ArcFileLogWriter, #[expect(dead_code)] FileLogWriterHandle);

impl LogFile {
    /// Opens the file for appending, and makes it and its directory if they are missing.
    pub(super) fn open(name: &ServerName, conf: &config::Log) -> Result<Self, LogError> {
        let dir = conf.dir.clone();
        fs::create_dir_all(&dir)
            .map_err(|source| LogError::Directory { path: dir.clone(), source })?;
        let mut file = Self {
            name: name.as_str().to_owned(),
            path: dir.join(format!("{name}.log")),
            dir,
            max_size: conf.max_size,
            keep: conf.keep,
            open: None,
        };
        file.ready().map_err(|source| LogError::File { path: file.path.clone(), source })?;
        Ok(file)
    }

    /// Writes the lines at the front that fit this file, after rotating it if none did. Says how
    /// many bytes they were.
    fn write_piece(&mut self, lines: &[u8]) -> Result<usize, Failure> {
        let none_written = |error| Failure { written: 0, error };
        let mut size = self.ready().map_err(none_written)?;
        let max_size = self.max_size;
        let room = |size: Option<u64>| size.map_or(u64::MAX, |size| max_size.saturating_sub(size));
        if first_line(lines) as u64 > room(size) && size != Some(0) {
            self.with_writer(|open| open.0.rotate()).map_err(none_written)?;
            size = size.map(|_| 0);
        }
        let piece = whole_lines(lines, room(size));
        match self.with_writer(|open| open.0.write_all(piece)) {
            Ok(()) => Ok(piece.len()),
            Err(error) => {
                let written = size.map_or(0, |size| cut_back(&self.path, size, piece.len()));
                Err(Failure { written, error })
            }
        }
    }

    /// Has the writer open on the file that the path names, and says the file's size: `None` if it
    /// is no regular file (a device has no size and is not rotated).
    fn ready(&mut self) -> io::Result<Option<u64>> {
        let size = |found: fs::Metadata| found.is_file().then_some(found.len());
        match fs::metadata(&self.path) {
            Ok(found) if self.open.is_some() => return Ok(size(found)),
            // Missing after it was open: somebody moved or removed it, and the writer would go on
            // with a file without a name.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.open = None;
        self.open = Some(guarded(|| self.build())?);
        // If this fails so will the write that comes next, and that is reported.
        let _ = end_last_line(&self.path);
        fs::metadata(&self.path).map(size)
    }

    fn build(&self) -> Result<Open, FlexiLoggerError> {
        let spec = FileSpec::default()
            .directory(&self.dir)
            .basename(&self.name)
            .suffix("log")
            .suppress_timestamp();
        // An empty infix: the current file is called NAME.log, a rotated one
        // NAME_r2026-11-22_11-46-28.log, the moment it was begun.
        let naming = Naming::TimestampsCustomFormat {
            current_infix: Some(""),
            format: "r%Y-%m-%d_%H-%M-%S",
        };
        let (mut writer, handle) = FileLogWriter::builder(spec)
            .append()
            .use_utc()
            .write_mode(WriteMode::Direct)
            .rotate(Criterion::Size(u64::MAX), naming, Cleanup::KeepLogFiles(self.keep))
            .cleanup_in_background_thread(false)
            .try_build_with_handle()?;
        // The first write opens the file, an empty one too (`write_all` would not make that one).
        let _nothing = writer.write(b"")?;
        Ok(Open(writer, handle))
    }

    /// Uses the writer, and gives it up if it fails.
    fn with_writer<E: Into<FlexiLoggerError>>(
        &mut self,
        act: impl FnOnce(&mut Open) -> Result<(), E>,
    ) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(ErrorKind::NotConnected.into()) };
        let result = guarded(|| act(open).map_err(Into::into));
        if result.is_err() {
            self.open = None;
        }
        result
    }
}

impl Sink for LogFile {
    fn write(&mut self, lines: &[u8]) -> Result<(), Failure> {
        let mut written = 0;
        while written < lines.len() {
            match self.write_piece(&lines[written..]) {
                Ok(more) => written += more,
                Err(failure) => {
                    return Err(Failure { written: written + failure.written, ..failure });
                }
            }
        }
        Ok(())
    }
}

/// flexi_logger panics when the directory can't be listed; that must not cost the log's thread.
fn guarded<T>(act: impl FnOnce() -> Result<T, FlexiLoggerError>) -> io::Result<T> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(FlexiLoggerError::OutputIo(error))) => Err(error),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::Error::other("the directory of the log can't be read")),
    }
}

/// Length of the first line with its LF.
fn first_line(lines: &[u8]) -> usize {
    memchr::memchr(b'\n', lines).map_or(lines.len(), |lf| lf + 1)
}

/// The lines at the front that fit `room` and a piece; one at least, however long it is.
fn whole_lines(lines: &[u8], room: u64) -> &[u8] {
    let most = lines.len().min(PIECE_BYTES).min(usize::try_from(room).unwrap_or(usize::MAX));
    let end = memchr::memrchr(b'\n', &lines[..most]).map_or_else(|| first_line(lines), |lf| lf + 1);
    &lines[..end]
}

/// After a failed write to a file of `size`: takes away the line that was cut, so that it can be
/// written again, and says how many bytes of whole lines stay.
fn cut_back(path: &Path, size: u64, piece: usize) -> usize {
    // If the file can't be read or cut now, lines may be there twice: better than not at all.
    let cut = || -> io::Result<u64> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(size))?;
        Read::by_ref(&mut file).take(piece as u64).read_to_end(&mut tail)?;
        let whole = memchr::memrchr(b'\n', &tail).map_or(0, |lf| lf as u64 + 1);
        file.set_len(size + whole)?;
        Ok(whole)
    };
    cut().ok().and_then(|whole| usize::try_from(whole).ok()).unwrap_or(0)
}

/// Ends a line that a crash cut short, so that the next one begins its own.
fn end_last_line(path: &Path) -> io::Result<()> {
    if !fs::metadata(path)?.is_file() {
        return Ok(());
    }
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == *b"\n" { Ok(()) } else { file.write_all(CUT_SHORT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_write_that_failed_leaves_whole_lines_and_says_how_many_bytes() {
        let file = file_of("before\nnew\nnewer\nne");
        assert_eq!(cut_back(file.path(), 7, 1000), 10);
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "before\nnew\nnewer\n");

        let file = file_of("before\nne");
        assert_eq!(cut_back(file.path(), 7, 1000), 0);
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "before\n");
    }

    #[test]
    fn a_piece_is_the_whole_lines_that_fit_and_one_at_least() {
        assert_eq!(whole_lines(b"one\ntwo\nthree\n", 9), b"one\ntwo\n");
        assert_eq!(whole_lines(b"one\ntwo\n", 8), b"one\ntwo\n");
        assert_eq!(whole_lines(b"one\ntwo\n", 3), b"one\n");
        assert_eq!(whole_lines(b"one\ntwo\n", u64::MAX), b"one\ntwo\n");
        let line = "x".repeat(PIECE_BYTES) + "\n";
        assert_eq!(whole_lines(format!("{line}y\n").as_bytes(), u64::MAX), line.as_bytes());
    }
}
