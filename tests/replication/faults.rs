//! Servers that are killed, frozen, started again, started late and stopped: nothing is lost but
//! what a kill may cost.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::load::{Answer, Walkers, newest, shared_clients, times_load};
use crate::ports;
use crate::servers::{Plan, Server, eventually};
use crate::shapes::TRIANGLE;

/// "Within about a second", as the contract has it, on a machine that is busy with other tests.
const ABOUT_A_SECOND: Duration = Duration::from_secs(2);

/// Servers that log no traffic, so that under load their logs of links are short and whole.
fn quiet(edges: &[(&str, &str)], link_timeout: &str) -> Plan {
    Plan::new(edges).conf(&format!("traffic = false\n[links]\ntimeout = \"{link_timeout}\""))
}

#[test]
fn each_server_is_killed_in_turn_under_load_and_what_neighbors_had_is_not_lost() {
    let mut herd = Plan::new(TRIANGLE).start();
    for victim in ["A", "B", "C"] {
        let victims = herd[victim].addr;
        let mut walkers = Walkers::new();
        for server in herd.servers() {
            walkers.pipeline(server.addr, usize::MAX);
            walkers.trace(server.addr, &format!("traced-by-{}-{victim}-", server.name));
        }
        walkers.go_on_for(ABOUT_A_SECOND + Duration::from_millis(500));
        herd.kill(victim);
        let killed = Instant::now();
        walkers.more(times_load(2000));
        herd.start(victim);
        walkers.more(times_load(2000));
        let answers = walkers.stop();

        // Each report of a traced client is its only one: it is there or it is lost.
        let traced: Vec<&Answer> =
            answers.iter().filter(|answer| answer.client().starts_with("traced-")).collect();
        let clients: Vec<_> = traced.iter().map(|answer| answer.client()).collect();
        let held = herd.agree_on_all(&clients);
        let is_lost = |held: &Option<Vec<u8>>| held.is_none();
        let (mut taken, mut lost) = (0, 0);
        for (answer, held) in traced.iter().zip(&held) {
            if answer.by != victims {
                assert!(!is_lost(held), "{}, which {} took", answer.client(), answer.at.server);
            } else if answer.when < killed {
                taken += 1;
                lost += usize::from(is_lost(held));
                let age = killed - answer.when;
                assert!(age < ABOUT_A_SECOND || !is_lost(held), "{} of {age:?}", answer.client());
            }
        }
        assert!(
            traced
                .iter()
                .any(|answer| answer.by == victims && answer.when + ABOUT_A_SECOND < killed)
        );
        println!("{victim} was killed: of {taken} reports that it had answered {lost} are lost");

        // What the servers that lived on answered stands, or something newer does.
        let lived: Vec<_> = answers.into_iter().filter(|answer| answer.by != victims).collect();
        let newest = newest(&lived);
        let clients = shared_clients();
        for (client, held) in clients.iter().zip(herd.agree_on_all(&clients)) {
            let time = |line: &[u8]| line.rsplit(|&byte| byte == b' ').next().unwrap().to_vec();
            let (held, answered) = (held.unwrap(), &newest[client]);
            assert!(time(&held) >= time(answered), "{client}: {}", held.escape_ascii());
        }
    }
}

#[test]
fn a_server_that_is_frozen_under_load_holds_nobody_up_and_catches_up() {
    let herd = quiet(TRIANGLE, "300ms").start();
    herd.await_links();
    let mut walkers = Walkers::new();
    for name in ["A", "C"] {
        walkers.pipeline(herd[name].addr, usize::MAX);
        walkers.trace(herd[name].addr, &format!("traced-{name}-"));
    }
    walkers.more(times_load(1000));
    herd["B"].signal(Signal::STOP);
    for name in ["A", "C"] {
        herd[name].logs(1, &["link B: not heard any more: silent for 300ms"]);
        herd[name].logs(1, &["link B down: "]);
    }
    // Nobody waits for it.
    walkers.more(times_load(4000));
    for (from, to) in [("A", "C"), ("C", "A")] {
        let at = herd[from].report(&format!("past-it-from-{from}"), "+1-2", "1");
        eventually("a report goes past the frozen server", || {
            herd[to].at(&format!("past-it-from-{from}")).as_ref() == Some(&at)
        });
    }
    herd["B"].signal(Signal::CONT);
    walkers.more(times_load(1000));
    let answers = walkers.stop();
    let expected = newest(&answers);
    let clients: Vec<_> = expected.keys().cloned().collect();
    eventually("all hold what was answered", || {
        let held = herd.agree_on_all(&clients);
        clients.iter().zip(held).all(|(client, held)| held.as_ref() == Some(&expected[client]))
    });
}

