//! The real binary: what it prints where, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

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
        &["status", "--help"],
        &["check-conf", "--help"],
        &["keygen", "--help"],
        &["check", "--help"],
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
        &["status", "extra"],
        &["status", "--watch", "--interval", "0"],
        &["serve"],
        &["keygen"],
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
    let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let (key, dir) = new_key();
    let mut checked = 0;
    for entry in std::fs::read_dir(conf).unwrap() {
        // A key is made by who has a herd.
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let path = dir.path().join("herd.toml");
        std::fs::write(&path, text.replace("/etc/herd/herd.key", key.to_str().unwrap())).unwrap();
        let (stdout, _) = ends(&["check-conf", "--conf", path.to_str().unwrap()], 0);
        assert!(stdout.ends_with(&format!("{} is valid\n", path.display())), "{stdout}");
        checked += 1;
    }
    assert!(checked >= 3, "{checked} files");
}

/// A key file that `herd keygen` wrote, and its directory.
fn new_key() -> (PathBuf, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("herd.key");
    let (stdout, stderr) = ends(&["keygen", key.to_str().unwrap()], 0);
    assert!(stdout.starts_with(&format!("wrote a new key to {}", key.display())), "{stdout}");
    assert!(stdout.contains("next: bring it to every server"), "{stdout}");
    assert_eq!(stderr, "");
    (key, dir)
}

#[test]
fn a_key_is_for_its_owner_only_and_is_neither_shown_nor_overwritten() {
    let (key, dir) = new_key();
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&key).unwrap();
    let (stdout, stderr) = ends(&["keygen", key.to_str().unwrap()], 4);
    assert_eq!(stdout, "");
    assert!(stderr.contains("is there already, and a key is never overwritten"), "{stderr}");
    assert_eq!(std::fs::read_to_string(&key).unwrap(), text);
    let other = dir.path().join("other.key");
    let (stdout, _) = ends(&["keygen", other.to_str().unwrap()], 0);
    let of = |text: &str| text.lines().last().unwrap().to_owned();
    let other = of(&std::fs::read_to_string(other).unwrap());
    assert!(other != of(&text) && !stdout.contains(&other));
    let (_, stderr) = ends(&["keygen", "/no/such/place"], 4);
    assert!(stderr.contains("cannot write /no/such/place: "), "{stderr}");
}

/// A conf with this key file ends `check-conf`, `serve` and `up` with 2, and one line that says this.
#[track_caller]
fn check_key_refused(key: &Path, said: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("herd.toml");
    let text = format!(
        "[[server]]\nname = \"A\"\nlisten = \"127.0.0.1:0\"\n[links]\nkey_file = '{}'\n\
         [log]\ndir = '{}'\n",
        key.display(),
        dir.path().join("logs").display()
    );
    std::fs::write(&conf, text).unwrap();
    let conf = conf.to_str().unwrap();
    for command in [
        &["check-conf", "--conf", conf][..],
        &["serve", "A", "--conf", conf],
        &["up", "--conf", conf],
    ] {
        let (stdout, stderr) = ends(command, 2);
        assert_eq!((stdout.as_str(), stderr.lines().count()), ("", 1), "{stderr}");
        for part in ["herd: [links] key_file: ", key.to_str().unwrap()].iter().chain(said) {
            assert!(stderr.contains(part), "{part}: {stderr}");
        }
    }
    assert!(!dir.path().join("logs").exists(), "a server was started");
}

#[test]
fn a_key_file_that_is_not_there_or_open_to_others_or_no_key_file_ends_with_2() {
    let (key, dir) = new_key();
    check_key_refused(&dir.path().join("none.key"), &["cannot read", "herd keygen"]);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    check_key_refused(&key, &["(mode 640)", "chmod 600"]);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, "secret word\n").unwrap();
    check_key_refused(&key, &[":1: not a key"]);
}

#[test]
fn a_conf_with_a_key_and_a_server_that_can_have_none_ends_with_2() {
    let (key, dir) = new_key();
    for kind in ["plain", "one-shot"] {
        let conf = dir.path().join("herd.toml");
        let text = format!(
            "[[server]]\nname = \"A\"\nlisten = \"127.0.0.1:0\"\nneighbors = [\"B\"]\n\
             [[server]]\nname = \"B\"\nlisten = \"127.0.0.1:9\"\nlink = \"{kind}\"\n\
             [links]\nkey_file = '{}'\n",
            key.display()
        );
        std::fs::write(&conf, text).unwrap();
        let conf = conf.to_str().unwrap();
        for command in [&["check-conf", "--conf", conf][..], &["serve", "A", "--conf", conf]] {
            let (stdout, stderr) = ends(command, 2);
            assert_eq!(stdout, "");
            let said = format!("link: a server with link = \"{kind}\" has no key");
            assert!(stderr.contains(&said) && stderr.contains("take either away"), "{stderr}");
        }
    }
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
