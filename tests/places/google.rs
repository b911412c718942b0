//! Places API (New).

use crate::asking::{KEY, answered, request};

#[test]
fn a_look_up_is_a_post_with_key_fields_and_a_circle() {
    let request = request("google", "+34.068930-118.445127", "10 5");
    assert_eq!(request.line, "POST /v1/places:searchNearby HTTP/1.1");
    assert_eq!(request.header("x-goog-api-key"), KEY);
    assert_eq!(request.header("content-type"), "application/json");
    let fields = request.header("x-goog-fieldmask");
    for field in ["places.id", "places.displayName", "places.location", "places.types"] {
        assert!(fields.split(',').any(|one| one == field), "{fields}");
    }
    assert!(!fields.contains(' '), "{fields}");
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    let expected = serde_json::json!({
        "maxResultCount": 5,
        "locationRestriction": {"circle": {
            "center": {"latitude": 34.06893, "longitude": -118.445127},
            "radius": 10000,
        }},
    });
    assert_eq!(body, expected);
}

#[test]
fn radius_and_bound_stay_within_what_the_service_takes() {
    for (asked, radius, most) in
        [("0 1", "0.001", "1"), ("50 20", "50000", "20"), ("0.0000001 20", "0.001", "20")]
    {
        let body = request("google", "-90+180", asked).body;
        assert!(body.contains(&format!(r#""radius":{radius}}}"#)), "{body}");
        assert!(body.contains(&format!(r#""maxResultCount":{most},"#)), "{body}");
        assert!(body.contains(r#"{"latitude":-90,"longitude":180}"#), "{body}");
    }
}

#[test]
fn places_are_brought_into_the_legacy_shape_with_their_numbers_as_they_came() {
    let json = answered(
        "google",
        r#"{"places": [
            {"id": "1a", "types": ["cafe", "food"], "formattedAddress": "long",
             "location": {"latitude": 34.0689300, "longitude": -1.1844512700e2},
             "displayName": {"text": "Caf\u00e9 \"A\"", "languageCode": "en"},
             "shortFormattedAddress": "10 Way, LA", "rating": 4.5},
            {"id": "2b", "location": {"latitude": 1, "longitude": 2}, "formattedAddress": "long"},
            {"id": "3c", "location": {"latitude": 1, "longitude": 2}}
        ]}"#,
    );
    assert_eq!(
        json,
        r#"{"html_attributions": [], "results": [{"geometry":{"location":{"lat":34.0689300,"lng":-1.1844512700e2}},"name":"Café \"A\"","place_id":"1a","types":["cafe","food"],"vicinity":"10 Way, LA"}, {"geometry":{"location":{"lat":1,"lng":2}},"place_id":"2b","vicinity":"long"}], "status": "OK"}"#
    );
}
