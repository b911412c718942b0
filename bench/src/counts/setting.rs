//! What counts depend on beside the source: where it is another, they are not to be compared.

use std::process::Command;

use super::baseline::Baseline;
use crate::machine;

/// The tools and the processor, by name; `None` where that can't be told.
pub(super) struct Setting([(&'static str, Option<String>); 4]);

impl Setting {
    /// That of this machine. The compiler is the one that `cargo run` has just built this with.
    pub(super) fn of_this_machine() -> Self {
        Self([
            ("rustc", said("rustc", "-vV").as_deref().and_then(rustc)),
            ("valgrind", said("valgrind", "--version").as_deref().and_then(last_word)),
            // Has the copies and comparisons of bytes, in variants for each kind of processor.
            ("libc", said("getconf", "GNU_LIBC_VERSION").as_deref().and_then(last_word)),
            ("processor", machine::processor()),
        ])
    }

    /// All that is known.
    pub(super) fn known(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)))
    }

    /// The first that can't be told.
    pub(super) fn unknown(&self) -> Option<&'static str> {
        self.0.iter().find(|(_, value)| value.is_none()).map(|(name, _)| *name)
    }

    /// The first of which the baseline does not say what it was recorded with.
    pub(super) fn not_recorded(&self, baseline: &Baseline) -> Option<&'static str> {
        self.0.iter().map(|(name, _)| *name).find(|name| baseline.header(name).is_none())
    }

    /// Where it is not that of the baseline, in words.
    pub(super) fn differences(&self, baseline: &Baseline) -> Vec<String> {
        let difference = |(name, value): &(&str, Option<String>)| {
            let recorded = baseline.header(name).unwrap_or_default();
            match value.as_deref() {
                Some(value) if value == recorded => None,
                Some(value) => Some(format!("{name} {value} is not the baseline's {recorded}")),
                None => Some(format!("no {name} is found, and the baseline's is {recorded}")),
            }
        };
        self.0.iter().filter_map(difference).collect()
    }
}

/// What a program says, if it is here.
fn said(program: &str, word: &str) -> Option<String> {
    let output = Command::new(program).arg(word).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `1.95.0 (59807616e 2026-04-14) for x86_64-unknown-linux-gnu`
fn rustc(said: &str) -> Option<String> {
    let after = |start: &str| said.lines().find_map(|line| line.strip_prefix(start));
    Some(format!("{} for {}", after("rustc ")?, after("host: ")?))
}

/// `3.19.0` of `valgrind-3.19.0`, `2.36` of `glibc 2.36`.
fn last_word(said: &str) -> Option<String> {
    said.trim().rsplit(['-', ' ']).next().map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(rustc: &str, valgrind: Option<&str>) -> Setting {
        let [rustc, libc, processor] = [rustc, "2.36", "AMD EPYC"].map(|value| Some(value.into()));
        Setting([
            ("rustc", rustc),
            ("valgrind", valgrind.map(str::to_string)),
            ("libc", libc),
            ("processor", processor),
        ])
    }

    #[track_caller]
    fn check(here: &Setting, differences: &[&str]) {
        let text =
            super::super::baseline::text("2026-11-28", &setting("1.95.0", Some("3.19.0")), &[]);
        assert_eq!(here.differences(&Baseline::parse(&text).unwrap()), differences);
    }

    #[test]
    fn what_is_not_as_recorded_is_named() {
        check(&setting("1.95.0", Some("3.19.0")), &[]);
        check(&setting("1.96.0", Some("3.19.0")), &["rustc 1.96.0 is not the baseline's 1.95.0"]);
        check(&setting("1.95.0", None), &["no valgrind is found, and the baseline's is 3.19.0"]);
        assert_eq!(setting("1.95.0", None).unknown(), Some("valgrind"));
    }

    #[test]
    fn versions_are_read_off_what_programs_say() {
        let said =
            "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n";
        let read = rustc(said);
        assert_eq!(
            read.as_deref(),
            Some("1.95.0 (59807616e 2026-04-14) for x86_64-unknown-linux-gnu")
        );
        assert_eq!(last_word("valgrind-3.19.0\n").as_deref(), Some("3.19.0"));
        assert_eq!(last_word("glibc 2.36\n").as_deref(), Some("2.36"));
    }
}
