//! What a server makes of who dials its links, and of who answers where it dials: a test plays the
//! neighbor B on sockets of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use rustix::process::Signal;

use crate::servers::{Herd, LIMIT, Plan};

/// A, and no B.
pub(crate) fn alone() -> Herd {
    Plan::new(&[("A", "B")]).without("B").start()
}

/// One connection of a link.
pub(crate) struct Line(BufReader<TcpStream>);

impl Line {
    pub(crate) fn dial(addr: SocketAddr) -> Self {
        Self::new(TcpStream::connect(addr).unwrap())
    }

    pub(crate) fn accept(listener: &TcpListener) -> Self {
        Self::new(listener.accept().unwrap().0)
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Dials as B of version 1, and is welcome.
    #[track_caller]
    fn greet(addr: SocketAddr, instance: u64) -> Self {
        Self::greet_as(addr, 1, instance)
    }

    /// Dials as B, and is welcome.
    #[track_caller]
    pub(crate) fn greet_as(addr: SocketAddr, version: u32, instance: u64) -> Self {
        let mut line = Self::dial(addr);
        line.say(format!("HELLO B {version} {instance:x}\n"));
        let answer = line.hear();
        assert!(answer.starts_with(&format!("HELLO A {version} ")), "{answer}");
        line
    }

    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(text.as_ref()).unwrap();
    }

