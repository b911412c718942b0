//! The API key of a places service: read at start, shown to nobody but the service.

use std::fmt;
use std::path::PathBuf;
use std::{env, fs, io};

use crate::config::Places;

/// Never empty, and safe to send in a header and a URL: visible ASCII characters only.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The conf names no place to take it from.
    #[error(
        "it needs an API key: set places.key_env to the name of an environment variable that \
         holds it, or places.key_file to a file"
    )]
    NotNamed,
    /// The variable of `key_env` does not exist, and there is no `key_file`.
    #[error(
        "places.key_env: the environment variable {0} is not set; export it where the server is \
         started, or set places.key_file"
    )]
    NoVariable(String),
    /// The file of `key_file` does not exist or must not be read.
    #[error("places.key_file: cannot read {}: {source}; write the API key into it", path.display())]
    NoFile {
        /// As the conf says it.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is nothing but white space.
    #[error("{0} is empty; it has to hold the API key")]
    Empty(String),
    /// White space or other characters inside that no key has.
    #[error("{0} holds more than an API key; it may only have visible ASCII characters")]
    NotAKey(String),
}

impl ApiKey {
    /// From the variable of `key_env` if that is set, else from the file of `key_file`. White
    /// space around it counts for nothing.
    ///
    /// # Errors
    ///
    /// [`KeyError`] names the conf key and what to do.
    pub fn read(places: &Places) -> Result<Self, KeyError> {
        if let Some(variable) = &places.key_env
            && let Some(value) = env::var_os(variable)
        {
            return Self::new(&value.to_string_lossy(), || format!("places.key_env: {variable}"));
        }
        match (&places.key_file, &places.key_env) {
            (Some(path), _) => {
                let bytes = fs::read(path)
                    .map_err(|source| KeyError::NoFile { path: path.clone(), source })?;
                let text = String::from_utf8_lossy(&bytes);
                Self::new(&text, || format!("places.key_file: {}", path.display()))
            }
            (None, Some(variable)) => Err(KeyError::NoVariable(variable.clone())),
            (None, None) => Err(KeyError::NotNamed),
        }
    }

    fn new(text: &str, whence: impl Fn() -> String) -> Result<Self, KeyError> {
        let key = text.trim();
        if key.is_empty() {
            Err(KeyError::Empty(whence()))
        } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err(KeyError::NotAKey(whence()))
        } else {
            Ok(Self(key.to_owned()))
        }
    }

    /// To send it, and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(not shown)")
    }
}
