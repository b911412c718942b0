//! Many commands at once, and which reply is whose.

use std::io::{BufRead, BufReader, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use herd::client::{Client, ClientError, MAX_OUTSTANDING, Reply};
use herd::protocol::Nanos;

use crate::stand_in::*;

#[test]
fn replies_to_several_commands_in_one_packet_are_told_apart() {
    let replies = format!("{AT}{AT}{{}}\n\n? x\r\n{AT}");
    let (mut client, _) = scripted(4, replies);
    for line in ["IAMAT a +1+1 1", "\t WHATSAT a 1 1", "x\r", "IAMAT a +1+1 1"] {
        client.send(line).unwrap();
    }
    let replies = client.finish().unwrap();
    assert_eq!(replies.len(), 4);
    is_at(&replies[0]);
    assert!(matches!(replies[1], Reply::Nearby(_)));
    assert_eq!(replies[2], invalid("x\r"));
    is_at(&replies[3]);
}

#[test]
fn accepted_updates_have_no_reply_and_refused_ones_have_theirs_in_place() {
    let (mut client, _) = scripted(6, format!("{AT}? UPDATE b\n? nonsense\n? UPDATE c\n"));
    for line in ["UPDATE a", "IAMAT kiwi +1+1 1", "UPDATE b", "UPDATE d", "nonsense", "UPDATE c"] {
        client.send(line).unwrap();
    }
    let replies = client.finish().unwrap();
    is_at(&replies[0]);
    assert_eq!(replies[1..], [invalid("UPDATE b"), invalid("nonsense"), invalid("UPDATE c")]);
}

#[test]
fn more_updates_than_commands_may_be_outstanding_are_accepted_in_silence() {
    let (client, sent) = scripted(0, "");
    let updates = (0..3 * MAX_OUTSTANDING).map(|n| format!("UPDATE {n}"));
    client.pipeline(updates, |reply| panic!("{reply:?}")).unwrap();
    assert_eq!(sent.join().unwrap().split(|&byte| byte == b'\n').count(), 3 * MAX_OUTSTANDING + 1);
}

#[test]
fn a_refused_update_does_not_pass_for_the_reply_of_a_later_call() {
    let (mut client, _) = scripted(2, format!("? UPDATE a\n{AT}"));
    assert_eq!(client.request("UPDATE a").unwrap(), None);
    client.report("kiwi", "+1+1", Nanos(1)).unwrap().unwrap();
    assert_eq!(client.receive().unwrap(), Some(invalid("UPDATE a")));
    assert_eq!(client.receive().unwrap(), None);
}

#[test]
fn ten_thousand_commands_go_through_a_server_that_never_reads_while_it_writes() {
    let (address, _) = server(|mut stream| {
        let mut input = BufReader::new(stream.try_clone().unwrap());
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).unwrap() > 0 {
            let places = format!("{AT}{{\"pad\": \"{}\"}}\n\n", "x".repeat(2000));
            stream.write_all(places.as_bytes()).unwrap();
            line.clear();
        }
    });
    let client = Client::connect(address, PATIENT).unwrap();
    let mut count = 0;
    let lines = (0..10_000).map(|n| format!("WHATSAT client{n} 10 5 {}", " ".repeat(1000)));
    client
        .pipeline(lines, |reply| {
            assert!(matches!(reply, Reply::Nearby(_)), "{reply:?}");
            count += 1;
        })
        .unwrap();
    assert_eq!(count, 10_000);
}

#[test]
fn a_sender_waits_for_a_receiver_that_is_busy_for_longer_than_the_timeout() {
    let (address, _) = server(|mut stream| {
        let mut input = BufReader::new(stream.try_clone().unwrap());
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).unwrap() > 0 {
            stream.write_all(&[b"? ", line.as_slice()].concat()).unwrap();
            line.clear();
        }
    });
    let timeout = Duration::from_secs(2);
    let (mut sender, mut receiver) = Client::connect(address, timeout).unwrap().split();
    let (done, sent) = mpsc::channel();
    // More than the buffers of both sockets hold, both ways.
    thread::spawn(move || {
        let line = "x".repeat(1 << 20);
        let sending = (0..32).try_for_each(|_| sender.send(&line)).and_then(|()| sender.finish());
        done.send(sending).unwrap();
    });
    // The sender would have failed by then.
    assert!(sent.recv_timeout(timeout * 5 / 4).is_err());
    let mut count = 0;
    while receiver.receive().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 32);
    sent.recv().unwrap().unwrap();
}

#[test]
fn the_last_line_can_go_out_without_a_line_feed() {
    let (client, sent) = scripted(1, "? a\n? b\n");
    let (mut sender, mut receiver) = client.split();
    sender.send("a").unwrap();
    sender.finish_with("b").unwrap();
    assert_eq!(receiver.receive().unwrap(), Some(invalid("a")));
    assert_eq!(receiver.receive().unwrap(), Some(invalid("b")));
    assert_eq!(receiver.receive().unwrap(), None);
    assert_eq!((receiver.asked(), receiver.answered()), (2, 2));
    assert_eq!(sent.join().unwrap(), b"a\nb");
}

#[test]
fn a_call_that_waits_for_its_own_reply_is_refused_while_others_are_due() {
    let (mut client, _) = scripted(2, "? x\n? y\n");
    client.send("x").unwrap();
    client.send("y").unwrap();
    let error = client.request("z").unwrap_err();
    assert!(matches!(error, ClientError::RepliesOutstanding(2)), "{error}");
    assert_eq!(client.finish().unwrap(), [invalid("x"), invalid("y")]);
}

#[test]
fn only_so_many_commands_can_wait_for_their_replies() {
    let (mut client, _) = scripted(MAX_OUTSTANDING, "? \n".repeat(MAX_OUTSTANDING));
    for _ in 0..MAX_OUTSTANDING {
        client.send("").unwrap();
    }
    let error = client.send("").unwrap_err();
    assert!(matches!(error, ClientError::TooManyOutstanding), "{error}");
    assert_eq!(client.finish().unwrap().len(), MAX_OUTSTANDING);
}

#[test]
fn a_pipeline_stops_at_a_line_that_cannot_be_sent_and_says_why() {
    let (client, _) = scripted(1, "? a\n");
    let mut replies = Vec::new();
    let error = client.pipeline(["a", "b\nc", "d"], |reply| replies.push(reply)).unwrap_err();
    assert!(matches!(error, ClientError::LineFeed), "{error}");
    assert_eq!(replies, [invalid("a")]);
}
