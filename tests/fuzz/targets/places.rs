//! Answers of places services: whatever an HTTP service sends, a client gets one JSON object in the
//! shape of a Nearby Search response, with at most as many results as asked for, that ends with its
//! first empty line.
//!
//! Input: which service, the bound, then the body of the answer.

#![no_main]

use std::fmt;

use herd::places::{Failure, Lookup, answer, google, overpass};
use herd::protocol::reply::write_places;
use herd::protocol::{Coordinates, Kilometers};
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

fuzz_target!(|data: &[u8]| {
    let &[service, bound, ref body @ ..] = data else { return };
    let center = Coordinates { latitude: 34.068_930, longitude: -118.445_127 };
    let lookup = Lookup { center, radius: Kilometers(10.0), bound: bound % 21 };
    // As the providers do with the body of an HTTP 200.
    let shaped = match service % 3 {
        0 => answer::shape(body.to_vec(), lookup.bound),
        1 => google::translate(body).and_then(|json| answer::shape(json, lookup.bound)),
        _ => overpass::translate(body, &lookup),
    };
    match shaped {
        Ok(json) => {
            check(&json, lookup.bound);
            assert_eq!(answer::shape(json.clone(), lookup.bound), Ok(json), "it is cut once");
        }
        Err(failure) => {
            // A message never repeats what the service said: it could hold the key.
            assert!(failure.message.len() < 100, "{}", failure.message);
            check(&answer::failure(&failure), 0);
            // One that does is still JSON.
            let message = String::from_utf8_lossy(body).into_owned();
            check(&answer::failure(&Failure { message, ..failure }), 0);
        }
    }
});

/// What a client gets of it is an answer, and says what `json` says.
fn check(json: &[u8], bound: u8) {
    let mut sent = Vec::new();
    write_places(json, &mut sent);
    let text = sent.strip_suffix(b"\n\n").expect("an empty line ends it");
    assert!(!text.starts_with(b"\n") && !text.ends_with(b"\n"));
    assert!(!text.windows(2).any(|two| two == b"\n\n"));
    let (whole, squeezed) = (members(json), members(text));
    let has = |name: &str| squeezed.iter().any(|(key, _)| key.as_deref() == Some(name));
    assert!(has("results") && has("status"));
    for (key, value) in &squeezed {
        if key.as_deref() == Some("results") {
            let results: Vec<&RawValue> =
                serde_json::from_str(value).expect("results are an array");
            assert!(results.len() <= usize::from(bound), "{}", results.len());
        }
    }
    // Only white space may have changed, which a string holds no raw LF of.
    let solid = |text: &str| text.replace('\n', "");
    assert!(
        whole
            .iter()
            .map(|(_, value)| solid(value))
            .eq(squeezed.iter().map(|(_, value)| solid(value)))
    );
}

/// The members of an object in their order, repeated keys too; a key that is no Unicode is `None`.
fn members(json: &[u8]) -> Vec<(Option<String>, String)> {
    let Object(members) = serde_json::from_slice(json).expect("a JSON object");
    members
        .into_iter()
        .map(|(key, value)| (serde_json::from_str(key.get()).ok(), value.get().to_owned()))
        .collect()
}

struct Object<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
