//! Shapes of answers: at most so many results, or a failure in the same form.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Failure, Status};

/// A service's answer with at most `bound` results. What is not cut stays byte for byte, key
/// order, numbers and repeated keys included; nothing to cut: the text as it came.
///
/// # Errors
///
/// `UNKNOWN_ERROR` for what is not a JSON object, or has no array `results` or no string `status`.
pub fn shape(json: Vec<u8>, bound: u8) -> Result<Vec<u8>, Failure> {
    match cut(&json, usize::from(bound))? {
        Some(shorter) => Ok(shorter),
        None => Ok(json),
    }
}

/// What a client gets in place of places:
/// `{"html_attributions": [], "results": [], "status": "UNKNOWN_ERROR", "error_message": "..."}`
pub fn failure(failure: &Failure) -> Vec<u8> {
    let message = serde_json::Value::from(failure.message.as_str());
    let status = failure.status;
    format!(
        r#"{{"html_attributions": [], "results": [], "status": "{status}", "error_message": {message}}}"#
    )
    .into_bytes()
}

/// The answer of nobody (bound 0), and of a provider that found nothing.
pub fn none() -> Vec<u8> {
    br#"{"html_attributions": [], "results": [], "status": "ZERO_RESULTS"}"#.to_vec()
}

/// One result made from the answer of a service that has a shape of its own.
#[derive(Debug, Serialize)]
pub(super) struct Place<'a> {
    pub(super) geometry: Geometry<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) place_id: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) types: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vicinity: Option<Cow<'a, str>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Geometry<'a> {
    pub(super) location: LatLng<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct LatLng<'a> {
    pub(super) lat: Degrees<'a>,
    pub(super) lng: Degrees<'a>,
}

/// A JSON number, kept as it was written.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Degrees<'a> {
    text: &'a RawValue,
    #[serde(skip)]
    pub(super) value: f64,
}

impl<'de: 'a, 'a> Deserialize<'de> for Degrees<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?;
        let value = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        Ok(Self { text, value })
    }
}

/// These places in Google's shape.
pub(super) fn found(html_attributions: &[&str], results: &[Place<'_>]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Answer<'a> {
        html_attributions: &'a [&'a str],
        results: &'a [Place<'a>],
        status: &'static str,
    }
    if results.is_empty() {
        return none();
    }
    serde_json::to_vec(&Answer { html_attributions, results, status: "OK" })
        .expect("strings and numbers always make JSON")
}

/// Reads an answer that has to be an object: an array would do for serde, its items as the fields.
pub(super) fn object<'a, T: Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T, Failure> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let read = is_object.then(|| serde_json::from_slice(body).ok()).flatten();
    read.ok_or_else(|| misshapen(&format!("something that is not {what}")))
}

/// The failure of an answer that can't be understood.
pub(super) fn misshapen(what: &str) -> Failure {
    Failure {
        status: Status::UnknownError,
        message: format!("the places service answered with {what}"),
    }
}

/// The shorter text, if there is something to cut. Repeated `results` are cut alike.
fn cut(json: &[u8], bound: usize) -> Result<Option<Vec<u8>>, Failure> {
    let Ok(Object(members)) = serde_json::from_slice(json) else {
        return Err(misshapen("something that is not a JSON object"));
    };
    let (mut has_results, mut has_status, mut is_cut) = (false, false, false);
    let mut kept = Vec::new();
    for (key, value) in members {
        let mut text = Cow::Borrowed(value.get());
        match serde_json::from_str::<String>(key.get()).as_deref() {
            Ok("results") => {
                let results: Vec<&RawValue> = serde_json::from_str(value.get())
                    .map_err(|_| misshapen("results that are not an array"))?;
                has_results = true;
                if results.len() > bound {
                    is_cut = true;
                    let first: Vec<&str> = results[..bound].iter().map(|one| one.get()).collect();
                    text = Cow::Owned(format!("[{}]", first.join(", ")));
                }
            }
            Ok("status") => {
                serde_json::from_str::<String>(value.get())
                    .map_err(|_| misshapen("a status that is not a string"))?;
                has_status = true;
            }
            _ => {}
        }
        kept.push(format!("{}: {text}", key.get()));
    }
    if !has_results || !has_status {
        return Err(misshapen("an object without results or status"));
    }
    Ok(is_cut.then(|| format!("{{{}}}", kept.join(", ")).into_bytes()))
}