    /// What comes next, up to its LF; nothing at the end.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> String {
        let mut line = Vec::new();
        match self.0.read_until(b'\n', &mut line) {
            Ok(_) => String::from_utf8(line).unwrap(),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next that is no heartbeat.
    #[track_caller]
    pub(crate) fn hear_update(&mut self) -> String {
        loop {
            let line = self.hear();
            if line != "BEAT\n" {
                return line;
            }
        }
    }

    #[track_caller]
    pub(crate) fn has_ended(&mut self) {
        assert_eq!(self.hear(), "");
    }
}

fn update(client: &str) -> String {
    format!("UPDATE {client} B 3 +1-2 +0.500000000 B\n")
}

/// Who dials and says `first` is told `answer`, and shut out.
#[track_caller]
fn check_refused(first: &str, answer: &str, logged: &str) {
    let herd = alone();
    let mut line = Line::dial(herd["A"].links);
    line.say(first);
    let heard = line.hear();
    assert!(heard.contains(answer) && heard.is_empty() == answer.is_empty(), "{heard}");
    line.has_ended();
    herd["A"].logs(1, &["links: ", " refused: ", logged]);
}

#[test]
fn a_stranger_is_refused() {
    let reason = "Nobody is no neighbor of A in its conf";
    check_refused("HELLO Nobody 1 5\n", &format!("? {reason}\n"), reason);
}

#[test]
fn a_first_line_that_is_no_hello_is_refused() {
    let reason = "its first line is not `HELLO <server> <version> <instance>`";
    check_refused("IAMAT kiwi +1-2 3\n", &format!("? {reason}\n"), reason);
}

#[test]
fn a_first_line_without_end_is_refused() {
    check_refused(&"HELLO ".repeat(200), "", "its first line is too long for a HELLO");
}

#[test]
fn a_version_that_is_not_spoken_is_refused() {
    check_refused("HELLO B 99 5\n", "? it speaks version 99 of links, and we 1 to 2", "version 99");
}

#[test]
fn a_handshake_that_stalls_is_given_up() {
    check_refused("HELLO B 1", "", "no whole HELLO within 5 s");
}

#[test]
fn a_server_that_reaches_itself_is_told_so() {
    let herd = alone();
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    let mut its_own = Line::accept(&listener);
    let hello = its_own.hear();
    assert!(hello.starts_with("HELLO A 2 "), "{hello}");
    let mut line = Line::dial(herd["A"].links);
    line.say(&hello);
    let answer = line.hear();
    assert_eq!(answer, "? it is A itself: correct its neighbors' addresses\n");
    its_own.say(answer);
    herd["A"].logs(1, &["link B: ", "it refused us: it is A itself", "; redialing"]);
}

#[test]
fn another_server_where_the_neighbor_is_dialed_is_named() {
    let herd = alone();
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    for (answer, logged) in [
        ("HELLO C 1 5\n", "C answers there: correct the address of B in the conf; redialing"),
        ("HELLO B 3 5\n", "it speaks version 3 of links"),
        ("220 mail\r\n", "its first line is not `HELLO"),
        ("", "it closed before its HELLO"),
    ] {
        let mut line = Line::accept(&listener);
        assert!(line.hear().starts_with("HELLO A 2 "));
        line.say(answer);
        drop(line);
        herd["A"].logs(1, &["link B: ", logged]);
    }
}

#[test]
fn a_link_is_up_when_both_directions_are_and_of_one_run_of_the_neighbor() {
    let herd = alone();
    let at = herd["A"].report("kiwi", "+1-2", "3");
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    let mut dialed = Line::accept(&listener);
    assert!(dialed.hear().starts_with("HELLO A 2 "));
    dialed.say("HELLO B 1 7\n");
    // Only heartbeats until B dials too.
    assert_eq!((dialed.hear(), dialed.hear()), ("BEAT\n".into(), "BEAT\n".into()));
    let mut _other_run = Line::greet(herd["A"].links, 8);
    dialed.has_ended();
    herd["A"].logs(1, &["link B: ", "it was started anew since we dialed it; redialing"]);

    let mut dialed = Line::accept(&listener);
    assert!(dialed.hear().starts_with("HELLO A 2 "));
    dialed.say("HELLO B 1 8\n");
    let heard = dialed.hear_update();
    let skew = String::from_utf8(at).unwrap().split(' ').nth(2).unwrap().to_owned();
    assert_eq!(heard, format!("UPDATE kiwi A 3 +1-2 {skew} A\n"));
    herd["A"].logs(1, &["link B up: "]);
}

#[test]
fn a_new_hello_replaces_the_older_connection() {
    let herd = alone();
    let mut older = Line::greet(herd["A"].links, 5);
    let mut newer = Line::greet(herd["A"].links, 5);
    older.has_ended();
    newer.say(update("kiwi"));
    herd.agree_on("kiwi", |_| true);
    assert_eq!(herd["A"].logged(&["two servers"]), 0);
}

#[test]
fn two_servers_of_one_name_are_said_so() {
    let herd = alone();
    let _lines = [5, 6, 5].map(|instance| Line::greet(herd["A"].links, instance));
    herd["A"].logs(1, &["link B: two servers are named B: stop or rename one"]);
}

#[test]
fn a_hello_that_waited_in_a_frozen_server_until_its_sender_was_gone_does_not_count() {
    let herd = alone();
    herd["A"].signal(Signal::STOP);
    let say_hello = |instance: u64| {
        let mut line = Line::dial(herd["A"].links);
        line.say(format!("HELLO B 1 {instance:x}\n"));
        line
    };
    // A run that has ended, the one that came after it, and a late one of the first.
    drop(say_hello(5));
    let mut there = say_hello(6);
    drop(say_hello(5));
    herd["A"].signal(Signal::CONT);
    let answer = there.hear();
    assert!(answer.starts_with("HELLO A "), "{answer}");
    herd["A"].logs(1, &["links: ", " refused: it closed before our answer"]);
    there.say(update("kiwi"));
    herd.agree_on("kiwi", |_| true);
    assert_eq!(herd["A"].logged(&["it dialed us from"]), 1);
    assert_eq!(herd["A"].logged(&["two servers"]), 0);
}

/// Good lines before `bad` count, nothing else does, and the link is closed.
#[track_caller]
fn check_closes(bad: &[u8], logged: &str) {
    let herd = alone();
    let mut line = Line::greet(herd["A"].links, 5);
    line.say([update("before").as_bytes(), b"BEAT\n", bad].concat());
    line.0.get_ref().shutdown(Shutdown::Write).unwrap();
    line.has_ended();
    herd["A"].logs(1, &["link B: not heard any more: ", logged]);
    herd.agree_on("before", |_| true);
    for client in ["bad", "after"] {
        assert_eq!(herd["A"].at(client), None, "{client}");
    }
}

#[test]
fn a_neighbor_whose_records_live_otherwise_long_is_told_of_in_the_log() {
    let herd =
        Plan::new(&[("A", "B")]).without("B").conf("[data]\nexpire_after = \"1day\"").start();
    let listener = TcpListener::bind(herd["B"].links).unwrap();
    let mut dialed = Line::accept(&listener);
    let hello = dialed.hear();
    assert!(hello.ends_with(" expire_after=86400\n"), "{hello}");
    dialed.say("HELLO B 2 7 expire_after=never\n");
    let said = "link B: it says expire_after=never, and we expire_after=86400: set the same [data] \
                expire_after on all servers";
    herd["A"].logs(1, &[said]);
    drop(dialed);
    for same in ["HELLO B 2 7 expire_after=86400\n", "HELLO B 1 7\n"] {
        let mut dialed = Line::accept(&listener);
        dialed.hear();
        dialed.say(same);
        // A heartbeat says that the answer was read.
        assert_eq!(dialed.hear(), "BEAT\n");
    }
    assert_eq!(herd["A"].logged(&["expire_after"]), 1);
}

#[test]
fn a_line_that_is_no_update_closes_the_link_and_nothing_behind_it_counts() {
    let after = update("after");
    for bad in ["IAMAT bad +1-2 3\n", "\n", "UPDATE bad B 3 +1-2 +0.5 B more\n", "BEAT \n"] {
        check_closes(format!("{bad}{after}").as_bytes(), "a line that is no UPDATE");
    }
}

#[test]
fn a_line_that_the_end_cuts_short_closes_the_link_and_does_not_count() {
    let cut = update("bad").trim_end().to_owned();
    check_closes(cut.as_bytes(), "it closed in the middle of a line");
}

#[test]
fn a_line_of_512_bytes_counts_and_a_longer_one_closes_the_link() {
    let of_length = |client: &str, length: usize| {
        let line = update(client);
        format!("{:length$}\n", line.trim_end())
    };
    let herd = alone();
    let mut line = Line::greet(herd["A"].links, 5);
    line.say(of_length("kiwi", 512));
    herd.agree_on("kiwi", |_| true);
    check_closes(of_length("bad", 513).as_bytes(), "a line that is no UPDATE");
}

#[test]
fn a_neighbor_that_falls_silent_is_not_heard_any_more() {
    let herd = Plan::new(&[("A", "B")]).without("B").conf("[links]\ntimeout = \"200ms\"").start();
    let mut line = Line::greet(herd["A"].links, 5);
    line.has_ended();
    herd["A"].logs(1, &["link B: not heard any more: silent for 200ms"]);
}
