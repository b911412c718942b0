//! The first line on a link: what is taken for a HELLO is one, and is written as it was read.
//!
//! Input: a line.

#![no_main]

use std::time::Duration;

use herd::flood::handshake::{HelloError, Lifetime, MAX_HELLO_BYTES, OLDEST_VERSION, VERSION};
use herd::flood::{Hello, Instance};
use herd::protocol::fields;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let words: Vec<&[u8]> = fields(line).collect();
    let number = |at: usize| std::str::from_utf8(words[at]).ok().and_then(|word| word.parse().ok());
    match Hello::parse(line) {
        Ok(hello) => {
            assert_eq!((words[0], words[1]), (&b"HELLO"[..], hello.name.as_bytes()));
            assert_eq!(number(2), Some(hello.version));
            assert!((OLDEST_VERSION..=VERSION).contains(&hello.version));
            let written = hello.line();
            assert!(written.len() <= MAX_HELLO_BYTES && written.ends_with(b"\n"));
            assert_eq!(Hello::parse(&written), Ok(hello.clone()));
            let later = [written.trim_ascii_end(), b" a-later-field\n"].concat();
            assert_eq!(Hello::parse(&later), Ok(hello));
        }
        Err(HelloError::Version(version)) => {
            assert_eq!((words[0], number(2)), (&b"HELLO"[..], Some(version)));
            assert!(!(OLDEST_VERSION..=VERSION).contains(&version));
        }
        Err(HelloError::NotHello) => {
            // With the version mended and nothing else it must not become one of ours.
            let is_shaped = words.len() >= 4
                && words[0] == b"HELLO"
                && herd::protocol::ServerName::parse(words[1]).is_some()
                && words[2] == VERSION.to_string().as_bytes();
            let instance = words.get(3).copied().unwrap_or_default();
            let is_instance =
                (1..=16).contains(&instance.len()) && instance.iter().all(u8::is_ascii_hexdigit);
            assert!(!(is_shaped && is_instance), "{}", line.escape_ascii());
        }
    }
    // Where it comes from is random, so any instance must do.
    if let Some(bytes) = line.first_chunk::<8>() {
        let name = herd::protocol::ServerName::parse(b"Goloman").expect("a name");
        let instance = Instance(u64::from_le_bytes(*bytes));
        let after = u64::from(line[0]) << (line[1] % 57);
        for expire_after in
            [Lifetime::Unsaid, Lifetime::Unlimited, Lifetime::Limited(Duration::from_secs(after))]
        {
            let hello = Hello { name: name.clone(), version: VERSION, instance, expire_after };
            assert_eq!(Hello::parse(&hello.line()), Ok(hello));
        }
    }
});