/// The members of an object in their order, repeated keys included; all as they were written.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, bound: u8, expected: &str) {
        let shaped = shape(json.as_bytes().to_vec(), bound).unwrap();
        assert_eq!(String::from_utf8(shaped).unwrap(), expected);
    }

    #[track_caller]
    fn check_refused(json: &[u8]) {
        let refused = shape(json.to_vec(), 20).unwrap_err();
        assert_eq!(refused.status, Status::UnknownError, "{refused}");
    }

    #[test]
    fn an_answer_within_the_bound_is_passed_on_byte_for_byte() {
        let json = "\n{\t\"z\" : 1.50E+007,\r\n \"results\":[ 1 ,\"\\u00e9\"] , \"status\":\"OK\",\"a\":{} } \n\n";
        check(json, 2, json);
        check(json, 20, json);
    }

    #[test]
    fn more_results_than_the_bound_are_cut_and_the_rest_keeps_its_order_and_numbers() {
        check(
            r#"{"z":-0.10e2,"results":[{"b":1.0,"a":34.068930000000000001},[2],3],"status":"OK","a":1E400}"#,
            2,
            r#"{"z": -0.10e2, "results": [{"b":1.0,"a":34.068930000000000001}, [2]], "status": "OK", "a": 1E400}"#,
        );
        check(r#"{"status":"OK","results":[1]}"#, 0, r#"{"status": "OK", "results": []}"#);
    }

    #[test]
    fn repeated_and_escaped_keys_are_kept_and_every_results_is_cut() {
        check(
            r#"{"results":[1,2],"a":1,"a":2,"resu\u006cts":[3,4],"status":"A","status":"B"}"#,
            1,
            r#"{"results": [1], "a": 1, "a": 2, "resu\u006cts": [3], "status": "A", "status": "B"}"#,
        );
    }

    #[test]
    fn what_is_not_an_answer_is_refused() {
        let wrong: [&[u8]; 14] = [
            b"",
            b"\n",
            b"<html>",
            b"[]",
            b"{}",
            b"null",
            br#"{"results":[]}"#,
            br#"{"status":"OK"}"#,
            br#"{"results":{},"status":"OK"}"#,
            br#"{"results":[],"status":1}"#,
            br#"{"results":[],"status":"OK"} x"#,
            br#"{"results":[],"status":"OK""#,
            br#"{"results":[1,],"status":"OK"}"#,
            b"{\"results\":[\"\xff\"],\"status\":\"OK\"}",
        ];
        for json in wrong {
            check_refused(json);
        }
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
        let json = format!(r#"{{"x":{deep},"results":[{deep},1],"status":"OK"}}"#);
        let expected = format!(r#"{{"x": {deep}, "results": [{deep}], "status": "OK"}}"#);
        assert_eq!(shape(json.into_bytes(), 1), Ok(expected.into_bytes()));
        check_refused("[".repeat(1 << 20).as_bytes());
        check_refused(r#"{"results":"#.repeat(1 << 18).as_bytes());
    }

    #[test]
    fn a_failure_has_googles_shape_and_its_message_is_escaped() {
        let message = "a \"b\" \\ \n\u{1} \u{e9}".to_owned();
        let json = failure(&Failure { status: Status::OverQueryLimit, message });
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"html_attributions": [], "results": [], "status": "OVER_QUERY_LIMIT", "error_message": "a \"b\" \\ \n\u0001 é"}"#,
        );
    }

    #[test]
    fn the_fixed_answers_are_answers() {
        let failed = Failure { status: Status::UnknownError, message: String::new() };
        for json in [none(), failure(&failed)] {
            assert_eq!(shape(json.clone(), 0), Ok(json));
        }
    }
}
