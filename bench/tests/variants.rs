//! The variants' own tests pass, each in its language. What is not installed is named and skipped.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Command;

use support::{has_java, has_python, python, runs, variant};

mod support;

/// Runs the tests of a variant in its directory, if its runtime is here.
#[track_caller]
fn passes(is_here: bool, name: &str, command: &mut Command) {
    if !is_here {
        eprintln!("skipped, for want of its runtime: {name}");
        return;
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
}

fn within(program: impl AsRef<std::ffi::OsStr>, directory: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).current_dir(directory);
    command
}

#[test]
fn the_asyncio_variant_passes_its_tests() {
    let words = ["-m", "unittest", "discover", "-s", "tests"];
    let python = python().unwrap_or_default();
    passes(has_python("aiohttp"), "asyncio", &mut within(python, &variant("asyncio"), &words));
}

#[test]
fn the_node_variant_passes_its_tests() {
    let command = &mut within("node", &variant("node"), &["--test", "test/"]);
    passes(runs("node", &["--version"]), "node", command);
}

#[test]
fn the_go_variant_passes_its_tests() {
    passes(runs("go", &["version"]), "go", &mut within("go", &variant("go"), &["test", "./..."]));
}

#[test]
fn the_java_variant_passes_its_tests() {
    let directory = variant("java");
    passes(has_java(), "java", &mut within(directory.join("test"), &directory, &[]));
}
