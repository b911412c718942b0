//! OpenStreetMap through Overpass.

use crate::asking::{answered, failure, request};

/// Decodes a form's value.
fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn a_look_up_is_a_query_around_the_location() {
    for (location, asked, around) in [
        ("+34.068930-118.445127", "10 5", "10000,34.06893,-118.445127"),
        ("-89.5+180", "0.25 20", "250,-89.5,180"),
    ] {
        let request = request("overpass", location, asked);
        assert_eq!(request.line, "POST /api/interpreter HTTP/1.1");
        assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
        let query = decoded(request.body.strip_prefix("data=").unwrap());
        let expected =
            format!("[out:json][timeout:25];nwr(around:{around})[amenity];out center 1000;");
        assert_eq!(query, expected);
        let sent = format!("{request:?}");
        assert!(!sent.contains("s3cret"), "a key is for Google: {sent}");
    }
}

#[test]
fn elements_are_brought_into_googles_shape_nearest_first_and_attributed() {
    let json = answered(
        "overpass",
        r#"{"version": 0.6, "generator": "Overpass API", "elements": [
            {"type": "node", "id": 1, "lat": 34.10, "lon": -118.445, "tags": {"amenity": "bench"}},
            {"type": "way", "id": 22, "center": {"lat": 34.0690, "lon": -118.4450},
             "tags": {"amenity": "fast_food", "addr:street": "Way", "addr:housenumber": "10", "addr:city": "LA"}},
            {"type": "node", "id": 3, "tags": {"amenity": "nowhere"}},
            {"type": "relation", "id": 4, "center": {"lat": 34.068930, "lon": -118.445127},
             "tags": {"amenity": "university", "name": "UCLA \u00e9"}}
        ]}"#,
    );
    assert_eq!(
        json,
        r#"{"html_attributions":["&copy; <a href=\"https://www.openstreetmap.org/copyright\">OpenStreetMap</a> contributors"],"results":[{"geometry":{"location":{"lat":34.068930,"lng":-118.445127}},"name":"UCLA é","place_id":"osm:relation/4","types":["university"]},{"geometry":{"location":{"lat":34.0690,"lng":-118.4450}},"name":"fast food","place_id":"osm:way/22","types":["fast_food"],"vicinity":"10 Way, LA"}],"status":"OK"}"#
    );
}

#[test]
fn a_remark_is_a_failure_though_the_status_is_200() {
    let json = answered(
        "overpass",
        r#"{"elements": [], "remark": "runtime error: Query timed out in \"query\" at line 1 after 26 seconds."}"#,
    );
    let (status, message) = failure(&json);
    assert_eq!(status, "UNKNOWN_ERROR");
    assert!(message.contains("remark"), "{message}");
}
