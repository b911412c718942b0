//! While a limit of one server is exceeded it exchanges updates with its neighbor, answers the clients
//! that it knows, and stops when it is told to.

use std::net::SocketAddr;
use std::time::Instant;

use rustix::process::Signal;

use crate::outside;
use crate::places_service::{NOTHING, PlacesService, ok};
use crate::servers::{LIMIT, Plan, eventually};
use crate::shapes::PAIR;
use crate::talk::Talk;

/// Rounds after the log has said that the limit is exceeded.
const ROUNDS: usize = 10;

/// A client with a connection to each server, from before all abuse.
struct Witness {
    talks: [Talk; 2],
    round: usize,
}

impl Witness {
    fn new(servers: [SocketAddr; 2]) -> Self {
        Self { talks: servers.map(Talk::to), round: 0 }
    }

    /// A known client reports to each server, and the other one learns it.
    #[track_caller]
    fn round(&mut self) {
        self.round += 1;
        let time = self.round;
        for at in [0, 1] {
            let told =
                self.talks[at].ask(&format!("IAMAT witness-{at} +34.068930-118.445127 {time}"));
            assert!(told.starts_with("AT "), "{told}");
            let other = &mut self.talks[1 - at];
            eventually("the neighbor knows", || {
                let line = other.ask(&format!("WHATSAT witness-{at} 0 0"));
                let is_known = line.starts_with("AT ");
                if is_known {
                    other.places();
                }
                line == told
            });
        }
    }
}

/// Two servers with these keys of `[pool]` and these sections, and, once a round, abuse of the first,
/// which is given all that it opened before, until the log says so of `limit` and some rounds more.
#[track_caller]
fn check(pool: &str, sections: &str, limit: &str, abuse: impl Fn(SocketAddr, &mut Vec<Talk>)) {
    for mode in ["mode = \"lots\"", "mode = \"pinned\"\nworkers = 24"] {
        let conf = format!("traffic = false\n[pool]\n{mode}\n{pool}\n{sections}\n");
        let mut herd = Plan::new(PAIR).listening_everywhere().conf(&conf).start();
        herd.await_links();
        let mut witness = Witness::new([herd["A"].addr, herd["B"].addr]);
        witness.round();
        let mut abusers = Vec::new();
        let begin = Instant::now();
        while herd["A"].logged(&["limit reached: ", limit]) == 0 {
            assert!(begin.elapsed() < LIMIT, "{mode}: not exceeded: {limit}");
            abuse(herd["A"].addr, &mut abusers);
            witness.round();
        }
        for _ in 0..ROUNDS {
            abuse(herd["A"].addr, &mut abusers);
            witness.round();
        }
        assert_eq!(herd["A"].logged(&["link B down"]), 0, "{mode}");
        assert_eq!(herd.terminate("A").code(), Some(0), "{mode}");
    }
}

#[test]
fn over_max_connections_neighbors_and_known_clients_are_served() {
    check("max_connections = 8", "", "[pool] max_connections = 8", |server, abusers| {
        abusers.extend((0..5).map(|_| Talk::to(server)));
    });
}

#[test]
fn over_max_connections_per_address_neighbors_and_known_clients_are_served() {
    let Some(outside) = outside::address(0) else { return };
    let pool = "max_connections_per_address = 8";
    check(pool, "", "[pool] max_connections_per_address = 8", |server, abusers| {
        let server = SocketAddr::new(outside.ip(), server.port());
        abusers.extend((0..5).map(|_| Talk::to(server)));
    });
}

#[test]
fn while_idle_connections_are_closed_neighbors_and_known_clients_are_served() {
    check("idle_timeout = \"5s\"", "", "[pool] idle_timeout = 5s", |server, abusers| {
        if abusers.len() < 40 {
            abusers.push(Talk::to(server));
        }
    });
}

#[test]
fn while_lines_drip_in_neighbors_and_known_clients_are_served() {
    let limits = "[limits]\nline_timeout = \"1s\"";
    check("", limits, "[limits] line_timeout = 1s", |server, abusers| {
        if abusers.len() < 40 {
            abusers.push(Talk::to(server));
        }
        // Those that are closed take no more.
        abusers.iter_mut().for_each(|talk| _ = std::io::Write::write(&mut talk.stream, b"x"));
    });
}

#[test]
fn while_replies_are_not_taken_neighbors_and_known_clients_are_served() {
    let limits = "[limits]\nwrite_timeout = \"1s\"";
    check("", limits, "[limits] write_timeout = 1s", |server, abusers| {
        if abusers.len() < 40 {
            let mut talk = Talk::with_little_room(server);
            talk.send("WHATSAT witness-0 50 20\n".repeat(1000) + &"x\n".repeat(1000));
            abusers.push(talk);
        }
    });
}

#[test]
fn over_max_records_neighbors_and_known_clients_are_served() {
    let limits = "[limits]\nmax_records = 10";
    check("", limits, "[limits] max_records = 10", |server, abusers| {
        if abusers.is_empty() {
            abusers.push(Talk::to(server));
        }
        // More of them than there is room for, each time.
        for number in 0..20 {
            let reply = abusers[0].ask(&format!("IAMAT new-{number} +1+1 1"));
            assert!(reply.starts_with("AT ") || reply.starts_with("? IAMAT "), "{reply}");
        }
    });
}

#[test]
fn over_the_rate_of_whatsat_neighbors_and_known_clients_are_served() {
    let service = PlacesService::start(|_| ok(NOTHING));
    let places = format!(
        "[places]\nprovider = \"overpass\"\nbase_url = \"{}\"\nwhatsat_per_second = 1",
        service.url()
    );
    check("", &places, "[places] whatsat_per_second = 1", |server, abusers| {
        let mut talk = Talk::to(server);
        talk.send("WHATSAT witness-0 1 5\n".repeat(100));
        talk.end();
        abusers.clear();
        abusers.push(talk);
    });
}

#[test]
fn copies_stay_equal_beyond_max_records() {
    let mut herd = Plan::new(PAIR).without("B").conf("[limits]\nmax_records = 3").start();
    let clients: Vec<_> = ["A", "B"]
        .into_iter()
        .flat_map(|server| (0..3).map(move |number| format!("{server}-{number}")))
        .collect();
    for client in &clients[..3] {
        herd["A"].report(client, "+1+1", "1");
    }
    herd["A"].signal(Signal::STOP);
    herd.start("B");
    for client in &clients[3..] {
        herd["B"].report(client, "+2+2", "2");
    }
    herd["A"].signal(Signal::CONT);
    eventually("both hold all", || herd.agree_on_all(&clients).iter().all(Option::is_some));
    for server in ["A", "B"] {
        let line = "IAMAT new +1+1 1";
        assert_eq!(Talk::to(herd[server].addr).ask(line), format!("? {line}"));
        herd[server].report(&clients[0], "+3+3", "3");
    }
    herd.agree_on(&clients[0], |at| at.ends_with(b" +3+3 3\n"));
}
