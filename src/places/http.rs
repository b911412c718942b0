//! What the services over HTTP share: one blocking call with limits, and its failures in
//! Google's words.
//!
//! A call takes at most `places.timeout`, name resolution, TLS and the whole body included;
//! connecting takes at most half of that. Nothing is tried twice. Redirects are not followed:
//! they could carry the API key elsewhere. A message of a failure is made here from scratch, since
//! the texts of errors below hold URLs, which can hold the key, and addresses.

use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use ureq::http::{Response, Uri};
use ureq::{Agent, Body, Error, RequestBuilder};

use super::key::ApiKey;
use super::{Failure, Status, answer};
use crate::config::Places;

/// Longest answer that is read, in bytes once unpacked. Usual ones have 1 to 100 KB; a longer
/// one is a failure, and costs no more memory than this.
pub const MAX_BODY_BYTES: u64 = 4 << 20;

const NOT_TRUSTED: &str = "no trusted connection (TLS) to the places service";

/// Where a service is, and how it is called.
#[derive(Debug)]
pub(super) struct Service {
    agent: Agent,
    /// Without a slash at the end.
    base_url: String,
    timeout: Duration,
    key: Option<ApiKey>,
}

/// Why a `base_url` can't be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "places.base_url = {url:?} {reason}; write http:// or https://, a host, and if need be a port \
     and a path: https://places.example.com:8443/api"
)]
pub struct BaseUrlError {
    url: String,
    reason: &'static str,
}

