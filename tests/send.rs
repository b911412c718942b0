//! `herd send`, the program, against scripted stand-ins for a server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread::{self, JoinHandle};

const AT: &str = "AT Goloman +0.263873386 kiwi +34.068930-118.445127 1479413884.392014450\n";

/// A server of one connection.
fn server<T: Send + 'static>(
    script: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, thread::spawn(move || script(listener.accept().unwrap().0)))
}

/// A server that answers each line with what `reply` makes of it, to the end of the input or of so
/// many replies.
fn answering(
    most: usize,
    reply: impl Fn(&[u8]) -> Vec<u8> + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    server(move |mut stream| {
        let mut input = BufReader::new(stream.try_clone().unwrap());
        let mut line = Vec::new();
        for _ in 0..most {
            line.clear();
            if input.read_until(b'\n', &mut line).unwrap() == 0 {
                return;
            }
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            if stream.write_all(&reply(line)).is_err() {
                return;
            }
        }
        let _ = stream.shutdown(Shutdown::Write);
        let _ = input.read_to_end(&mut line);
    })
}

fn echo(line: &[u8]) -> Vec<u8> {
    [b"? ", line, b"\n"].concat()
}

fn at(_: &[u8]) -> Vec<u8> {
    AT.into()
}

fn herd(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herd"));
    command.arg("send").args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `herd send` with an input.
fn send(words: &[&str], input: impl Into<Vec<u8>>) -> Output {
    let input = input.into();
    let mut child = herd(words).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that stops reading early breaks the pipe.
    let feeding = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    output
}

#[track_caller]
fn check(output: &Output, code: i32, stdout: impl AsRef<[u8]>, stderr: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(stdout.as_ref()));
    assert!(said.contains(stderr) && said.is_empty() == stderr.is_empty(), "{said}");
}

#[test]
fn the_words_of_a_command_are_sent_as_one_line() {
    let (address, sent) = server(|mut stream| {
        let mut sent = String::new();
        stream.read_to_string(&mut sent).unwrap();
        stream.write_all(AT.as_bytes()).unwrap();
        sent
    });
    let words = [&address.to_string(), "IAMAT", "kiwi", "-34.068930+118.445127", "1"];
    check(&send(&words, ""), 0, AT, "");
    assert_eq!(sent.join().unwrap(), "IAMAT kiwi -34.068930+118.445127 1\n");
}

#[test]
fn every_line_of_the_input_is_sent_and_every_reply_printed_as_it_came() {
    let (address, _) = answering(usize::MAX, |line| match line {
        b"WHATSAT kiwi 1 1" => format!("{AT}{{\n\"a\": 1\n}}\n\n").into(),
        b"IAMAT \xff +1+1 1" => AT.into(),
        line => echo(line),
    });
    let output = send(&[&address.to_string()], b"WHATSAT kiwi 1 1\nIAMAT \xff +1+1 1\n\n\xfe\r\n");
    let expected =
        [AT.as_bytes(), b"{\n\"a\": 1\n}\n\n", AT.as_bytes(), b"? \n? \xfe\r\n"].concat();
    check(&output, 5, expected, "");
}

#[test]
fn a_last_line_without_a_line_feed_is_sent_as_it_is() {
    let (address, sent) = server(|mut stream| {
        let mut sent = Vec::new();
        stream.read_to_end(&mut sent).unwrap();
        stream.write_all(format!("{AT}{AT}").as_bytes()).unwrap();
        sent
    });
    check(&send(&[&address.to_string()], "IAMAT a\nIAMAT b"), 0, format!("{AT}{AT}"), "");
    assert_eq!(sent.join().unwrap(), b"IAMAT a\nIAMAT b");
}

#[test]
fn an_input_of_nothing_is_all_answered() {
    let (address, _) = answering(usize::MAX, echo);
    check(&send(&[&address.to_string()], ""), 0, "", "");
}

#[test]
fn a_large_input_goes_through() {
    let (address, _) = answering(usize::MAX, at);
    let lines = "IAMAT kiwi +34.068930-118.445127 1479413884.392014450\n".repeat(50_000);
    check(&send(&[&address.to_string()], lines), 0, AT.repeat(50_000), "");
}

#[test]
fn a_reply_is_printed_before_the_next_line_is_read() {
    let (address, _) = answering(usize::MAX, at);
    let mut child = herd(&[&address.to_string()]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..3 {
        stdin.write_all(b"IAMAT a +1+1 1\n").unwrap();
        let mut reply = String::new();
        stdout.read_line(&mut reply).unwrap();
        assert_eq!(reply, AT);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_server_is_found_by_its_name_in_the_conf() {
    let (address, _) = answering(usize::MAX, at);
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("my herd.toml");
    std::fs::write(&conf, format!("[[server]]\nname = \"Solo\"\nlisten = \"{address}\"\n"))
        .unwrap();
    let conf = conf.to_str().unwrap();
    check(&send(&["Solo", "IAMAT", "a", "+1+1", "1", "--conf", conf], ""), 0, AT, "");
    check(&send(&["Nobody", "--conf", conf], ""), 1, "", "servers are Solo; or give HOST:PORT");
}

#[test]
fn a_server_that_is_not_there_is_exit_code_4() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    check(&send(&[&address.to_string(), "x"], ""), 4, "", "is the server running there?");
}

#[test]
fn a_server_that_ends_early_is_exit_code_4_with_the_count() {
    let (address, _) = answering(1, at);
    let output = send(&[&address.to_string()], "IAMAT a\nIAMAT b\nIAMAT c\n");
    check(&output, 4, AT, "(1 of the 3 commands sent were answered)");
}

#[test]
fn a_server_that_says_nothing_is_exit_code_4() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (address, _) = server(move |_stream| held.recv());
    let output = send(&[&address.to_string(), "--timeout", "0.05", "x"], "");
    check(&output, 4, "", "try a longer timeout");
    drop(release);
}

#[test]
fn a_server_that_takes_one_command_a_connection_answers_an_input_of_one() {
    let (address, _) = answering(1, at);
    check(&send(&[&address.to_string()], "IAMAT a\n"), 0, AT, "");
}

#[test]
fn a_full_server_is_exit_code_4() {
    let (address, _) = answering(1, |_| b"? too many connections\n".into());
    let output = send(&[&address.to_string(), "IAMAT a"], "");
    check(&output, 4, "", "too many connections");
}

#[test]
fn a_line_too_long_to_send_is_said_so() {
    let (address, _) = answering(usize::MAX, at);
    let output = send(&[&address.to_string()], "x".repeat(2 << 20));
    check(&output, 4, "", "too long");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (address, _) = answering(usize::MAX, at);
    let mut child = herd(&[&address.to_string()]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeding = thread::spawn(move || while stdin.write_all(b"IAMAT a +1+1 1\n").is_ok() {});
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    check(&child.wait_with_output().unwrap(), 0, "", "");
    feeding.join().unwrap();
}
