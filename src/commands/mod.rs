//! What the command line can ask for, one file each, and how each can end.

use std::process::ExitCode;

use herd::config::{Config, ConfigError};
use herd::flood::key::Keys;

pub(crate) mod check;
pub(crate) mod check_conf;
pub(crate) mod keygen;
mod port_owner;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod status;
mod table;
pub(crate) mod up;

/// How the program ends: the one place that decides exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All went well.
    Ok = 0,
    /// The command line is wrong.
    Usage = 1,
    /// The conf file is wrong.
    Conf = 2,
    /// An address cannot be listened on.
    CannotListen = 3,
    /// Something failed at run time.
    RunTime = 4,
    /// A server answered, and not as wanted. `send`: a reply was `? `; `check`: it breaks a rule.
    WrongAnswer = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command gave up: one line for stderr, and an exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The command line asks for what makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The conf file cannot be used.
    #[error("{0}")]
    Conf(String),
    /// An address cannot be listened on; says which, and whose it is.
    #[error("{0}")]
    CannotListen(String),
    /// Anything else.
    #[error("{0}")]
    RunTime(String),
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        match error {
            // The file is right, and the word on the command line is not.
            ConfigError::NoSuchServer { .. } => Self::Usage(error.to_string()),
            _ => Self::Conf(error.to_string()),
        }
    }
}

impl CommandError {
    /// The exit code of a command that ends so.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Conf(_) => Exit::Conf,
            Self::CannotListen(_) => Exit::CannotListen,
            Self::RunTime(_) => Exit::RunTime,
        }
    }
}

/// Refuses a conf whose key file cannot be used, as a start of its servers would.
fn check_keys(config: &Config) -> Result<(), CommandError> {
    match &config.links.key_file {
        Some(path) => Keys::read(path).map(drop).map_err(|e| CommandError::Conf(e.to_string())),
        None => Ok(()),
    }
}
