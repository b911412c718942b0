//! Asking a server how it stands, at its admin address.

use std::io::ErrorKind;
use std::time::Duration;

use ureq::{Agent, Error};

use crate::admin::Status;

/// Longest status that is read, in bytes. A link takes some 300.
const MAX_STATUS_BYTES: u64 = 4 << 20;

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Nobody listens there.
    #[error("nobody listens on {0}")]
    Refused(String),
    /// It is down, frozen or cut off.
    #[error("no answer from {0} within {1:?}")]
    Timeout(String, Duration),
    /// The connection or the look-up of the host failed in another way.
    #[error("{0}: {1}")]
    Failed(String, String),
    /// Something else than a herd server's admin address is there.
    #[error("what {0} answers is no status of a herd server: {1}")]
    Foreign(String, String),
}

/// Asks the server whose `admin` is `address`, `HOST:PORT`. Blocks for `timeout` at most, all told. No
/// proxy is used, whatever the environment says.
///
/// # Errors
///
/// Any [`StatusError`].
pub fn status(address: &str, timeout: Duration) -> Result<Status, StatusError> {
    let failed = |error: Error| match error {
        Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            StatusError::Refused(address.to_owned())
        }
        Error::Timeout(_) => StatusError::Timeout(address.to_owned(), timeout),
        Error::Io(error) => StatusError::Failed(address.to_owned(), error.to_string()),
        error => StatusError::Foreign(address.to_owned(), error.to_string()),
    };
    let foreign = |what: String| StatusError::Foreign(address.to_owned(), what);
    let agent = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .build()
        .new_agent();
    let mut response = agent.get(format!("http://{address}/status")).call().map_err(failed)?;
    if response.status() != 200 {
        return Err(foreign(format!("HTTP {}", response.status())));
    }
    let body = response.body_mut().with_config().limit(MAX_STATUS_BYTES);
    let body = body.read_to_vec().map_err(failed)?;
    serde_json::from_slice(&body).map_err(|error| foreign(error.to_string()))
}
