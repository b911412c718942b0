//! What goes wrong, and what is refused.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use herd::client::{Client, ClientError, MAX_OUTSTANDING};
use herd::protocol::{Kilometers, Nanos};

use crate::stand_in::*;

#[test]
fn a_server_that_says_nothing_is_a_timeout() {
    let (address, _) = server(|mut stream| stream.read_to_end(&mut Vec::new()));
    let mut client = Client::connect(address, SHORT).unwrap();
    let error = client.request("x").unwrap_err();
    assert!(matches!(error, ClientError::ReadTimeout(SHORT)), "{error}");
}

#[test]
fn a_server_that_says_a_byte_now_and_then_is_a_timeout_too() {
    let (address, _) = server(|mut stream| {
        stream.set_read_timeout(Some(SHORT / 10)).unwrap();
        let mut byte = [0];
        // Each read of the silent client takes a tenth of its timeout.
        while stream.write_all(b"x").is_ok() {
            if let Ok(0) = stream.read(&mut byte) {
                return;
            }
        }
    });
    let mut client = Client::connect(address, SHORT).unwrap();
    let error = client.request("x").unwrap_err();
    assert!(matches!(error, ClientError::ReadTimeout(SHORT)), "{error}");
}

#[test]
fn a_server_that_takes_nothing_is_a_timeout() {
    let (release, held) = mpsc::channel::<()>();
    let (address, _) = server(move |_stream| held.recv());
    let mut client = Client::connect(address, SHORT).unwrap();
    let line = "x".repeat(1 << 20);
    let error = (0..MAX_OUTSTANDING).find_map(|_| client.send(&line).err()).unwrap();
    assert!(matches!(error, ClientError::WriteTimeout(SHORT)), "{error}");
    drop(release);
}

#[test]
fn a_line_that_is_half_sent_is_not_ended_by_the_end_of_the_connection() {
    let (release, held) = mpsc::channel::<()>();
    let (address, read) = server(move |mut stream| {
        held.recv().unwrap_err();
        let mut sent = Vec::new();
        stream.read_to_end(&mut sent).map(|_| sent)
    });
    let mut client = Client::connect(address, SHORT).unwrap();
    let line = "x".repeat((1 << 20) - 1);
    let error = (0..MAX_OUTSTANDING).find_map(|_| client.send(&line).err()).unwrap();
    assert!(matches!(error, ClientError::WriteTimeout(_)), "{error}");
    // Nor does another line go on where it stopped.
    client.send("y").unwrap();
    assert!(matches!(
        client.receive().unwrap_err(),
        ClientError::Io(_) | ClientError::ReadTimeout(_)
    ));
    drop(client);
    drop(release);
    // A server takes what stands before the end of the input as a line, and nothing else.
    if let Ok(sent) = read.join().unwrap() {
        panic!("an orderly end after {} bytes", sent.len());
    }
}

#[test]
fn a_sender_that_waits_for_room_is_freed_by_a_receiver_that_gave_up() {
    let (address, _) = server(|mut stream| stream.read_to_end(&mut Vec::new()));
    let (mut sender, mut receiver) = Client::connect(address, SHORT).unwrap().split();
    let (done, sent) = mpsc::channel();
    thread::spawn(move || done.send((0..=MAX_OUTSTANDING).try_for_each(|_| sender.send("x"))));
    let error = receiver.receive().unwrap_err();
    assert!(matches!(error, ClientError::ReadTimeout(_)), "{error}");
    // The receiver is still there.
    let sending = sent.recv_timeout(PATIENT).unwrap();
    assert!(matches!(sending, Err(ClientError::Io(_))), "{sending:?}");
    let error = receiver.receive().unwrap_err();
    let all = MAX_OUTSTANDING;
    assert!(
        matches!(error, ClientError::EndedEarly { unanswered } if unanswered == all),
        "{error}"
    );
}

#[test]
fn a_server_that_refuses_updates_for_ever_does_not_keep_a_call_waiting() {
    let (address, _) = server(|mut stream| while stream.write_all(b"? UPDATE a\n").is_ok() {});
    let mut client = Client::connect(address, PATIENT).unwrap();
    client.send("UPDATE a").unwrap();
    let error = client.report("kiwi", "+1+1", Nanos(1)).unwrap_err();
    assert!(matches!(&error, ClientError::Unexpected(line) if line == "? UPDATE a\n"), "{error}");
}

