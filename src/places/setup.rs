//! From the conf to the provider.

use std::sync::Arc;

use super::Provider;
use super::gazetteer::Gazetteer;
use super::google::Google;
use super::google_legacy::GoogleLegacy;
use super::http::BaseUrlError;
use super::key::{ApiKey, KeyError};
use super::overpass::Overpass;
use crate::config::{Places, ProviderKind};

/// Why the provider of the conf can't be used. Says the conf key and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The service needs a key and there is none.
    #[error("places.provider = \"{provider}\": {source}")]
    Key {
        /// As the conf says it.
        provider: &'static str,
        /// Why there is none.
        source: KeyError,
    },
    /// The service's address is none.
    #[error(transparent)]
    BaseUrl(#[from] BaseUrlError),
}

/// Makes the configured provider: reads the API key, or unpacks the gazetteer. Asks nobody.
///
/// # Errors
///
/// [`SetupError`], without the key in it.
pub fn provider(places: &Places) -> Result<Arc<dyn Provider>, SetupError> {
    let key =
        |provider| ApiKey::read(places).map_err(|source| SetupError::Key { provider, source });
    Ok(match places.provider {
        ProviderKind::Gazetteer => Arc::new(Gazetteer::new()),
        ProviderKind::Google => Arc::new(Google::new(places, key("google")?)?),
        ProviderKind::GoogleLegacy => Arc::new(GoogleLegacy::new(places, key("google-legacy")?)?),
        ProviderKind::Overpass => Arc::new(Overpass::new(places)?),
    })
}
