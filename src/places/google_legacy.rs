//! Google's legacy Nearby Search. Its answers are the shape of ours, so they are passed on as
//! they came, their own `status` too.

use super::http::{BaseUrlError, Service, plain};
use super::key::ApiKey;
use super::{Failure, Lookup, Provider, answer};
use crate::config::Places;

const PUBLIC_URL: &str = "https://maps.googleapis.com";

/// Google's legacy Nearby Search.
#[derive(Debug)]
pub struct GoogleLegacy {
    service: Service,
}

impl GoogleLegacy {
    /// Calls nobody yet.
    ///
    /// # Errors
    ///
    /// If the conf's `base_url` can't be used.
    pub fn new(places: &Places, key: ApiKey) -> Result<Self, BaseUrlError> {
        Ok(Self { service: Service::new(places, PUBLIC_URL, Some(key))? })
    }
}

impl Provider for GoogleLegacy {
    fn computes(&self) -> bool {
        false
    }

    fn nearby(&self, lookup: &Lookup) -> Result<Vec<u8>, Failure> {
        let path = format!(
            "/maps/api/place/nearbysearch/json?location={},{}&radius={}",
            plain(lookup.center.latitude, 9),
            plain(lookup.center.longitude, 9),
            plain(lookup.radius.0 * 1000.0, 3),
        );
        let response = self.service.get(&path).query("key", self.service.key()).call();
        answer::shape(self.service.body(response)?, lookup.bound)
    }
}
