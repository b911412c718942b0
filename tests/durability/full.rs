//! A disk without room: a file system of a few MiB in memory, where this user may mount one.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kept::{Kept, kill, refused, time_of};
use crate::talk::{Talk, eventually};

/// A small file system, unmounted when this is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, said so, where mounting is not allowed.
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "herd-test"]).arg(at);
        let is_mounted = mount.status().is_ok_and(|status| status.success());
        if !is_mounted {
            eprintln!("left out: this user may not mount a small file system");
            return None;
        }
        Some(Self(at.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut file = File::create(self.0.join("ballast")).unwrap();
        let mut piece = 1 << 20;
        while piece > 0 {
            if file.write_all(&vec![1; piece]).is_err() {
                piece /= 2;
            }
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A server on a small disk.
fn on_small_disk(data: &str) -> Option<(Kept, SmallDisk)> {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("disk");
    let disk = SmallDisk::mount(&at)?;
    Some((Kept::keeping_at(dir, at, data), disk))
}

#[test]
fn on_a_full_disk_serving_goes_on_and_writing_resumes_when_there_is_room() {
    let Some((kept, disk)) = on_small_disk("interval = \"50ms\"") else { return };
    let server = kept.start();
    let mut talk = Talk::to(server.addr);
    talk.ask("IAMAT first +1+1 1");
    disk.fill();
    // More than what the file system has set aside for the journal.
    let mut number = 0;
    eventually("the log tells of it", || {
        for _ in 0..1000 {
            number += 1;
            assert!(talk.ask(&format!("IAMAT c{number} +1+1 {number}")).starts_with("AT "));
        }
        kept.log().contains("cannot write the store")
    });
    assert_eq!(time_of(&mut talk, "c1"), Some(1), "serving goes on");
    disk.make_room();
    eventually("it is written again", || kept.log().contains("the store is written again"));
    kill(server);
    let server = kept.start();
    let mut talk = Talk::to(server.addr);
    for (client, time) in [("first", 1), ("c1", 1), (format!("c{number}").as_str(), number)] {
        assert_eq!(time_of(&mut talk, client), Some(time), "{client}");
    }
    drop(server);
}

#[test]
fn with_always_a_full_disk_makes_replies_denials_until_there_is_room() {
    let data = "durability = \"always\"\ncommit_timeout = \"200ms\"";
    let Some((kept, disk)) = on_small_disk(data) else { return };
    let server = kept.start();
    let mut talk = Talk::to(server.addr);
    disk.fill();
    let mut number = 0;
    let mut denied = String::new();
    eventually("a report is denied", || {
        number += 1;
        let client = format!("{}{number}", "c".repeat(200));
        denied = format!("IAMAT {client} +1+1 {number}");
        talk.ask(&denied) == format!("? {denied}")
    });
    assert_eq!(talk.ask("x"), "? x", "others are answered");
    disk.make_room();
    eventually("the same report is taken", || talk.ask(&denied).starts_with("AT "));
    kill(server);
    let server = kept.start();
    let client = denied.split(' ').nth(1).unwrap();
    assert_eq!(time_of(&mut Talk::to(server.addr), client), Some(number));
    drop(server);
}

#[test]
fn a_start_without_room_ends_and_leaves_the_store_as_it_was() {
    let Some((kept, disk)) = on_small_disk("") else { return };
    disk.fill();
    let (code, said) = refused(&kept.conf());
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("room on its disk"), "{said}");
    assert!(!kept.store().exists());
    disk.make_room();
    let server = kept.start();
    Talk::to(server.addr).ask("IAMAT kiwi +1+1 1");
    crate::kept::stop(server);
    // With a store it may start or not, but it loses nothing.
    disk.fill();
    if let Ok(server) = crate::process::Process::start(crate::kept::NAME, &kept.conf()) {
        kill(server);
    }
    disk.make_room();
    let server = kept.start();
    assert_eq!(time_of(&mut Talk::to(server.addr), "kiwi"), Some(1));
    drop(server);
}
