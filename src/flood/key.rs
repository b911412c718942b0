//! The keys of the links: a file that every server of a herd has, and nobody else can read.
//!
//! The file is read again at each handshake, and about once a second for each link that is up, so that keys
//! are exchanged without a stop of any server:
//!
//! 1. add the new key as the **last** line of every server's file: all accept it, none uses it yet;
//! 2. move it to the **first** line of every file: new links use it, and the old one is still accepted;
//! 3. remove the old key from every file: a link that still uses it is closed, and dialed anew.
//!
//! A file that has become unreadable changes nothing: the keys read last stay in force, and the log says so.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::log::Level;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use parking_lot::Mutex;

use crate::log::{Log, Seldom};

/// Length of a key, in bytes.
pub const KEY_BYTES: usize = 32;

/// Keys in one file, at most: who dials is tried with each of them.
const MOST_KEYS: usize = 16;

/// Longest key file, in bytes: room for sixteen keys and pages of comments.
const MOST_BYTES: u64 = 64 * 1024;

/// That a key file cannot be read any more is said again after so long.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// A key that the servers of a herd share. Never shown. It is not wiped from memory when dropped, since
/// the Noise library keeps copies that it does not wipe either.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; KEY_BYTES]);

/// The keys of a file: never none. The first encrypts what is dialed, all are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

/// A key file, and the keys that were read from it last.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    read_last: Mutex<Arc<Keys>>,
    unreadable: Seldom,
}

/// Why there are no keys. None of these shows what is in the file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It does not exist or must not be read.
    #[error(
        "[links] key_file: cannot read {path}: {source}; bring the file of the other servers there, or \
         make the first one with `herd keygen {path}`", path = path.display()
    )]
    NoFile {
        /// As the conf says it.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A directory, a device, or too large.
    #[error(
        "[links] key_file: {} is no file of at most {MOST_BYTES} bytes; make one with `herd keygen FILE`",
        .0.display()
    )]
    NotAFile(PathBuf),
    /// Others than its owner may read or write it.
    #[error(
        "[links] key_file: others can read or change {path} (mode {mode:03o}); take that away with \
         `chmod 600 {path}`, and make a new key if anyone may have seen it", path = path.display()
    )]
    OpenToOthers {
        /// As the conf says it.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A line that is neither a key nor a comment.
    #[error(
        "[links] key_file: {}:{line}: not a key; a line is 32 bytes, as 64 hex digits or in base64, or a \
         comment after `#`; make one with `herd keygen FILE`", path.display()
    )]
    NotAKey {
        /// As the conf says it.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// Nothing but comments.
    #[error("[links] key_file: no key is in {}; make one with `herd keygen FILE`", .0.display())]
    Empty(PathBuf),
    /// More than sixteen.
    #[error("[links] key_file: more than {MOST_KEYS} keys are in {}; remove old ones", .0.display())]
    TooMany(PathBuf),
}

impl Key {
    /// Random, from the operating system.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes))
    }

    /// 64 hex digits, or 44 characters of base64 (43 without the `=`).
    fn parse(text: &[u8]) -> Option<Self> {
        let bytes = match text.len() {
            64 => text
                .chunks(2)
                .map(|pair| {
                    let digit = |at: usize| char::from(pair[at]).to_digit(16);
                    Some((digit(0)? << 4 | digit(1)?) as u8)
                })
                .collect::<Option<Vec<u8>>>()?,
            43 => BASE64.decode([text, b"="].concat()).ok()?,
            44 => BASE64.decode(text).ok()?,
            _ => return None,
        };
        Some(Self(bytes.try_into().ok()?))
    }

    /// For the handshake, and for nothing else.
    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(not shown)")
    }
}

impl Keys {
    /// Reads a key file: a key a line, `#` begins a comment. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what to do.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::NoFile { path: path.to_owned(), source };
        // Looked at before it is opened: opening a pipe would wait for who writes to it.
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(KeyError::NotAFile(path.to_owned()));
        }
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::OpenToOthers { path: path.to_owned(), mode });
        }
        let mut text = Vec::new();
        file.take(MOST_BYTES + 1).read_to_end(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MOST_BYTES {
            return Err(KeyError::NotAFile(path.to_owned()));
        }
        Self::parse(&text, path)
    }

    fn parse(text: &[u8], path: &Path) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (line, number) in text.split(|&byte| byte == b'\n').zip(1..) {
            let text = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
            if !text.is_empty() {
                let key = Key::parse(text);
                keys.push(key.ok_or(KeyError::NotAKey { path: path.to_owned(), line: number })?);
            }
        }
        match keys.len() {
            0 => Err(KeyError::Empty(path.to_owned())),
            1..=MOST_KEYS => Ok(Self(keys)),
            _ => Err(KeyError::TooMany(path.to_owned())),
        }
    }

    /// The one that encrypts what this server dials.
    pub fn first(&self) -> &Key {
        &self.0[0]
    }

    /// All that are accepted, in the order of the file.
    pub fn all(&self) -> &[Key] {
        &self.0
    }
}

