//! What is wrong with a conf file, said so that it can be mended.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why there is no [`Config`](super::Config). All are one line, and name file and remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{}: cannot be read ({source}); name another with --conf FILE", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What the file says is refused:
    /// `conf/herd.toml:12: server "Ball": neighbors: no server is named "Bal"; servers are Alford, Ball`
    #[error("{}:{line}: {what}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The key, the value, what is allowed, what to do.
        what: String,
    },
    /// A command asks for a server that the file does not have.
    #[error("{}: no server is named \"{name}\"; servers are {servers}", path.display())]
    NoSuchServer {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// Who there is, with commas.
        servers: String,
    },
}

/// A conf file's text: turns places in it into lines of messages.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// An error about the bytes of `span`.
    pub(super) fn refuse(&self, span: Range<usize>, what: impl Into<String>) -> ConfigError {
        ConfigError::Refused {
            path: self.path.to_path_buf(),
            line: self.line(span.start),
            what: what.into(),
        }
    }

    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

/// `A, B, C`
pub(super) fn with_commas<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
