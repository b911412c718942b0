//! Clients that misbehave, and another that is served throughout.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::embedded::{Embedded, in_each_mode};
use crate::talk::Talk;

/// Rude clients at a time: more than there are lots on the machines that this is tested on, so that
/// the witness shares its lot with one.
const AT_A_TIME: usize = 6;

/// Lets `rude` do its worst several times at once. Another client, which was there before, and one
/// that comes after have to be answered all along. What `rude` returns stays open until then.
#[track_caller]
fn check<T: Send>(rude: impl Fn(Talk) -> T + Sync) {
    in_each_mode(|mode| {
        let server = Embedded::start_logging(&mode.pool(""), "traffic = false");
        let address = server.address;
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let witness = scope.spawn(|| {
                let mut witness = Talk::to(address);
                while !is_over.load(Ordering::SeqCst) {
                    witness.report("witness");
                }
            });
            let rude: Vec<_> =
                (0..AT_A_TIME).map(|_| scope.spawn(|| rude(Talk::to(address)))).collect();
            let held: Vec<_> = rude.into_iter().map(thread::ScopedJoinHandle::join).collect();
            Talk::to(address).report("newcomer");
            is_over.store(true, Ordering::SeqCst);
            witness.join().unwrap();
            for one in held {
                one.unwrap();
            }
        });
    });
}

#[test]
fn a_client_in_the_middle_of_a_line_takes_nothing_from_others() {
    check(|mut talk| {
        talk.send("IAMAT half +1");
        talk
    });
}

#[test]
fn a_client_that_sends_byte_by_byte_takes_nothing_from_others() {
    check(|mut talk| {
        for byte in "IAMAT slow +1+1 1\n".repeat(50).as_bytes() {
            talk.send([*byte]);
        }
        for _ in 0..50 {
            assert!(talk.line().contains(" slow +1+1 1"));
        }
    });
}

#[test]
fn a_client_that_never_reads_takes_nothing_from_others() {
    check(|mut talk| {
        assert!(talk.pump(&b"IAMAT mute +1+1 1\n".repeat(1000)) > 256 * 1024);
        talk
    });
}

#[test]
fn a_client_that_reads_at_last_gets_every_reply_in_order() {
    check(|mut talk| {
        let lines: String = (0..2000).map(|number| format!("{number} {:0500}\n", 0)).collect();
        let sent = talk.pump(lines.as_bytes());
        talk.end();
        // The end of what the server took may have cut the last line, which is a line all the same.
        let sent: Vec<u8> = lines.bytes().cycle().take(sent).collect();
        let sent = String::from_utf8(sent).unwrap();
        let expected: String = sent.lines().map(|line| format!("? {line}\n")).collect();
        // Not assert_eq!, which would print megabytes.
        assert!(talk.rest() == expected);
    });
}

#[test]
fn megabytes_of_commands_in_one_go_are_answered_in_order_and_take_nothing_from_others() {
    const COMMANDS: usize = 40_000;
    check(|mut talk| {
        let commands: String =
            (0..COMMANDS).map(|number| format!("flood {number} {:060}\n", 0)).collect();
        let mut sending = talk.stream.try_clone().unwrap();
        let sender =
            thread::spawn(move || std::io::Write::write_all(&mut sending, commands.as_bytes()));
        for number in 0..COMMANDS {
            assert_eq!(talk.line(), format!("? flood {number} {:060}", 0));
        }
        sender.join().unwrap().unwrap();
    });
}

#[test]
fn a_client_that_goes_away_mid_line_takes_nothing_from_others() {
    check(|mut talk| {
        for _ in 0..20 {
            let mut gone = Talk::to(talk.stream.peer_addr().unwrap());
            gone.send("IAMAT gone +1+1 1\nIAMAT gone +2");
        }
        talk.report("stays");
    });
}

#[test]
fn a_client_that_resets_takes_nothing_from_others() {
    check(|mut talk| {
        for _ in 0..20 {
            let mut gone = Talk::to(talk.stream.peer_addr().unwrap());
            gone.send("WHATSAT stays 50 20\n".repeat(500) + "IAMAT gone");
            gone.reset();
        }
        talk.report("stays");
    });
}

#[test]
fn a_client_that_shuts_its_sending_side_gets_all_its_replies_and_takes_nothing_from_others() {
    check(|mut talk| {
        let commands: String = (0..5000).map(|number| format!("x {number}\n")).collect();
        talk.send(commands.trim_end());
        talk.end();
        let expected: String = (0..5000).map(|number| format!("? x {number}\n")).collect();
        assert_eq!(talk.rest(), expected);
    });
}

#[test]
fn a_client_that_asks_for_all_that_is_near_again_and_again_takes_nothing_from_others() {
    check(|mut talk| {
        talk.report("near");
        let mut sending = talk.stream.try_clone().unwrap();
        let commands = "WHATSAT near 50 20\n".repeat(1000);
        let sender =
            thread::spawn(move || std::io::Write::write_all(&mut sending, commands.as_bytes()));
        for _ in 0..1000 {
            assert!(talk.line().starts_with("AT "));
            talk.places();
        }
        sender.join().unwrap().unwrap();
    });
}

#[test]
fn a_client_with_little_room_gets_all_that_several_full_turns_answer() {
    const ASKED: usize = 3000;
    check(|mut talk| {
        talk.report("near");
        let mut narrow = Talk::with_little_room(talk.stream.peer_addr().unwrap());
        narrow.send("WHATSAT near 50 20\n".repeat(ASKED));
        narrow.end();
        // More than the sockets hold, so that the server waits for room between two turns.
        let replies = narrow.rest();
        assert!(replies.len() > 12_000_000, "{} bytes", replies.len());
        assert_eq!(replies.matches("\n\n").count(), ASKED);
    });
}

#[test]
fn megabytes_that_are_no_command_take_nothing_from_others() {
    check(|mut talk| {
        let mut random = fastrand::Rng::with_seed(7);
        let noise: Vec<u8> = (0..1 << 20).map(|_| random.u8(..)).collect();
        let mut sending = talk.stream.try_clone().unwrap();
        let sender = thread::spawn(move || {
            // A line over max_line ends the connection.
            let _ = std::io::Write::write_all(&mut sending, &noise);
            let _ = sending.shutdown(std::net::Shutdown::Write);
        });
        assert!(talk.rest_or_reset().starts_with(b"? "));
        sender.join().unwrap();
    });
}
