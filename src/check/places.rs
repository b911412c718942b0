//! The shape of a places answer.

use serde_json::Value;

/// Checks that a JSON text has the shape of a Nearby Search response with at most `max` results,
/// and the status if one is asked for.
pub(super) fn check(json: &[u8], max: usize, status: Option<&str>) -> Result<(), String> {
    let value: Value =
        serde_json::from_slice(json).map_err(|error| format!("places are not JSON: {error}"))?;
    let array =
        |key: &str| value[key].as_array().ok_or_else(|| format!("places have no array `{key}`"));
    array("html_attributions")?;
    let results = array("results")?;
    if results.len() > max {
        return Err(format!("{} places, at most {max} are right", results.len()));
    }
    if !results.iter().all(Value::is_object) {
        return Err("a place that is not an object".into());
    }
    match (value["status"].as_str(), status) {
        (None, _) => Err("places have no status".into()),
        (Some(got), Some(status)) if got != status => {
            Err(format!("places have the status {got}, {status} is right"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = br#"{"html_attributions": [], "results": [{}, {"a": 1}], "status": "OK"}"#;

    #[test]
    fn the_number_of_results_is_bounded() {
        assert_eq!(check(TWO, 2, None), Ok(()));
        assert!(check(TWO, 1, None).is_err());
    }

    #[test]
    fn the_status_is_the_one_asked_for() {
        assert_eq!(check(TWO, 2, Some("OK")), Ok(()));
        assert!(check(TWO, 2, Some("ZERO_RESULTS")).is_err());
    }

    #[test]
    fn another_shape_is_refused() {
        for wrong in [
            "",
            "[]",
            "{}",
            "null",
            r#"{"html_attributions": [], "results": []}"#,
            r#"{"html_attributions": [], "results": {}, "status": "OK"}"#,
            r#"{"results": [], "status": "OK"}"#,
            r#"{"html_attributions": [], "results": [1], "status": "OK"}"#,
            r#"{"html_attributions": [], "results": [], "status": 1}"#,
            r#"{"html_attributions": [], "results": [], "status": "OK"} x"#,
        ] {
            assert!(check(wrong.as_bytes(), 20, None).is_err(), "{wrong}");
        }
    }
}