#[test]
fn after_a_failure_nothing_passes_for_an_orderly_end() {
    let mut client = cut_off(format!("{AT}{{"));
    client.send("WHATSAT kiwi 1 1").unwrap();
    assert!(matches!(client.receive().unwrap_err(), ClientError::CutShort(_)));
    let error = client.receive().unwrap_err();
    assert!(matches!(error, ClientError::EndedEarly { unanswered: 1 }), "{error}");

    let (mut sender, mut receiver) = cut_off("nonsense\n").split();
    sender.send("x").unwrap();
    sender.finish().unwrap();
    assert!(matches!(receiver.receive().unwrap_err(), ClientError::NotAReply(_)));
    let error = receiver.receive().unwrap_err();
    assert!(matches!(error, ClientError::EndedEarly { unanswered: 1 }), "{error}");
    assert_eq!((receiver.asked(), receiver.answered()), (1, 0));
}

#[test]
fn a_server_that_does_not_end_after_the_last_reply_is_a_timeout() {
    let (release, held) = mpsc::channel::<()>();
    let (address, _) = server(move |mut stream| {
        stream.write_all(b"? x\n").unwrap();
        held.recv()
    });
    let mut client = Client::connect(address, SHORT).unwrap();
    client.send("x").unwrap();
    let error = client.finish().unwrap_err();
    assert!(matches!(error, ClientError::ReadTimeout(_)), "{error}");
    drop(release);
}

#[test]
fn a_reply_cut_in_a_line_or_in_the_places_is_an_error_that_says_so() {
    for cut in ["AT Golo", &format!("{AT}{{\"results\""), &format!("{AT}{{}}\n")] {
        let error = cut_off(cut).request("WHATSAT kiwi 1 1").unwrap_err();
        assert!(matches!(error, ClientError::CutShort(n) if n == cut.len()), "{error}");
    }
}

#[test]
fn a_server_that_closes_early_is_an_error_that_counts_what_is_missing() {
    let mut client = cut_off(AT);
    for line in ["IAMAT a +1+1 1", "UPDATE x", "IAMAT b +1+1 1", "IAMAT c +1+1 1"] {
        client.send(line).unwrap();
    }
    is_at(&client.receive().unwrap().unwrap());
    let error = client.receive().unwrap_err();
    // Closing with unread input may reset the connection.
    assert!(
        matches!(error, ClientError::EndedEarly { unanswered: 2 } | ClientError::Io(_)),
        "{error}"
    );
}

#[test]
fn a_full_server_is_told_apart_from_a_line_that_is_not_valid() {
    let mut client = cut_off("? too many connections\n");
    let error = client.report("kiwi", "+1+1", Nanos(1)).unwrap_err();
    assert!(matches!(error, ClientError::TooManyConnections), "{error}");

    let (mut client, _) = scripted(1, "? too many connections\n");
    let reply = client.request("too many connections").unwrap();
    assert_eq!(reply, Some(invalid("too many connections")));
}

