//! The real binary: what it prints where, and how it ends.

use std::path::Path;
use std::process::{Command, Output};

fn herd(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_herd"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(args)
        .output()
        .expect("the binary is built with its tests")
}

/// Runs the binary, checks its exit code, and gives what is on stdout and stderr.
#[track_caller]
fn ends(args: &[&str], code: i32) -> (String, String) {
    let output = herd(args);
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
    (stdout, stderr)
}

#[test]
fn the_version_is_on_stdout() {
    let (stdout, stderr) = ends(&["--version"], 0);
    assert_eq!(stdout, concat!("herd ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(stderr, "");
}

#[test]
fn help_is_on_stdout_and_teaches_by_example() {
    for args in [
        &["--help"][..],
        &["up", "--help"],
        &["serve", "--help"],
        &["send", "--help"],
        &["check-conf", "--help"],
    ] {
        let (stdout, stderr) = ends(args, 0);
        assert!(stdout.starts_with("Usage: herd"), "{stdout}");
        assert!(stdout.contains("Examples:\n  herd "), "{stdout}");
        assert_eq!(stderr, "");
    }
}

#[test]
fn no_command_is_a_usage_error_that_shows_the_help() {
    let (stdout, stderr) = ends(&[], 1);
    assert_eq!(stdout, "");
    assert!(stderr.starts_with("Usage: herd"), "{stderr}");
}

#[test]
fn a_wrong_command_line_ends_with_1_and_says_where_help_is() {
    for args in [
        &["dance"][..],
        &["--conf=x", "up"],
        &["up", "--conf"],
        &["check-conf", "extra"],
        &["serve"],
        &["send"],
        &["send", "Alford", "--timeout", "soon"],
    ] {
        let (stdout, stderr) = ends(args, 1);
        assert_eq!(stdout, "");
        assert!(stderr.starts_with("herd: ") && stderr.contains("herd --help"), "{stderr}");
    }
}

#[test]
fn check_conf_shows_what_the_seed_conf_says() {
    let (stdout, stderr) = ends(&["check-conf"], 0);
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("logs");
    let expected = format!(
        "\
server    listen           links            link  neighbors
Alford    127.0.0.1:12000  127.0.0.1:13000  herd  Hamilton, Welsh
Ball      127.0.0.1:12001  127.0.0.1:13001  herd  Holiday, Welsh
Hamilton  127.0.0.1:12002  127.0.0.1:13002  herd  Alford, Holiday
Holiday   127.0.0.1:12003  127.0.0.1:13003  herd  Ball, Hamilton
Welsh     127.0.0.1:12004  127.0.0.1:13004  herd  Alford, Ball

pool    lots, at most 12000 connections
places  gazetteer
log     {} (level info, with traffic)

conf/herd.toml is valid
",
        logs.display()
    );
    assert_eq!((stdout.as_str(), stderr.as_str()), (expected.as_str(), ""));
}

#[test]
fn every_conf_file_that_comes_with_the_herd_is_valid() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let mut checked = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let (stdout, _) = ends(&["check-conf", "--conf", path.to_str().unwrap()], 0);
        assert!(stdout.ends_with(&format!("{} is valid\n", path.display())), "{stdout}");
        checked += 1;
    }
    assert!(checked >= 3, "{checked} files");
}

#[test]
fn a_wrong_conf_file_ends_with_2_and_one_line_on_stderr() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wrong.toml");
    std::fs::write(&path, "[[server]]\nname = \"A\"\nlisten = \"[::1]:1\"\nport = 5\n").unwrap();
    let path = path.to_str().unwrap();
    let (stdout, stderr) = ends(&["check-conf", "--conf", path], 2);
    assert_eq!(stdout, "");
    assert_eq!(
        stderr,
        format!(
            "herd: {path}:4: [[server]] port: unknown key; allowed are name, listen, links, \
             admin, neighbors, link\n"
        )
    );
}

#[test]
fn a_conf_file_that_is_not_there_ends_with_2() {
    let (stdout, stderr) = ends(&["check-conf", "--conf", "no/such.toml"], 2);
    assert_eq!(stdout, "");
    assert!(stderr.starts_with("herd: no/such.toml: cannot be read"), "{stderr}");
}