impl KeyFile {
    /// Reads it for the first time. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what to do.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        Ok(Self {
            path: path.to_owned(),
            read_last: Mutex::new(Arc::new(Keys::read(path)?)),
            unreadable: Seldom::every(SAY_AGAIN_AFTER),
        })
    }

    /// The keys as they are in the file now, or, if it cannot be read, as they were when it could. Blocks
    /// on the disk.
    pub fn keys(&self, log: &Log) -> Arc<Keys> {
        match Keys::read(&self.path) {
            Ok(keys) => {
                let keys = Arc::new(keys);
                *self.read_last.lock() = Arc::clone(&keys);
                keys
            }
            Err(error) => {
                if self.unreadable.says(Instant::now()).is_some() {
                    log.event(
                        Level::Error,
                        format_args!("the keys read before stay in force: {error}"),
                    );
                }
                Arc::clone(&self.read_last.lock())
            }
        }
    }
}

/// Writes a file with one new key, which only its owner may read and write. Blocks on the disk.
///
/// # Errors
///
/// [`io::ErrorKind::AlreadyExists`] if something of that name is there: a key is never overwritten.
pub fn write_new(path: &Path) -> io::Result<()> {
    let key = Key::random()?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let text = format!(
        "# A key of a herd's links, made by `herd keygen`. Whoever has it can write every record: keep it secret.\n\
         # One key a line: the first encrypts, all are accepted.\n{}\n",
        BASE64.encode(key.0)
    );
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const HEX: &str = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
    const SAME_IN_BASE64: &str = "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=";

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("herd.key");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[track_caller]
    fn check_refused(text: &str, mode: u32, said: &[&str]) {
        let (_directory, path) = file(text, mode);
        let error = Keys::read(&path).unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(!text.contains(&HEX[10..20]), "{text}");
        }
        for part in said.iter().chain(&[path.to_str().unwrap()]) {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn a_key_is_read_from_hex_and_from_base64_and_comments_are_left_out() {
        let unpadded = SAME_IN_BASE64.trim_end_matches('=');
        let text = format!("# ours\n\n{HEX} # hex\r\n  {SAME_IN_BASE64}\n{unpadded}");
        let (_directory, path) = file(&text, 0o600);
        let keys = Keys::read(&path).unwrap();
        assert_eq!(keys.all().len(), 3);
        assert!(keys.all().iter().all(|key| key == keys.first()));
        assert_eq!(keys.first().expose()[1..4], [0x11, 0x22, 0x33]);
    }

    #[test]
    fn a_file_that_others_can_read_or_write_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610] {
            check_refused(HEX, mode, &[&format!("mode {mode:03o}"), "chmod 600"]);
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_its_line_and_never_shown() {
        let short = &HEX[..62];
        for wrong in [short, "password", &format!("{HEX}{HEX}"), &HEX.replace('0', "g")] {
            check_refused(&format!("# x\n{HEX}\n{wrong}\n"), 0o600, &[":3: not a key", "keygen"]);
        }
    }

    #[test]
    fn a_file_without_keys_or_with_too_many_is_refused() {
        check_refused("# none\n\n", 0o600, &["no key is in"]);
        check_refused(&format!("{HEX}\n").repeat(17), 0o600, &["more than 16 keys"]);
        check_refused(&"#".repeat(70_000), 0o600, &["is no file of at most"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_refused_with_how_to_make_one() {
        let error = Keys::read(Path::new("no/such.key")).unwrap_err().to_string();
        assert!(error.contains("`herd keygen no/such.key`"), "{error}");
        let error = Keys::read(Path::new("/")).unwrap_err().to_string();
        assert!(error.contains("is no file"), "{error}");
    }

    #[test]
    fn a_new_file_holds_one_new_key_for_its_owner_only_and_none_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let paths = ["a.key", "b.key"].map(|name| directory.path().join(name));
        let keys = paths.each_ref().map(|path| {
            write_new(path).unwrap();
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
            Keys::read(path).unwrap()
        });
        assert_ne!(keys[0], keys[1]);
        let error = write_new(&paths[0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(Keys::read(&paths[0]).unwrap(), keys[0]);
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = Key::parse(HEX.as_bytes()).unwrap();
        assert_eq!(format!("{:?}", Keys(vec![key])), "Keys([Key(not shown)])");
    }
}
