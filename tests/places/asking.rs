//! A server with a provider, and one WHATSAT.

use crate::embedded::Embedded;
use crate::places_service::{PlacesService, Request, ok};
use crate::talk::Talk;

/// What no answer, log or message may hold.
pub(crate) const KEY: &str = "AIzaSy-T0p_s3cret/key+&=";

/// The providers that ask a service.
pub(crate) const PROVIDERS: [&str; 3] = ["google", "google-legacy", "overpass"];

/// An answer of each provider's service that finds nothing.
pub(crate) fn nothing(provider: &str) -> &'static str {
    match provider {
        "google" => "{}",
        "google-legacy" => r#"{"html_attributions": [], "results": [], "status": "ZERO_RESULTS"}"#,
        _ => r#"{"elements": []}"#,
    }
}

/// `[places]` with a key for those who need one, in a file in `directory`.
pub(crate) fn places(
    directory: &tempfile::TempDir,
    provider: &str,
    base_url: &str,
    keys: &str,
) -> String {
    let path = directory.path().join("key");
    std::fs::write(&path, format!("{KEY}\n")).unwrap();
    format!(
        "[places]\nprovider = \"{provider}\"\nbase_url = \"{base_url}\"\nkey_file = '{}'\n{keys}\n",
        path.display()
    )
}

/// The places JSON of one WHATSAT, `radius` and `bound` given, of a client at `location`. The key
/// is not in it, nor in the server's log at its most talkative.
#[track_caller]
pub(crate) fn ask_at(provider: &str, base_url: &str, keys: &str, what: [&str; 2]) -> String {
    let [location, radius_and_bound] = what;
    let directory = tempfile::tempdir().unwrap();
    let sections = places(&directory, provider, base_url, keys);
    let server = Embedded::start_in(directory, &sections, "level = \"trace\"");
    let mut talk = Talk::to(server.address);
    let at = talk.ask(&format!("IAMAT a {location} 1479413884.392014450"));
    assert_eq!(talk.ask(&format!("WHATSAT a {radius_and_bound}")), at);
    let json = talk.places();
    drop(talk);
    let log = server.stop();
    assert!(log.contains("WHATSAT a"), "{log}");
    for text in [&json, &log] {
        assert!(!text.contains(KEY) && !text.contains("s3cret"), "{text}");
    }
    json
}

/// As [`ask_at`], around the university.
#[track_caller]
pub(crate) fn ask(provider: &str, base_url: &str, keys: &str) -> String {
    ask_at(provider, base_url, keys, ["+34.068930-118.445127", "10 5"])
}

/// The one request that this WHATSAT makes.
#[track_caller]
pub(crate) fn request(provider: &'static str, location: &str, radius_and_bound: &str) -> Request {
    let service = PlacesService::start(move |_| ok(nothing(provider)));
    let json = ask_at(provider, &service.url(), "", [location, radius_and_bound]);
    assert_eq!(json, r#"{"html_attributions": [], "results": [], "status": "ZERO_RESULTS"}"#);
    let requests = service.requests();
    assert_eq!(requests.len(), 1);
    requests[0].clone()
}

/// What a client gets for this body of an answer with status 200, with a bound of 2.
#[track_caller]
pub(crate) fn answered(provider: &str, body: &'static str) -> String {
    let service = PlacesService::start(move |_| ok(body));
    ask_at(provider, &service.url(), "", ["+34.068930-118.445127", "10 2"])
}

/// A failure in the shape that clients know: its status, and its message.
#[track_caller]
pub(crate) fn failure(json: &str) -> (String, String) {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(value["html_attributions"], serde_json::json!([]), "{json}");
    assert_eq!(value["results"], serde_json::json!([]), "{json}");
    let text = |key: &str| value[key].as_str().unwrap_or_else(|| panic!("{json}")).to_owned();
    (text("status"), text("error_message"))
}
