//! The legacy Nearby Search.

use crate::asking::{answered, request};

#[test]
fn a_look_up_is_a_get_with_a_query_without_plus_signs() {
    for (location, asked, query) in [
        ("+34.068930-118.445127", "10 5", "location=34.06893,-118.445127&radius=10000"),
        ("-00.5+000.25", "0.5 20", "location=-0.5,0.25&radius=500"),
        ("+90-180", "50 1", "location=90,-180&radius=50000"),
        ("-0-0.0", "0 1", "location=0,0&radius=0"),
    ] {
        let request = request("google-legacy", location, asked);
        let target = request.line.strip_suffix(" HTTP/1.1").unwrap();
        let (path, key) = target.split_once("&key=").unwrap();
        assert_eq!(path, format!("GET /maps/api/place/nearbysearch/json?{query}"));
        assert_eq!(key, "AIzaSy-T0p_s3cret/key%2B%26%3D".replace('/', key_slash(key)));
        assert!(!target.contains('+'), "{target}");
    }
}

/// A slash may stand in a query as it is.
fn key_slash(key: &str) -> &'static str {
    if key.contains("%2F") { "%2F" } else { "/" }
}

#[test]
fn an_answer_is_passed_on_byte_for_byte() {
    let body = "{ \"z\" : 1.50E+007,\t\"results\":[ {\"b\":1.0, \"a\":34.068930000000000001} , \"\\u00e9\"] ,\
                \"next_page_token\": \"x\", \"status\":\"OK\",\"html_attributions\":[\"A\"]}";
    assert_eq!(answered("google-legacy", body), body);
}

#[test]
fn an_answers_own_status_is_passed_on() {
    for body in [
        r#"{"html_attributions":[],"results":[],"status":"REQUEST_DENIED","error_message":"The provided API key is invalid."}"#,
        r#"{"results":[],"status":"OVER_QUERY_LIMIT"}"#,
        r#"{"status":"ZERO_RESULTS","results":[]}"#,
    ] {
        assert_eq!(answered("google-legacy", body), body);
    }
}

#[test]
fn results_over_the_bound_are_cut_and_the_rest_is_as_it_came() {
    let body = r#"{"z":-0.10e2,"results":[{"b":1.0,"a":34.068930000000000001},"two",{"three":3}],"status":"OK","a":1E400}"#;
    let cut = r#"{"z": -0.10e2, "results": [{"b":1.0,"a":34.068930000000000001}, "two"], "status": "OK", "a": 1E400}"#;
    assert_eq!(answered("google-legacy", body), cut);
}

#[test]
fn line_feeds_in_an_answer_never_end_the_reply_early() {
    let body = "\n\n{\n\n\n\"results\": [],\n\n\"status\": \"OK\"\n}\n\n\n";
    let service =
        crate::places_service::PlacesService::start(move |_| crate::places_service::ok(body));
    let directory = tempfile::tempdir().unwrap();
    let sections = crate::asking::places(&directory, "google-legacy", &service.url(), "");
    let server = crate::embedded::Embedded::start_in(directory, &sections, "");
    let mut talk = crate::talk::Talk::to(server.address);
    talk.send("IAMAT a +1+1 1\nWHATSAT a 1 1\n");
    talk.end();
    let reply = talk.rest();
    assert!(reply.ends_with("1\n{\n\"results\": [],\n\"status\": \"OK\"\n}\n\n"), "{reply}");
}
