//! Neighbors that take one UPDATE a connection, as the report's own server does.

use std::collections::HashSet;

use crate::load::times_load;
use crate::neighbor::{Manner, Neighbor};
use crate::servers::{Herd, Plan, eventually};

fn herd_with(neighbor: &Neighbor, dials_per_second: u32) -> Herd {
    let conf = format!("[links]\none_shot_dials_per_second = {dials_per_second}");
    let plan = Plan::new(&[("A", "B"), ("A", "Other")]).other("Other", "one-shot", neighbor.addr);
    plan.conf(&conf).start()
}

#[test]
fn a_one_shot_neighbor_is_told_all_one_a_connection_and_again_after_an_outage() {
    let mut neighbor = Neighbor::start(Manner::OneShot);
    neighbor.down();
    let herd = herd_with(&neighbor, 1000);
    let clients: Vec<_> = (0..times_load(50)).map(|number| format!("client{number}")).collect();
    let (before, live) = clients.split_at(clients.len() / 2);
    let told = |neighbor: &Neighbor, clients: &[String], times| {
        eventually("the neighbor is told", || {
            clients.iter().all(|client| neighbor.told_of(client) >= times)
        });
    };
    for client in before {
        herd["A"].report(client, "+1-2", "3");
    }
    herd["A"].logs(1, &["link Other: ", "refused", "; redialing"]);

    neighbor.up();
    told(&neighbor, before, 1);
    for client in live {
        herd["B"].report(client, "+1-2", "3");
    }
    told(&neighbor, &clients, 1);
    herd["A"].logs(1, &["link Other up: "]);

    neighbor.down();
    herd["A"].report("missed", "+1-2", "3");
    herd["A"].logs(1, &["link Other down: "]);
    neighbor.up();
    told(&neighbor, &["missed".to_owned()], 1);
    told(&neighbor, &clients, 2);

    let lines = neighbor.lines();
    let connections: HashSet<_> = lines.iter().map(|line| line.connection).collect();
    assert_eq!((connections.len(), neighbor.connections()), (lines.len(), lines.len()));
    assert_eq!((neighbor.most_open(), neighbor.cut_short()), (1, 0));
    assert!(lines.iter().all(|line| line.text.ends_with(" A")), "{lines:?}");
}

#[test]
fn a_one_shot_neighbor_is_dialed_so_often_only_and_told_the_newest() {
    let neighbor = Neighbor::start(Manner::OneShot);
    let herd = herd_with(&neighbor, 20);
    let reports = times_load(2000);
    let lines = (1..=reports).map(|time| format!("IAMAT kiwi +1-2 {time}"));
    herd["A"].client().pipeline(lines, |_| {}).unwrap();
    let is_newest =
        |line: &crate::neighbor::Line| line.text.contains(&format!(" A {reports} +1-2 "));
    eventually("the neighbor is told the newest", || {
        neighbor.lines().last().is_some_and(is_newest)
    });
    // Of what is reported between two dials only the newest is told.
    assert!(neighbor.connections() < reports / 2, "{}", neighbor.connections());
}