#[test]
fn a_restarted_server_gets_its_own_records_back() {
    let mut herd = Plan::new(&[("A", "B")]).start();
    // A may tell B what it knows before B has seen the link come up, and so go down.
    herd.await_links();
    let at = herd["A"].report("kiwi", "+1-2", "3");
    herd.agree_on("kiwi", |_| true);
    herd.kill("A");
    herd["B"].logs(1, &["link A down: "]);
    herd["B"].logs(1, &["link A: ", "; redialing"]);
    herd.start("A");
    assert_eq!(herd.agree_on("kiwi", |_| true), at);
    herd["B"].logs(2, &["link A up: "]);
}

#[test]
fn a_server_that_comes_up_late_gets_all_that_was_reported_before() {
    let mut herd = Plan::new(&[("A", "B"), ("B", "C")]).without("C").start();
    let clients: Vec<_> = (0..times_load(500)).map(|number| format!("early{number}")).collect();
    let ats: Vec<_> = clients.iter().map(|client| herd["A"].report(client, "+1-2", "3")).collect();
    herd["B"].logs(1, &["link C: ", "refused", "; redialing"]);
    herd.start("C");
    eventually("the late server has all", || {
        herd.agree_on_all(&clients).into_iter().eq(ats.iter().cloned().map(Some))
    });
}

#[test]
fn what_a_server_answered_is_with_its_neighbors_when_it_is_told_to_stop_under_load() {
    let mut herd = Plan::new(&[("A", "B"), ("A", "C")]).start();
    herd.await_links();
    let mut walkers = Walkers::new();
    for number in 0..4 {
        walkers.pipeline_new(herd["A"].addr, &format!("walker{number}-"));
    }
    walkers.more(times_load(20_000));
    let status = herd.terminate("A");
    assert!(status.success(), "{status}");
    let clients: Vec<_> = walkers.stop().iter().map(Answer::client).collect();
    for name in ["B", "C"] {
        hold_in_the_end(&herd[name], &clients);
    }
}

#[test]
fn a_stop_waits_for_a_neighbor_that_is_slow_to_take_what_was_answered() {
    // So long that the link stays up however slow the machine is.
    let mut herd = quiet(&[("A", "B")], "60s").start();
    herd.await_links();
    herd["B"].signal(Signal::STOP);
    // More than the sockets between the two hold, of clients with long names.
    let prefix = "x".repeat(240);
    let mut walkers = Walkers::new();
    walkers.pipeline_new(herd["A"].addr, &prefix);
    walkers.more(30_000);
    let clients: Vec<_> = walkers.stop().iter().map(Answer::client).collect();
    herd["A"].signal(Signal::TERM);
    herd["A"].logs(1, &["server A stops"]);
    herd["B"].signal(Signal::CONT);
    let status = herd.ended("A");
    assert!(status.success(), "{status}");
    hold_in_the_end(&herd["B"], &clients);
}

#[test]
fn neighbors_that_accept_and_never_answer_hold_no_client_up() {
    let deaf = ports::listener();
    let mut herd = quiet(&[("A", "Hung"), ("A", "Deaf"), ("A", "B")], "2s")
        .other("Deaf", "plain", deaf.local_addr().unwrap())
        .without("Hung")
        .start();
    // The kernel completes connections to both, and nobody takes them.
    let _hung = TcpListener::bind(herd["Hung"].links).unwrap();
    herd["A"].logs(1, &["link Deaf up: "]);
    // More than the sockets to the deaf one hold.
    let mut walkers = Walkers::new();
    walkers.pipeline_new(herd["A"].addr, &"x".repeat(240));
    walkers.more(30_000);
    let clients: Vec<_> = walkers.stop().iter().map(Answer::client).collect();
    hold_in_the_end(&herd["B"], &clients);
    herd["A"].logs(1, &["link Deaf down: it took nothing for 2s"]);
    assert!(herd.terminate("A").success());
}

/// Waits until a server has read what is on its way to it, which all of these clients are.
#[track_caller]
fn hold_in_the_end(server: &Server, clients: &[String]) {
    eventually("a server has what was sent to it", || {
        server.ats(clients).iter().all(Option::is_some)
    });
}