#[test]
fn a_server_that_is_full_and_reads_nothing_is_still_understood() {
    let (address, done) = server(|mut stream| {
        stream.write_all(b"? too many connections\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    let client = Client::connect(address, PATIENT).unwrap();
    let lines = (0..100).map(|n| format!("IAMAT client{n} +1+1 1"));
    let error = client.pipeline(lines, |reply| panic!("{reply:?}")).unwrap_err();
    assert!(matches!(error, ClientError::TooManyConnections), "{error}");
    done.join().unwrap();
}

#[test]
fn who_is_no_herd_server_is_found_out() {
    let error = cut_off("HTTP/1.1 400 Bad Request\r\n\r\n").request("x").unwrap_err();
    assert!(matches!(&error, ClientError::NotAReply(line) if line.starts_with("HTTP")), "{error}");
    let error = cut_off("AT what\n").request("IAMAT a +1+1 1").unwrap_err();
    assert!(matches!(error, ClientError::NotAReply(_)), "{error}");
    let (mut client, _) = scripted(1, "? x\n? y\n");
    client.send("x").unwrap();
    let error = client.finish().unwrap_err();
    assert!(matches!(&error, ClientError::Unexpected(line) if line == "? y\n"), "{error}");
}

#[test]
fn a_reply_without_end_is_an_error() {
    for start in ["? ", &format!("{AT}{{")] {
        let start = start.to_string();
        let (address, _) = server(move |mut stream| {
            stream.write_all(start.as_bytes()).unwrap();
            while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
        });
        let error =
            Client::connect(address, PATIENT).unwrap().request("WHATSAT a 1 1").unwrap_err();
        assert!(matches!(error, ClientError::ReplyTooLong), "{error}");
    }
}

#[test]
fn what_could_not_be_a_command_is_refused_before_anything_is_sent() {
    let (mut client, sent) = scripted(0, "");
    let long = "x".repeat(256);
    for name in ["", "a b", "a\nb", "a\r", "a\u{b}", &long] {
        let error = client.report(name, "+1+1", Nanos(1)).unwrap_err();
        assert!(matches!(error, ClientError::ClientName(_)), "{name:?}: {error}");
        let error = client.places_near(name, Kilometers(1.0), 1).unwrap_err();
        assert!(matches!(error, ClientError::ClientName(_)), "{name:?}: {error}");
    }
    for location in ["", "1+1", "+1+1 ", "+90.1+0", "+1+1\nIAMAT"] {
        let error = client.report("a", location, Nanos(1)).unwrap_err();
        assert!(matches!(error, ClientError::Location(_)), "{location:?}: {error}");
    }
    for time in [Nanos(-1), Nanos(i64::MIN)] {
        let error = client.report("a", "+1+1", time).unwrap_err();
        assert!(matches!(error, ClientError::Time(_)), "{error}");
    }
    for radius in [f64::NAN, f64::INFINITY, -0.1, 50.000_001] {
        let error = client.places_near("a", Kilometers(radius), 1).unwrap_err();
        assert!(matches!(error, ClientError::Radius(_)), "{error}");
    }
    let error = client.places_near("a", Kilometers(50.0), 21).unwrap_err();
    assert!(matches!(error, ClientError::Bound(21)), "{error}");
    let error = client.request("IAMAT a\nb").unwrap_err();
    assert!(matches!(error, ClientError::LineFeed), "{error}");
    let error = client.send("x".repeat((1 << 20) + 1)).unwrap_err();
    assert!(matches!(error, ClientError::CommandTooLong(_)), "{error}");
    assert_eq!(client.finish().unwrap(), []);
    assert_eq!(sent.join().unwrap(), b"");
}

#[test]
fn a_server_that_takes_one_command_a_connection_can_be_asked_that_one() {
    let mut client = cut_off(AT);
    client.report("kiwi", "+1+1", Nanos(1)).unwrap().unwrap();
    client.report("kiwi", "+1+1", Nanos(1)).unwrap_err();
}

#[test]
fn every_address_is_tried_and_named() {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (closed, other) = (free(), free());
    let error = Client::connect([closed, other].as_slice(), PATIENT).unwrap_err();
    let ClientError::Connect { tried, .. } = &error else { panic!("{error}") };
    assert_eq!(tried, &[closed, other]);
    assert!(error.to_string().contains(&format!("{closed}, {other}")), "{error}");

    let (open, _) = server(|mut stream| stream.read_to_end(&mut Vec::new()));
    Client::connect([closed, open].as_slice(), PATIENT).unwrap();
}

#[test]
fn a_connection_that_could_never_be_is_refused_with_a_remedy() {
    let error = Client::connect("127.0.0.1:1", Duration::ZERO).unwrap_err();
    assert!(matches!(error, ClientError::ZeroTimeout), "{error}");
    let error = Client::connect("127.0.0.1", PATIENT).unwrap_err();
    assert!(matches!(error, ClientError::Resolve(_)), "{error}");
    assert!(error.to_string().contains("HOST:PORT"), "{error}");
    let error = Client::connect([].as_slice(), PATIENT).unwrap_err();
    assert!(matches!(error, ClientError::NoAddress), "{error}");
}
