//! The API key: where it comes from, and where it never goes.

use std::process::Command;

use crate::asking::{KEY, ask, failure, places};
use crate::embedded::conf;
use crate::places_service::{PlacesService, answer, ok};
use crate::served::Served;
use crate::talk::Talk;

#[test]
fn a_key_comes_from_a_file_or_from_the_environment() {
    let service = PlacesService::start(|_| ok("{}"));
    let sections = format!(
        "[places]\nprovider = \"google\"\nbase_url = \"{}\"\nkey_env = \"HERD_TEST_KEY\"\n",
        service.url()
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.env("HERD_TEST_KEY", format!(" {KEY}\n"));
    let server = Served::spawn(command, &sections, "level = \"trace\"");
    let mut talk = Talk::to(server.address);
    talk.report("a");
    assert!(talk.ask("WHATSAT a 1 1").starts_with("AT "));
    talk.places();
    ask("google", &service.url(), "");
    let keys: Vec<_> =
        service.requests().iter().map(|asked| asked.header("x-goog-api-key").to_owned()).collect();
    assert_eq!(keys, [KEY, KEY]);
    assert!(!server.log().contains("s3cret") && !server.stderr().contains("s3cret"));
}

#[test]
fn an_answer_that_repeats_the_key_is_a_failure() {
    for provider in ["google", "google-legacy"] {
        let body = format!(r#"{{"results": [], "status": "OK", "places": [], "x": "{KEY}"}}"#);
        let service = PlacesService::start(move |_| ok(&body));
        let (status, message) = failure(&ask(provider, &service.url(), ""));
        assert_eq!(status, "UNKNOWN_ERROR");
        assert!(message.contains("the API key in its answer"), "{message}");
        // Nor is the body of an error shown.
        let body = format!("key {KEY} is wrong");
        let service = PlacesService::start(move |_| answer("403 Forbidden", "", &body));
        assert_eq!(failure(&ask(provider, &service.url(), "")).0, "REQUEST_DENIED");
    }
}

/// What `herd serve` says of this conf: it must not start.
#[track_caller]
fn refused(sections: &str, directory: &tempfile::TempDir) -> String {
    let path = directory.path().join("herd.toml");
    std::fs::write(&path, conf(directory.path(), sections, "")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_herd"))
        .args(["serve", "Ball", "--conf"])
        .arg(&path)
        .env("HERD_TEST_KEY", "two s3cret words")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "it is not ready");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_key_that_is_none_is_refused_without_being_shown() {
    let directory = tempfile::tempdir().unwrap();
    let google = "[places]\nprovider = \"google\"\n";
    let said = refused(&format!("{google}key_env = \"HERD_TEST_KEY\"\n"), &directory);
    assert!(said.contains("HERD_TEST_KEY holds more than an API key"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
    let said = refused(&format!("{google}key_env = \"HERD_TEST_NO_KEY\"\n"), &directory);
    assert!(said.contains("HERD_TEST_NO_KEY is not set"), "{said}");
    let said = refused(google, &directory);
    assert!(said.contains("needs an API key"), "{said}");
    let file = places(&directory, "google", "http://127.0.0.1:1", "");
    std::fs::write(directory.path().join("key"), "s3cret key \u{e9}").unwrap();
    let said = refused(&file, &directory);
    assert!(said.contains("holds more than an API key") && !said.contains("s3cret"), "{said}");
    std::fs::remove_file(directory.path().join("key")).unwrap();
    let said = refused(&file, &directory);
    assert!(said.contains("cannot read") && said.contains("write the API key into it"), "{said}");
}
