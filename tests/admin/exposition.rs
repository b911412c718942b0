//! A parser of Prometheus' text format (version 0.0.4) that takes nothing but what the format and good
//! manners allow.

use std::collections::{BTreeMap, BTreeSet};

/// The samples of a scrape, by name and labels.
#[derive(Debug)]
pub(crate) struct Scrape(BTreeMap<(String, BTreeMap<String, String>), f64>);

impl Scrape {
    /// Reads a whole scrape, and panics at what is wrong.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        try_parse(text).unwrap_or_else(|(line, what)| panic!("{what}: {line:?} in\n{text}"))
    }

    /// The value of a sample that is there: `herd_records`, `herd_link_up{neighbor="Ball"}`.
    #[track_caller]
    pub(crate) fn value(&self, sample: &str) -> f64 {
        let key = parse_series(sample).unwrap();
        *self.0.get(&key).unwrap_or_else(|| panic!("no {sample} in {self:#?}"))
    }

    /// The values of a label, over all samples.
    pub(crate) fn values_of(&self, label: &str) -> BTreeSet<&str> {
        self.0.keys().filter_map(|(_, labels)| Some(labels.get(label)?.as_str())).collect()
    }

    /// The labels that there are.
    pub(crate) fn labels(&self) -> BTreeSet<&str> {
        self.0.keys().flat_map(|(_, labels)| labels.keys().map(String::as_str)).collect()
    }
}

fn try_parse(text: &str) -> Result<Scrape, (String, &'static str)> {
    if !text.ends_with('\n') {
        return Err((String::new(), "the last line has no end"));
    }
    let mut samples = BTreeMap::new();
    let mut families = BTreeSet::new();
    // The family that is open: its name, and its type once that has come.
    let mut family: Option<(&str, Option<&str>)> = None;
    for line in text.lines() {
        let wrong = |what| Err((line.to_owned(), what));
        if let Some(help) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = help.split_once(' ') else { return wrong("no help") };
            if help.trim().is_empty() || !is_name(name) || !name.starts_with("herd_") {
                return wrong("a bad HELP");
            }
            if !families.insert(name) {
                return wrong("a family that was there");
            }
            family = Some((name, None));
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            match (kind.split_once(' '), family) {
                (Some((name, kind @ ("counter" | "gauge"))), Some((helped, None)))
                    if name == helped =>
                {
                    if (kind == "counter") != name.ends_with("_total") {
                        return wrong("a counter without _total, or a gauge with it");
                    }
                    family = Some((name, Some(kind)));
                }
                _ => return wrong("a bad TYPE"),
            }
        } else {
            let Some((series, value)) = line.rsplit_once(' ') else { return wrong("no value") };
            let Some(key) = parse_series(series) else { return wrong("a bad series") };
            let Ok(value) = value.parse::<f64>() else { return wrong("a bad value") };
            match family {
                Some((name, Some(_))) if name == key.0 => {}
                _ => return wrong("a sample outside its family"),
            }
            if !value.is_finite() || value < 0.0 {
                return wrong("a value that nothing here can have");
            }
            if samples.insert(key, value).is_some() {
                return wrong("a series twice");
            }
        }
    }
    Ok(Scrape(samples))
}

/// `name` or `name{label="value",...}`
fn parse_series(text: &str) -> Option<(String, BTreeMap<String, String>)> {
    let Some((name, rest)) = text.split_once('{') else {
        return is_name(text).then(|| (text.to_owned(), BTreeMap::new()));
    };
    let mut rest = rest.strip_suffix('}')?;
    let mut labels = BTreeMap::new();
    while !rest.is_empty() {
        let (label, quoted) = rest.split_once("=\"")?;
        // No value of ours has a character that would be escaped.
        let (value, behind) = quoted.split_once('"')?;
        let is_new = labels.insert(label.to_owned(), value.to_owned()).is_none();
        if !is_name(label) || label.contains(':') || value.contains('\\') || !is_new {
            return None;
        }
        rest = match behind.strip_prefix(',') {
            Some(more) if !more.is_empty() => more,
            None if behind.is_empty() => behind,
            _ => return None,
        };
    }
    (is_name(name) && !labels.is_empty()).then(|| (name.to_owned(), labels))
}

fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

#[test]
fn the_parser_takes_what_is_right_and_nothing_else() {
    let family =
        |samples: &str| format!("# HELP herd_x_total X\n# TYPE herd_x_total counter\n{samples}");
    let right = family("herd_x_total{a=\"b\",c=\"d\"} 3\nherd_x_total{a=\"c\"} 1.5\n");
    let scrape = Scrape::parse(&right);
    assert_eq!(scrape.value("herd_x_total{a=\"b\",c=\"d\"}").to_bits(), 3_f64.to_bits());
    for wrong in [
        family("herd_x_total 3"),
        family("herd_y_total 3\n"),
        family("herd_x_total 3\nherd_x_total 3\n"),
        family("herd_x_total{} 3\n"),
        family("herd_x_total{a=\"b\",} 3\n"),
        family("herd_x_total{a=b} 3\n"),
        family("herd_x_total -1\n"),
        family("herd_x_total NaN\n"),
        family("herd_x_total three\n"),
        family("\n"),
        family("") + &family(""),
        "herd_x 3\n".to_owned(),
        "# HELP herd_x X\n# TYPE herd_x counter\nherd_x 3\n".to_owned(),
        "# TYPE herd_x gauge\nherd_x 3\n".to_owned(),
    ] {
        assert!(try_parse(&wrong).is_err(), "{wrong}");
    }
}