impl Service {
    /// Reads the `base_url` of the conf, or takes the public one. Calls nobody.
    pub(super) fn new(
        places: &Places,
        public_url: &str,
        key: Option<ApiKey>,
    ) -> Result<Self, BaseUrlError> {
        let base_url = places.base_url.as_deref().unwrap_or(public_url).trim_end_matches('/');
        check_base_url(base_url)
            .map_err(|reason| BaseUrlError { url: base_url.to_owned(), reason })?;
        let agent = Agent::config_builder()
            .user_agent(concat!("herd/", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(places.timeout))
            .timeout_connect(Some(places.timeout / 2))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(places.workers)
            .max_idle_connections_per_host(places.workers)
            .build()
            .new_agent();
        Ok(Self { agent, base_url: base_url.to_owned(), timeout: places.timeout, key })
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder<ureq::typestate::WithoutBody> {
        self.agent.get(format!("{}{path}", self.base_url))
    }

    pub(super) fn post(&self, path: &str) -> RequestBuilder<ureq::typestate::WithBody> {
        self.agent.post(format!("{}{path}", self.base_url))
    }

    /// The key, of a service that was made with one.
    pub(super) fn key(&self) -> &str {
        self.key.as_ref().map_or("", ApiKey::expose)
    }

    /// The body of an answer with status 200; all else is a failure. An answer that repeats the
    /// key is one too: no client may see it.
    pub(super) fn body(&self, response: Result<Response<Body>, Error>) -> Result<Vec<u8>, Failure> {
        let response = response.map_err(|error| self.failure(&error))?;
        check_status(response.status().as_u16())?;
        let mut body = Vec::new();
        // One byte more than the limit tells that it is exceeded, also of a packed body.
        let mut reader = response.into_body().into_reader().take(MAX_BODY_BYTES + 1);
        reader.read_to_end(&mut body).map_err(|error| self.failure(&Error::from(error)))?;
        if body.len() as u64 > MAX_BODY_BYTES {
            return Err(answer::misshapen("more than 4 MiB"));
        }
        let repeats = |key: &ApiKey| memchr::memmem::find(&body, key.expose().as_bytes()).is_some();
        match &self.key {
            Some(key) if repeats(key) => Err(answer::misshapen("the API key in its answer")),
            _ => Ok(body),
        }
    }

    fn is_over_tls(&self) -> bool {
        self.base_url.starts_with("https:")
    }

    fn failure(&self, error: &Error) -> Failure {
        let message = match error {
            Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
                format!("no connection to the places service within {:?}", self.timeout / 2)
            }
            Error::Timeout(_) => {
                format!("the places service did not answer within {:?}", self.timeout)
            }
            Error::HostNotFound => "the host of the places service was not found".to_owned(),
            // What rustls refuses, a certificate above all, comes as an io::Error of this kind.
            Error::Io(error) if self.is_over_tls() && error.kind() == ErrorKind::InvalidData => {
                NOT_TRUSTED.to_owned()
            }
            Error::Io(error) => describe(error).to_owned(),
            Error::Tls(_) | Error::Rustls(_) => NOT_TRUSTED.to_owned(),
            Error::Protocol(_) | Error::LargeResponseHeader(..) | Error::Decompress(..) => {
                "the places service does not speak HTTP as it should".to_owned()
            }
            Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => {
                "the proxy before the places service failed".to_owned()
            }
            _ => "the places service could not be asked".to_owned(),
        };
        Failure { status: Status::UnknownError, message }
    }
}

/// A float as URLs and queries want it: at most `decimals`, no exponent, no sign but a minus, no
/// zeros at the end, no minus zero.
pub fn plain(number: f64, decimals: usize) -> String {
    let text = format!("{number:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0') } else { &text };
    match text.trim_end_matches('.') {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// Nothing if the status of an answer is 200, else what it says.
///
/// # Errors
///
/// The failure in Google's words.
pub fn check_status(status: u16) -> Result<(), Failure> {
    let (word, what) = match status {
        200 => return Ok(()),
        400 => (Status::InvalidRequest, "did not understand the request"),
        401 | 403 => (Status::RequestDenied, "refused the request: is its API key right?"),
        429 => (Status::OverQueryLimit, "has been asked too often: try again later"),
        300..=399 => (Status::UnknownError, "has moved: base_url has to say where"),
        _ => (Status::UnknownError, "failed: try again later"),
    };
    let message = format!("the places service {what} (HTTP {status})");
    Err(Failure { status: word, message })
}

fn check_base_url(url: &str) -> Result<(), &'static str> {
    let uri: Uri = url.parse().map_err(|_| "is not a URL")?;
    let authority = uri.authority().ok_or("has no host")?;
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        Err("is of no scheme that is spoken here")
    } else if authority.host().is_empty() {
        Err("has no host")
    } else if authority.as_str().contains('@') {
        Err("has a user name in it")
    } else if !port.is_empty() && port.strip_prefix(':').is_none_or(|p| p.parse::<u16>().is_err()) {
        Err("has a port that is none")
    } else if uri.query().is_some() || url.contains('#') {
        Err("has more than a path behind the host")
    } else {
        Ok(())
    }
}

fn describe(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => "the places service refused the connection",
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => "the places service broke the connection off",
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
            "the places service can't be reached"
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "the places service did not answer in time",
        _ => "the connection to the places service failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_plainly() {
        for (number, decimals, expected) in [
            (34.06893, 9, "34.06893"),
            (-118.445127, 9, "-118.445127"),
            (10_000.0, 3, "10000"),
            (50_000.0, 0, "50000"),
            (1e-9, 9, "0.000000001"),
            (-1e-12, 9, "0"),
            (-0.0, 9, "0"),
            (2300.0000000000005, 3, "2300"),
            (100.0, 9, "100"),
        ] {
            assert_eq!(plain(number, decimals), expected);
        }
    }

    #[test]
    fn a_base_url_is_a_scheme_a_host_and_a_path() {
        for right in ["http://localhost", "https://a.example:8443/b/c", "http://[::1]:80"] {
            assert_eq!(check_base_url(right), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "localhost",
            "localhost:80",
            "/x",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a b",
            "http://u:p@a",
            "http://a:99999",
            "http://a:",
            "http://a/?x=1",
            "http://a/#x",
            "file:///x",
        ] {
            assert!(check_base_url(wrong).is_err(), "{wrong}");
        }
    }
}
