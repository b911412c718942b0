//! A herd that does not start: why, what to do, and nothing is left of it.

use std::net::TcpListener;
use std::process::Output;

use crate::herd_up::*;

/// Runs `up` to its end.
fn output(conf: &Conf) -> (Output, String) {
    let mut child = conf.command().spawn().unwrap();
    ended(&mut child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    (output, said)
}

/// The conf has one address taken, which `up` names with its owner, key and remedy.
#[track_caller]
fn names_the_taken(key: &str, address: impl Fn(&Conf) -> std::net::SocketAddr) {
    let conf = Conf::new(&["Alford", "Ball"], "");
    let address = address(&conf);
    let taken = TcpListener::bind(address).unwrap();
    let (output, said) = output(&conf);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(output.stdout, b"");
    let expected = format!("herd: Ball cannot listen on {address}: the port is in use by ");
    let (_, rest) = said.split_once(&expected).unwrap_or_else(|| panic!("{said}"));
    let (name, rest) = rest.split_once(&format!(" (pid {})", std::process::id())).unwrap();
    let program = std::env::current_exe().unwrap();
    let program = program.file_name().unwrap().to_str().unwrap();
    assert!(!name.is_empty() && program.starts_with(name), "{name}");
    assert_eq!(
        rest.trim_end(),
        format!("; stop that, or change its `{key}` in {}", conf.path.display())
    );
    drop(taken);
    assert!(conf.is_free());
    assert!(!conf.dir.path().join("logs").exists(), "a server was started");
}

#[test]
fn a_port_in_use_is_named_with_its_owner_and_nothing_is_started() {
    names_the_taken("listen", |conf| conf.listen[1]);
    names_the_taken("links", |conf| conf.links[1]);
}

#[test]
fn a_wrong_conf_is_exit_code_2() {
    let conf = Conf::new(&["Alford", "Ball"], "[limits]\nline_timeout = 5\n");
    let (output, said) = output(&conf);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(output.stdout, b"");
    assert!(said.contains("line_timeout") && said.lines().count() == 1, "{said}");
    assert!(conf.is_free());
}

#[test]
fn a_log_directory_that_cannot_be_made_is_exit_code_4_and_nothing_is_left_running() {
    let conf = Conf::new(&["Alford", "Ball"], "[log]\ndir = \"my herd.toml\"\n");
    let (output, said) = output(&conf);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert_eq!(output.stdout, b"");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("herd: ") && last.contains("exited with code 4"), "{said}");
    assert!(last.contains("cannot make the log directory my herd.toml"), "{said}");
    assert!(conf.is_free());
}
