//! `herd-bench counts` as it is typed: when it compares nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};

const RECORDED: &str = include_str!("../results/instructions.csv");

fn counts(baseline: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("instructions.csv");
    std::fs::write(&file, baseline).unwrap();
    let program = env!("CARGO_BIN_EXE_herd-bench");
    Command::new(program).args(["counts", "--baseline"]).arg(file).output().unwrap()
}

#[test]
fn counts_of_another_compiler_are_skipped_by_name() {
    let start = RECORDED.find("# rustc: ").unwrap();
    let end = start + RECORDED[start..].find('\n').unwrap();
    let output = counts(&RECORDED.replace(&RECORDED[start..end], "# rustc: 1.0.0"));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.starts_with("instruction counts: skipped: rustc 1."), "{said}");
    assert!(said.contains("is not the baseline's 1.0.0"), "{said}");
}

#[test]
fn a_baseline_that_is_none_is_an_error_with_its_line() {
    let output = counts("# rustc: 1.0.0\nparse-iamat: 400\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("line 2: \"parse-iamat: 400\" is no header and no count"), "{said}");
}
