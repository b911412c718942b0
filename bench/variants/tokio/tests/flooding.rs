//! What one server accepts, its neighbors know.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;

use herd::client::Client;
use herd::config::Config;
use herd::protocol::ServerName;
use herd::server::Server;
use support::{Conf, LIMIT, Variant, agree, at, eventually, places};

/// Enough for several pieces of a link, some of them while others come in.
const MANY: usize = 1000;

fn report_many(server: &Variant) {
    let (mut sender, mut receiver) = server.client().split();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for client in 0..MANY {
                sender
                    .send(format!("IAMAT client-{client} +34.5-118.5 1479413884.{client}"))
                    .unwrap();
            }
            sender.finish().unwrap();
        });
        while let Some(reply) = receiver.receive_raw().unwrap() {
            assert!(!reply.is_invalid());
        }
    });
}

#[track_caller]
fn agree_on_many(servers: &[std::net::SocketAddr]) {
    for client in 0..MANY {
        agree(servers, &format!("client-{client}"));
    }
}

#[test]
fn two_servers_know_what_either_is_told() {
    let [ball, welsh] = places([("Ball", &["Welsh"]), ("Welsh", &[])]);
    let conf = Conf::of(&[ball, welsh], "");
    let [ball, welsh] = ["Ball", "Welsh"].map(|name| conf.start(name));
    let servers = [ball.address, welsh.address];
    ball.report("kiwi", "+34.1-118.1");
    welsh.report("plum", "+34.2-118.2");
    assert!(agree(&servers, "kiwi").starts_with(b"AT Ball "));
    assert!(agree(&servers, "plum").starts_with(b"AT Welsh "));
    // The newer one everywhere, whoever got it.
    welsh.report("kiwi", "+35-119");
    eventually("the newer report is known", || {
        at(ball.address, "kiwi") == at(welsh.address, "kiwi")
    });
    assert!(agree(&servers, "kiwi").starts_with(b"AT Welsh "));
}

#[test]
fn three_servers_in_a_ring_know_the_same_and_it_does_not_go_round() {
    let names = ["Ball", "Holiday", "Welsh"];
    let ring =
        places([("Ball", &["Holiday", "Welsh"]), ("Holiday", &["Welsh"]), ("Welsh", &["Ball"])]);
    let conf = Conf::of(&ring, "");
    let servers = names.map(|name| conf.start(name));
    let addresses = servers.each_ref().map(|server| server.address);
    // Else a link that comes up late sends all that its server has, whoever it came from.
    eventually("all links are up", || {
        names.iter().all(|name| conf.log(name).matches(" INFO  link to ").count() == 2)
    });
    report_many(&servers[0]);
    agree_on_many(&addresses);
    for server in servers {
        assert!(server.terminate().success());
    }
    let received = |name: &str| conf.log(name).matches(" UPDATE client-").count();
    // Ball tells both others. Each passes on to the third what it had first from one, and nothing back: a record comes
    // back to Ball only from the one that had it first from the other.
    assert!(received("Ball") <= MANY, "{}", received("Ball"));
    for name in ["Holiday", "Welsh"] {
        assert!((MANY..=2 * MANY).contains(&received(name)), "{name}: {}", received(name));
    }
}

#[test]
fn a_server_that_is_killed_and_started_again_gets_all_back() {
    let [ball, welsh] = places([("Ball", &[]), ("Welsh", &["Ball"])]);
    let conf = Conf::of(&[ball, welsh], "");
    let [ball, welsh] = ["Ball", "Welsh"].map(|name| conf.start(name));
    report_many(&ball);
    agree_on_many(&[ball.address, welsh.address]);
    welsh.kill();
    ball.report("meanwhile", "+1+1");
    let welsh = conf.start("Welsh");
    agree_on_many(&[ball.address, welsh.address]);
    agree(&[ball.address, welsh.address], "meanwhile");
    eventually("the log says that the link went down and up", || {
        let log = conf.log("Ball");
        log.contains(" INFO  link to Welsh down: ")
            && log.matches(" link to Welsh up\n").count() == 2
    });
}

#[test]
fn what_a_server_accepts_before_its_end_reaches_its_neighbors() {
    let [ball, welsh] = places([("Ball", &[]), ("Welsh", &["Ball"])]);
    let conf = Conf::of(&[ball, welsh], "");
    let [ball, welsh] = ["Ball", "Welsh"].map(|name| conf.start(name));
    ball.report("first", "+1+1");
    agree(&[ball.address, welsh.address], "first");
    report_many(&ball);
    assert!(ball.terminate().success());
    agree_on_many(&[welsh.address]);
}

#[test]
fn a_herd_server_with_this_one_as_a_plain_neighbor_knows_the_same() {
    let [ball, welsh] = places([("Ball", &["Welsh"]), ("Welsh", &[])]);
    let addresses = [ball.address, welsh.address];
    let conf = Conf::of(&[ball, welsh], "");
    let plain = std::fs::read_to_string(conf.path())
        .unwrap()
        .replace("name = \"Welsh\"", "name = \"Welsh\"\nlink = \"plain\"");
    let config = Config::parse(Path::new("herd.toml"), &plain).unwrap();
    let herd = Server::bind(&config, &ServerName::parse(b"Ball").unwrap()).unwrap();
    let herd = herd.start(&config).unwrap();
    let variant = conf.start("Welsh");
    let mut client = Client::connect(addresses[0], LIMIT).unwrap();
    client.report_now("kiwi", "+34.1-118.1").unwrap().unwrap();
    variant.report("plum", "+34.2-118.2");
    report_many(&variant);
    assert!(agree(&addresses, "kiwi").starts_with(b"AT Ball "));
    assert!(agree(&addresses, "plum").starts_with(b"AT Welsh "));
    agree_on_many(&addresses);
    variant.kill();
    let _variant = conf.start("Welsh");
    agree_on_many(&addresses);
    herd.stop();
}
