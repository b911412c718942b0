//! One call after the other.

use std::io::{Read, Write};

use herd::client::{Client, Invalid, Reply};
use herd::protocol::{Kilometers, Nanos};

use crate::stand_in::*;

#[test]
fn a_report_goes_out_exact_to_the_nanosecond_and_comes_back_so() {
    let (mut client, sent) = scripted(1, AT);
    let time = Nanos(1_479_413_884_392_014_450);
    let at = client.report("kiwi", "+34.068930-118.445127", time).unwrap().unwrap();
    assert_eq!(at.server.as_str(), "Goloman");
    assert_eq!(at.skew, Nanos(263_873_386));
    assert_eq!(at.client, b"kiwi");
    assert_eq!(at.location, "+34.068930-118.445127");
    assert_eq!(at.time_text, "1479413884.392014450");
    assert_eq!(at.time, time);
    assert_eq!(client.finish().unwrap(), []);
    assert_eq!(
        String::from_utf8_lossy(&sent.join().unwrap()),
        "IAMAT kiwi +34.068930-118.445127 1479413884.392014450\n"
    );
}

#[test]
fn a_report_of_now_has_a_time_of_today() {
    let (mut client, sent) = scripted(1, AT);
    let before = herd::client::now();
    client.report_now("kiwi", "+1+1").unwrap().unwrap();
    let after = herd::client::now();
    drop(client);
    let line = sent.join().unwrap();
    let time = line.trim_ascii().rsplit(|&byte| byte == b' ').next().unwrap();
    let time = Nanos::parse_time(time).unwrap();
    assert!(before <= time && time <= after, "{before:?} {time:?} {after:?}");
}

#[test]
fn a_question_goes_out_without_an_exponent_and_places_come_back_byte_for_byte() {
    let json = "{\n  \"results\": [ {\"name\": \"\u{e9}\"} ],\n\"status\":\"OK\"}";
    let (mut client, sent) = scripted(1, format!("{AT}{json}\n\n"));
    let nearby = client.places_near("kiwi", Kilometers(1e-7), 20).unwrap().unwrap();
    assert_eq!(nearby.at.client, b"kiwi");
    assert_eq!(nearby.places.as_bytes(), json.as_bytes());
    assert_eq!(nearby.places.to_value().unwrap()["results"][0]["name"], "\u{e9}");
    drop(client);
    assert_eq!(sent.join().unwrap(), b"WHATSAT kiwi 0.0000001 20\n");
}

#[test]
fn places_with_empty_results_are_an_answer() {
    let json = r#"{"html_attributions": [], "results": [], "status": "ZERO_RESULTS"}"#;
    let (mut client, sent) = scripted(1, format!("{AT}{json}\n\n"));
    let nearby = client.places_near("kiwi", Kilometers(-0.0), 0).unwrap().unwrap();
    assert_eq!(nearby.places.to_value().unwrap()["status"], "ZERO_RESULTS");
    drop(client);
    assert_eq!(sent.join().unwrap(), b"WHATSAT kiwi 0 0\n");
}

#[test]
fn a_line_feed_that_starts_the_places_does_not_end_them() {
    let (mut client, _) = scripted(1, format!("{AT}\n{{}}\n\n"));
    let nearby = client.places_near("kiwi", Kilometers(1.0), 1).unwrap().unwrap();
    assert_eq!(nearby.places.as_bytes(), b"\n{}");
}

#[test]
fn replies_in_single_bytes_are_read_whole() {
    let replies = format!("{AT}{{\n\"results\": []\n}}\n\n? nonsense\n{AT}");
    let (address, _) = server(move |mut stream| {
        for byte in replies.as_bytes() {
            stream.write_all(&[*byte]).unwrap();
        }
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    let mut client = Client::connect(address, PATIENT).unwrap();
    for line in ["WHATSAT kiwi 1 1", "nonsense", "IAMAT kiwi +1+1 1"] {
        client.send(line).unwrap();
    }
    let Some(Reply::Nearby(nearby)) = client.receive().unwrap() else { panic!("no places") };
    assert_eq!(nearby.places.as_bytes(), b"{\n\"results\": []\n}");
    assert_eq!(client.receive().unwrap(), Some(invalid("nonsense")));
    is_at(&client.receive().unwrap().unwrap());
    assert_eq!(client.receive().unwrap(), None);
}

#[test]
fn a_command_that_is_not_valid_for_the_server_is_an_outcome_and_no_error() {
    let (mut client, _) = scripted(1, "? WHATSAT nobody 10 5\n");
    let outcome = client.places_near("nobody", Kilometers(10.0), 5).unwrap();
    assert_eq!(outcome, Err(Invalid(b"WHATSAT nobody 10 5".to_vec())));

    let (mut client, _) = scripted(1, "? IAMAT k +1+1 9000000000.000000000\n");
    let outcome = client.report("k", "+1+1", Nanos(9_000_000_000_000_000_000)).unwrap();
    assert!(outcome.unwrap_err().to_string().contains("IAMAT k"));
}

#[test]
fn a_line_of_any_bytes_can_be_asked() {
    for (line, sent_as) in
        [(&b"\xff\0 "[..], &b"\xff\0 \n"[..]), (b"", b"\n"), (b"x\n", b"x\n"), (b"x\r\n", b"x\r\n")]
    {
        let (mut client, sent) = scripted(1, [b"? ", sent_as].concat());
        assert_eq!(client.request(line).unwrap(), Some(invalid(&sent_as[..sent_as.len() - 1])));
        drop(client);
        assert_eq!(sent.join().unwrap(), sent_as);
    }
}
