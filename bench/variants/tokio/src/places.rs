//! What is near a location: calls of Google's legacy Nearby Search, or of what stands in for it, over kept connections.
//!
//! So many calls at a time, so many look-ups that wait for one, and further ones are refused at once: two semaphores. A message
//! of a failure is made here from scratch, since the texts of reqwest's errors hold URLs, which hold the key.

use std::time::Duration;

use herd::config::{self, ProviderKind};
use herd::places::http::{MAX_BODY_BYTES, check_status, plain};
use herd::places::key::{ApiKey, KeyError};
use herd::places::{Failure, Lookup, Status, answer};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Who is asked.
pub(crate) enum Places {
    /// Google's legacy Nearby Search.
    GoogleLegacy(Box<Service>),
    /// Another provider than this variant has.
    Nobody,
}

/// A service over HTTP.
pub(crate) struct Service {
    client: Client,
    /// Without a slash at the end.
    base_url: String,
    key: ApiKey,
    timeout: Duration,
    /// Calls that may be made now.
    calls: Semaphore,
    /// Look-ups that may come in now: to be made, or to wait for a call.
    room: Semaphore,
}

/// Why the provider of the conf can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlacesError {
    #[error("places.provider = \"google-legacy\": {0}")]
    Key(#[from] KeyError),
    #[error(
        "places.base_url = {0:?} can't be used: this server has no TLS, so write http://, a host and a port"
    )]
    BaseUrl(String),
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

impl Places {
    /// Calls nobody yet.
    ///
    /// # Errors
    ///
    /// [`PlacesError`]
    pub(crate) fn new(conf: &config::Places) -> Result<Self, PlacesError> {
        match conf.provider {
            ProviderKind::GoogleLegacy => Ok(Self::GoogleLegacy(Box::new(Service::new(conf)?))),
            _ => Ok(Self::Nobody),
        }
    }

    /// Places near a client, or why there are none, in Google's shape.
    pub(crate) async fn nearby(&self, lookup: &Lookup) -> Vec<u8> {
        let found = match self {
            Self::GoogleLegacy(service) => service.nearby(lookup).await,
            Self::Nobody => {
                let message = "this server can ask no provider but google-legacy".to_owned();
                Err(Failure { status: Status::RequestDenied, message })
            }
        };
        found.unwrap_or_else(|failure| answer::failure(&failure))
    }
}

impl Service {
    fn new(conf: &config::Places) -> Result<Self, PlacesError> {
        let base_url = conf.base_url.as_deref().unwrap_or("https://maps.googleapis.com");
        let is_usable = Url::parse(base_url).is_ok_and(|url| url.scheme() == "http");
        if !is_usable {
            return Err(PlacesError::BaseUrl(base_url.to_owned()));
        }
        let client = Client::builder()
            .user_agent(concat!("herd-tokio/", env!("CARGO_PKG_VERSION")))
            .timeout(conf.timeout)
            .connect_timeout(conf.timeout / 2)
            .redirect(Policy::none())
            .pool_max_idle_per_host(conf.workers)
            .no_proxy()
            .build()?;
        Ok(Self {
            client,
            base_url: base_url.trim_end_matches('/').to_owned(),
            key: ApiKey::read(conf)?,
            timeout: conf.timeout,
            calls: Semaphore::new(conf.workers),
            room: Semaphore::new(conf.workers + conf.queue),
        })
    }

    async fn nearby(&self, lookup: &Lookup) -> Result<Vec<u8>, Failure> {
        let _place = self.room.try_acquire().map_err(|_| overload())?;
        // It may be in vain: who waits in the queue may wait as long as a call may take.
        let turn = timeout(self.timeout, self.calls.acquire()).await;
        let _turn = turn.map_err(|_| overload())?;
        let response = self.client.get(self.url(lookup)?).send().await;
        let body = self.body(response.map_err(|error| self.failure(&error))?).await?;
        answer::shape(body, lookup.bound)
    }

    fn url(&self, lookup: &Lookup) -> Result<Url, Failure> {
        let url = format!(
            "{}/maps/api/place/nearbysearch/json?location={},{}&radius={}",
            self.base_url,
            plain(lookup.center.latitude, 9),
            plain(lookup.center.longitude, 9),
            plain(lookup.radius.0 * 1000.0, 3),
        );
        let mut url = Url::parse(&url).map_err(|_| unknown("the places service has no URL"))?;
        url.query_pairs_mut().append_pair("key", self.key.expose());
        Ok(url)
    }

    /// The body of an answer with status 200, that no client sees if it repeats the key.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        check_status(response.status().as_u16())?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() as u64 > MAX_BODY_BYTES {
                return Err(unknown("the places service answered with more than 4 MiB"));
            }
        }
        match memchr::memmem::find(&body, self.key.expose().as_bytes()) {
            Some(_) => Err(unknown("the places service answered with the API key in its answer")),
            None => Ok(body),
        }
    }

    fn failure(&self, error: &reqwest::Error) -> Failure {
        if error.is_timeout() {
            unknown(&format!("the places service did not answer within {:?}", self.timeout))
        } else if error.is_connect() {
            unknown("no connection to the places service")
        } else {
            unknown("the places service broke the connection off, or does not speak HTTP")
        }
    }
}

fn unknown(message: &str) -> Failure {
    Failure { status: Status::UnknownError, message: message.to_owned() }
}

fn overload() -> Failure {
    let message = "too many look-ups wait for the places provider; ask again later".to_owned();
    Failure { status: Status::OverQueryLimit, message }
}
