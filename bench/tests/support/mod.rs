//! What the tests of this crate share.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// True if a program is here and ends well with these words.
pub(crate) fn runs(program: &str, words: &[&str]) -> bool {
    Command::new(program).args(words).output().is_ok_and(|output| output.status.success())
}

/// True if Python 3.11 is here, with these packages.
pub(crate) fn has_python(packages: &str) -> bool {
    let script = format!("import sys, {packages}; sys.exit(sys.version_info < (3, 11))");
    python().is_some_and(|python| runs(&python, &["-c", &script]))
}

/// The one that `bench/variants/install` has set up, or else the one in PATH.
pub(crate) fn python() -> Option<String> {
    let installed = variant("../../target/variants/python/bin/python");
    let all = [installed.to_str()?.to_string(), "python3".to_string()];
    all.into_iter().find(|python| runs(python, &["--version"]))
}

/// True if Java is here, to build and to run.
pub(crate) fn has_java() -> bool {
    runs("javac", &["-version"]) && runs("java", &["-version"])
}

/// A file or directory of `bench/variants`.
pub(crate) fn variant(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("variants").join(path)
}
