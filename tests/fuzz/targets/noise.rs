//! A link with a key: whoever says something else than our handshake gets nowhere, on either side.
//!
//! Input: whose side it is said to (the first byte), and what is said.

#![no_main]

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use herd::flood::key::Keys;
use herd::flood::secure::Channel;
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("herd-fuzz-{}.key", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .expect("a directory for temporary files");
    file.write_all("07".repeat(32).as_bytes()).expect("room for a key");
    let keys = Keys::read(&path).expect("a key");
    std::fs::remove_file(&path).expect("it was just made");
    keys
});

fuzz_target!(|input: &[u8]| {
    let Some((side, said)) = input.split_first() else { return };
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    // All that a channel does with a socket goes with any stream.
    let ours = Arc::new(TcpStream::from(OwnedFd::from(ours)));
    // What does not fit the buffer would wait for a reader.
    (&theirs).write_all(&said[..said.len().min(16 * 1024)]).expect("room in the socket");
    theirs.shutdown(Shutdown::Write).expect("an open socket");
    let deadline = Instant::now() + Duration::from_secs(5);
    match side % 3 {
        0 => assert!(Channel::accept(ours, Some(&KEYS), deadline).is_err()),
        1 => assert!(Channel::dial(ours, Some(&KEYS), deadline).is_err()),
        _ => {
            if let Ok((mut channel, key)) = Channel::accept(ours, None, deadline) {
                assert!(key.is_none() && !channel.is_encrypted());
                if let Ok(line) = channel.read_hello(deadline) {
                    assert!(line.ends_with(b"\n") && said.starts_with(&line));
                }
            }
        }
    }
});
