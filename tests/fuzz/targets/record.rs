//! Records from the disk: bytes are one only if their fields are such as an UPDATE says; then they are what
//! those fields make, and go on to the next server as any other.
//!
//! Input: the bytes that the store has of a client.

#![no_main]

use herd::protocol::Update;
use herd::protocol::reply::write_update;
use herd::records::{Merged, Record, Records};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(record) = Record::from_bytes(bytes) else { return };
    let fields = record.fields();
    assert_eq!(Record::new(&fields), record);
    let mut line = Vec::new();
    write_update(&fields, b"Hands", &mut line);
    let read = Update::parse(&line).expect("what we write is an UPDATE");
    assert_eq!(read.fields(), fields);
    let records = Records::default();
    assert_eq!(records.merge(&record), Merged::Stored { is_new: true });
    assert_eq!(records.merge(&Record::new(&read.fields())), Merged::Held(record.clone()));
    assert_eq!(records.get(record.client()), Some(record));
});
