//! What a stopped server leaves in its process: no thread. A test crate of its own, since threads are
//! counted over the whole process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/talk.rs"]
mod talk;

use embedded::{Embedded, MODES};
use talk::{Talk, eventually};

/// How many threads of this process have this name.
fn named(name: &str) -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| {
        // It may have ended since it was listed.
        std::fs::read_to_string(thread.unwrap().path().join("comm")).ok()
    });
    names.filter(|one| one.trim() == name).count()
}

#[test]
fn a_stopped_server_leaves_no_thread_whatever_its_clients_do() {
    for mode in MODES {
        let server = Embedded::start(&mode.pool(""));
        let mut idle = Talk::to(server.address);
        idle.report("idle");
        // A thread takes its name once it runs.
        assert!(herd::threads::live() > 0 && named("worker") + named("pinned") > 0);
        let mut half = Talk::to(server.address);
        half.send("x\nIAMAT half");
        assert_eq!(half.line(), "? x");
        // It keeps its worker in the middle of a write, in the one mode.
        let mut mute = Talk::to(server.address);
        mute.pump(&b"IAMAT mute +1+1 1\n".repeat(1000));
        let log = server.stop();
        // A stop has its limit, and a busy machine may take longer.
        eventually("all threads have ended", || {
            herd::threads::live() + named("worker") + named("pinned") == 0
        });
        assert_eq!(half.rest_or_reset(), b"", "{mode:?}: half a line is no command");
        assert!(!log.contains(" half"), "{mode:?}: {log}");
        assert_eq!(log.matches(" opened\n").count(), 3, "{mode:?}");
        drop((idle, mute));
    }
}
