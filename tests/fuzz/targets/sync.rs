//! Digests on links: a line is a message exactly if it is what that message is written as, and reading
//! costs no more than the longest of them.
//!
//! Input: a line, which from 8 bytes on is also what a message is made of.

#![no_main]

use herd::flood::sync::{Level, MAX_SYNC_LINE, Message, begins};
use herd::records::digest::{Digest, SHARDS};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    if let Some(message) = Message::parse(line) {
        assert!(begins(line) && line.len() <= MAX_SYNC_LINE);
        assert_eq!(write(&message).escape_ascii().to_string(), line.escape_ascii().to_string());
    }
    let Some(number) = line.first_chunk::<8>().copied().map(u64::from_le_bytes) else { return };
    // Digests of what the input says, each from another byte of it on.
    let digests = || -> Level {
        Box::new(std::array::from_fn(|at| {
            let mut bytes = [0; 16];
            line.iter()
                .cycle()
                .skip(at % line.len())
                .zip(&mut bytes)
                .for_each(|(byte, to)| *to = *byte);
            Digest(u128::from_le_bytes(bytes))
        }))
    };
    let message = match line[line.len() - 1] % 8 {
        0 => Message::Digests(digests()),
        1 => Message::Buckets { shard: usize::from(line[0]) % SHARDS, digests: digests() },
        2..5 => Message::Repair(number),
        _ => Message::Repaired(number),
    };
    let written = write(&message);
    assert!(begins(&written) && written.len() <= MAX_SYNC_LINE && !written.contains(&b'\n'));
    assert_eq!(Message::parse(&written), Some(message));
});

fn write(message: &Message) -> Vec<u8> {
    let mut line = Vec::new();
    message.write(&mut line);
    assert_eq!(line.pop(), Some(b'\n'));
    line
}
