//! How a value is read: each function takes what is allowed and gives a reader, whose error names
//! the offending value and what to write.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use toml::Value;

use super::error::{ConfigError, Source, with_commas};
use super::file::Setting;

/// One table of the file, for the messages about its keys.
pub(super) struct Table<'a> {
    pub(super) source: Source<'a>,
    /// `[pool] ` or `server "Ball": `: what stands before the key.
    pub(super) label: String,
}

impl Table<'_> {
    /// The value of a key, or `None` if the file does not have it.
    pub(super) fn read<T>(
        &self,
        key: &str,
        setting: &Setting,
        reader: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = setting else { return Ok(None) };
        reader(value.get_ref()).map(Some).map_err(|what| {
            self.source.refuse(value.span(), format!("{}{key}: {what}", self.label))
        })
    }
}

/// A whole number.
pub(super) fn number(allowed: RangeInclusive<u64>) -> impl FnOnce(&Value) -> Result<u64, String> {
    move |value| {
        let (least, most) = (*allowed.start(), *allowed.end());
        match value {
            Value::Integer(number) => u64::try_from(*number)
                .ok()
                .filter(|number| allowed.contains(number))
                .ok_or_else(|| out_of_range(value, least, most)),
            _ => Err(format!(
                "{} is no whole number; write one from {least} to {most}, without quotes",
                shown(value)
            )),
        }
    }
}

/// A whole number that counts things in memory.
pub(super) fn count(
    allowed: RangeInclusive<usize>,
) -> impl FnOnce(&Value) -> Result<usize, String> {
    let (least, most) = (*allowed.start() as u64, *allowed.end() as u64);
    move |value| number(least..=most)(value).map(|number| number as usize)
}

/// A string of a number and a unit: `"5s"`, `"250ms"`, `"1h 30m"`.
pub(super) fn duration(
    allowed: RangeInclusive<Duration>,
) -> impl FnOnce(&Value) -> Result<Duration, String> {
    move |value| {
        let (least, most) = (shown_duration(*allowed.start()), shown_duration(*allowed.end()));
        let text = match value {
            Value::String(text) if !text.trim().is_empty() => text.trim(),
            Value::Integer(_) | Value::Float(_) => return Err(no_unit(&value.to_string())),
            _ => {
                return Err(format!("{} is no duration; write one such as \"5s\"", shown(value)));
            }
        };
        // humantime takes "0" without a unit: here every duration has one.
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(no_unit(text));
        }
        let duration = humantime::parse_duration(text).map_err(|error| {
            format!(
                "{} is no duration ({error}); units are ms, s, m, h, d, as in \"500ms\" or \"5s\"",
                shown(value)
            )
        })?;
        if allowed.contains(&duration) {
            Ok(duration)
        } else {
            Err(out_of_range(value, least, most))
        }
    }
}

fn no_unit(number: &str) -> String {
    format!("{number} has no unit; write \"{number}s\" or \"{number}ms\"")
}

/// A size in bytes: a number, or a string with a unit: `"8KiB"`, `"64MB"`.
pub(super) fn size(allowed: RangeInclusive<u64>) -> impl FnOnce(&Value) -> Result<u64, String> {
    move |value| {
        let bytes = match value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(text) => text.trim().parse::<ByteSize>().ok().map(|size| size.as_u64()),
            _ => None,
        };
        match bytes {
            Some(bytes) if allowed.contains(&bytes) => Ok(bytes),
            None if !matches!(value, Value::Integer(_)) => Err(format!(
                "{} is no size; write bytes, such as 8192, or a unit, such as \"8KiB\" or \"64MiB\"",
                shown(value)
            )),
            _ => {
                let (least, most) = (ByteSize(*allowed.start()), ByteSize(*allowed.end()));
                Err(out_of_range(value, least, most))
            }
        }
    }
}

/// One of some words.
pub(super) fn one_of<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl FnOnce(&Value) -> Result<T, String> {
    move |value| {
        let word = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        word.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let allowed = with_commas(words.iter().map(|(word, _)| format!("\"{word}\"")));
            format!("{} is not known; allowed are {allowed}", shown(value))
        })
    }
}

/// `true` or `false`.
pub(super) fn truth(value: &Value) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| format!("{} is neither; write true or false, without quotes", shown(value)))
}

/// A string that is not empty.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Ok(text.clone()),
        Value::String(_) => Err("empty; write a value or leave the key out".to_string()),
        _ => Err(format!("{} is no string; write it in quotes", shown(value))),
    }
}

/// A value as the file has it, cut if it is long.
pub(super) fn shown(value: &Value) -> String {
    /// Characters of a value that a message shows: enough to recognize it, and still one line.
    const MOST_SHOWN: usize = 80;
    match value {
        Value::Array(_) => return "a list".to_string(),
        Value::Table(_) => return "a table".to_string(),
        _ => {}
    }
    let text = match value {
        Value::String(text) => format!("\"{}\"", text.escape_debug()),
        _ => value.to_string(),
    };
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn out_of_range(value: &Value, least: impl Display, most: impl Display) -> String {
    format!("{} is out of range; allowed is {least} to {most}", shown(value))
}

/// In the largest unit that it is a whole number of, as the file would have it.
fn shown_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.into_iter().find(|(unit, _)| millis >= *unit && millis % unit == 0) {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}
