//! OpenStreetMap's amenities, through Overpass: `POST /api/interpreter`.
//!
//! Overpass gives elements in the order of their numbers, so more are asked for than wanted, and
//! the nearest of them are the answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::answer::{self, Degrees, Geometry, LatLng, Place};
use super::http::{BaseUrlError, Service, plain};
use super::{Failure, Lookup, Provider};
use crate::config::Places;
use crate::protocol::Coordinates;

const PUBLIC_URL: &str = "https://overpass-api.de";

const ATTRIBUTION: &str =
    r#"&copy; <a href="https://www.openstreetmap.org/copyright">OpenStreetMap</a> contributors"#;

/// Elements asked for, from which the nearest are taken: some 300 KB. Where there are more within
/// the radius, nearer ones may be missed; a higher number costs time at a shared public service.
const ELEMENTS: usize = 1000;

/// OpenStreetMap through Overpass. Needs no key.
#[derive(Debug)]
pub struct Overpass {
    service: Service,
}

impl Overpass {
    /// Calls nobody yet.
    ///
    /// # Errors
    ///
    /// If the conf's `base_url` can't be used.
    pub fn new(places: &Places) -> Result<Self, BaseUrlError> {
        Ok(Self { service: Service::new(places, PUBLIC_URL, None)? })
    }
}

impl Provider for Overpass {
    fn computes(&self) -> bool {
        false
    }

    fn nearby(&self, lookup: &Lookup) -> Result<Vec<u8>, Failure> {
        let response = self.service.post("/api/interpreter").send_form([("data", query(lookup))]);
        let body = self.service.body(response)?;
        translate(&body, lookup)
    }
}

fn query(lookup: &Lookup) -> String {
    format!(
        "[out:json][timeout:25];nwr(around:{},{},{})[amenity];out center {ELEMENTS};",
        plain(lookup.radius.0 * 1000.0, 3),
        plain(lookup.center.latitude, 9),
        plain(lookup.center.longitude, 9),
    )
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    elements: Vec<Element<'a>>,
    /// An error, under HTTP 200: `runtime error: Query timed out in "query" at line 1`.
    remark: Option<IgnoredAny>,
}

/// A node has its own location, a way or relation that of its center.
#[derive(Deserialize)]
struct Element<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    id: u64,
    #[serde(borrow)]
    lat: Option<Degrees<'a>>,
    #[serde(borrow)]
    lon: Option<Degrees<'a>>,
    #[serde(borrow)]
    center: Option<Center<'a>>,
    #[serde(default, borrow)]
    tags: Tags<'a>,
}

#[derive(Deserialize)]
struct Center<'a> {
    #[serde(borrow)]
    lat: Degrees<'a>,
    #[serde(borrow)]
    lon: Degrees<'a>,
}

#[derive(Default, Deserialize)]
struct Tags<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    amenity: Option<Cow<'a, str>>,
    #[serde(rename = "addr:housenumber", borrow)]
    house: Option<Cow<'a, str>>,
    #[serde(rename = "addr:street", borrow)]
    street: Option<Cow<'a, str>>,
    #[serde(rename = "addr:city", borrow)]
    city: Option<Cow<'a, str>>,
}

/// An answer of Overpass in the shape of ours: the nearest places, at most as many as asked for.
///
/// # Errors
///
/// `UNKNOWN_ERROR` for what is not one, and for a query that failed.
#[doc(hidden)] // `pub` for the fuzz targets: the rest of the way to it is HTTP.
pub fn translate(body: &[u8], lookup: &Lookup) -> Result<Vec<u8>, Failure> {
    let found: Found<'_> = answer::object(body, "a list of elements")?;
    if found.remark.is_some() {
        return Err(answer::misshapen("a remark that the query failed: try a smaller radius"));
    }
    let places = found.elements.into_iter().filter_map(Element::place);
    let mut ranked: Vec<(f64, Place<'_>)> =
        places.map(|place| (apart(&lookup.center, &place.geometry.location), place)).collect();
    ranked.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let bound = usize::from(lookup.bound);
    let results: Vec<Place<'_>> = ranked.into_iter().take(bound).map(|(_, place)| place).collect();
    Ok(answer::found(&[ATTRIBUTION], &results))
}

impl<'a> Element<'a> {
    /// `None` without a location. What has no name is called what it is: `bicycle parking`.
    fn place(self) -> Option<Place<'a>> {
        let own = self.lat.zip(self.lon);
        let (lat, lng) = own.or(self.center.map(|center| (center.lat, center.lon)))?;
        let tags = self.tags;
        let called = tags.amenity.as_ref().map(|kind| Cow::Owned(kind.replace('_', " ")));
        let street = match (tags.street, tags.house) {
            (Some(street), Some(house)) => Some(Cow::Owned(format!("{house} {street}"))),
            (street, _) => street,
        };
        Some(Place {
            geometry: Geometry { location: LatLng { lat, lng } },
            name: tags.name.or(called),
            place_id: Cow::Owned(format!("osm:{}/{}", self.kind, self.id)),
            types: tags.amenity.into_iter().collect(),
            vicinity: match (street, tags.city) {
                (Some(street), Some(city)) => Some(Cow::Owned(format!("{street}, {city}"))),
                (street, city) => street.or(city),
            },
        })
    }
}

/// Grows with the great circle between the two: the haversine.
fn apart(center: &Coordinates, location: &LatLng<'_>) -> f64 {
    let (latitude, longitude) = (location.lat.value, location.lng.value);
    let north = (latitude - center.latitude).to_radians() / 2.0;
    let east = (longitude - center.longitude).to_radians() / 2.0;
    let parallels = latitude.to_radians().cos() * center.latitude.to_radians().cos();
    north.sin().powi(2) + parallels * east.sin().powi(2)
}
