//! Google Places API (New), the only one that a new Google project can get.
//!
//! `POST /v1/places:searchNearby`; its answer `{"places": [...]}` is brought into the shape of a
//! legacy Nearby Search response, numbers byte for byte.

use std::borrow::Cow;

use serde::Deserialize;

use super::answer::{self, Degrees, Geometry, LatLng, Place};
use super::http::{BaseUrlError, Service, plain};
use super::key::ApiKey;
use super::{Failure, Lookup, Provider};
use crate::config::Places;

const PUBLIC_URL: &str = "https://places.googleapis.com";

/// What is asked for, and paid for: only what the legacy shape has a place for.
const FIELDS: &str = "places.id,places.displayName,places.location,places.types,\
                      places.shortFormattedAddress,places.formattedAddress";

/// Google Places API (New).
#[derive(Debug)]
pub struct Google {
    service: Service,
}

impl Google {
    /// Calls nobody yet.
    ///
    /// # Errors
    ///
    /// If the conf's `base_url` can't be used.
    pub fn new(places: &Places, key: ApiKey) -> Result<Self, BaseUrlError> {
        Ok(Self { service: Service::new(places, PUBLIC_URL, Some(key))? })
    }
}

impl Provider for Google {
    fn computes(&self) -> bool {
        false
    }

    fn nearby(&self, lookup: &Lookup) -> Result<Vec<u8>, Failure> {
        let response = self
            .service
            .post("/v1/places:searchNearby")
            .header("X-Goog-Api-Key", self.service.key())
            .header("X-Goog-FieldMask", FIELDS)
            .content_type("application/json")
            .send(request(lookup));
        let body = self.service.body(response)?;
        answer::shape(translate(&body)?, lookup.bound)
    }
}

/// The radius is in meters and has to be greater than 0. It is said to the millimeter, so radius
/// 0 becomes a millimeter: the least that can be asked, and less than any location is exact to.
fn request(lookup: &Lookup) -> String {
    let meters = (lookup.radius.0 * 1000.0).max(0.001);
    format!(
        r#"{{"maxResultCount":{},"locationRestriction":{{"circle":{{"center":{{"latitude":{},"longitude":{}}},"radius":{}}}}}}}"#,
        lookup.bound,
        plain(lookup.center.latitude, 9),
        plain(lookup.center.longitude, 9),
        plain(meters, 3),
    )
}

#[derive(Deserialize)]
struct Found<'a> {
    /// Not there at all if nothing was found: `{}`.
    #[serde(default, borrow)]
    places: Vec<NewPlace<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewPlace<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    display_name: Option<DisplayName<'a>>,
    #[serde(borrow)]
    location: Location<'a>,
    #[serde(default, borrow)]
    types: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    short_formatted_address: Option<Cow<'a, str>>,
    #[serde(borrow)]
    formatted_address: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct DisplayName<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Location<'a> {
    #[serde(borrow)]
    latitude: Degrees<'a>,
    #[serde(borrow)]
    longitude: Degrees<'a>,
}

/// An answer of this API in the shape of ours, not cut to a bound.
///
/// # Errors
///
/// `UNKNOWN_ERROR` for what is not one.
#[doc(hidden)] // `pub` for the fuzz targets: the rest of the way to it is HTTP.
pub fn translate(body: &[u8]) -> Result<Vec<u8>, Failure> {
    let found: Found<'_> = answer::object(body, "a list of places")?;
    let results: Vec<Place<'_>> = found.places.into_iter().map(Place::from).collect();
    Ok(answer::found(&[], &results))
}

impl<'a> From<NewPlace<'a>> for Place<'a> {
    fn from(place: NewPlace<'a>) -> Self {
        let Location { latitude: lat, longitude: lng } = place.location;
        Self {
            geometry: Geometry { location: LatLng { lat, lng } },
            name: place.display_name.map(|name| name.text),
            place_id: place.id,
            types: place.types,
            vicinity: place.short_formatted_address.or(place.formatted_address),
        }
    }
}
