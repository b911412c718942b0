//! The conf files that come with the herd say what is true.

use std::collections::BTreeMap;
use std::path::Path;

use herd::config::{Admin, Config, Data, Limits, Links, Log, Places, Pool, is_loopback};

const HERD: &str = include_str!("../conf/herd.toml");

#[track_caller]
fn accepted(text: &str) -> Config {
    Config::parse(Path::new("x.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

/// Each pair of neighbors once, both of which have to list the other.
fn edges(config: &Config) -> Vec<String> {
    let mut edges = Vec::new();
    for server in &config.servers {
        for neighbor in config.neighbors_of(&server.name) {
            assert!(neighbor.neighbors.contains(&server.name), "{} {}", server.name, neighbor.name);
            if server.name < neighbor.name {
                edges.push(format!("{}-{}", server.name, neighbor.name));
            }
        }
    }
    edges.sort();
    edges
}

#[test]
fn the_seed_herd_is_the_one_in_the_contract() {
    let config = accepted(HERD);
    let names: Vec<_> = config.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["Alford", "Ball", "Hamilton", "Holiday", "Welsh"]);
    assert_eq!(
        edges(&config),
        ["Alford-Hamilton", "Alford-Welsh", "Ball-Holiday", "Ball-Welsh", "Hamilton-Holiday"]
    );
    for (server, port) in config.servers.iter().zip(12_000..) {
        assert_eq!(server.listen, format!("127.0.0.1:{port}"));
        assert_eq!(server.links, format!("127.0.0.1:{}", port + 1000));
        assert_eq!(server.admin, Some(format!("127.0.0.1:{}", port + 2000)));
    }
    assert_eq!(config.data.dir.as_deref(), Some(Path::new("data")));
}

#[test]
fn the_second_herd_is_the_one_in_the_contract_and_runs_beside_the_first() {
    let config = accepted(include_str!("../conf/wilkes.toml"));
    assert_eq!(
        edges(&config),
        [
            "Goloman-Hands",
            "Goloman-Holiday",
            "Goloman-Wilkes",
            "Hands-Wilkes",
            "Holiday-Welsh",
            "Holiday-Wilkes"
        ]
    );
    let addresses = |config: &Config| -> Vec<String> {
        config
            .servers
            .iter()
            .flat_map(|s| [Some(s.listen.clone()), Some(s.links.clone()), s.admin.clone()])
            .flatten()
            .collect()
    };
    let first = addresses(&accepted(HERD));
    assert!(addresses(&config).iter().all(|address| !first.contains(address)));
    assert_ne!(config.log.dir, Log::default().dir);
    assert_ne!(config.data.dir, accepted(HERD).data.dir);
}

#[test]
fn the_herd_on_several_machines_has_a_key_and_can_be_reached_from_each() {
    let text = include_str!("../conf/machines.toml");
    let config = accepted(text);
    for server in &config.servers {
        for address in [&server.listen, &server.links] {
            let (host, _) = address.rsplit_once(':').unwrap();
            assert!(!is_loopback(host), "{host}");
        }
    }
    let key_file = config.links.key_file.expect("links beyond loopback have a key");
    assert!(key_file.is_absolute(), "each machine's server finds it from wherever it is started");
    // Without it the file would be refused.
    let without = text.replace("key_file = ", "# key_file = ");
    let said = Config::parse(Path::new("x.toml"), &without).unwrap_err().to_string();
    assert!(said.contains("herd keygen"), "{said}");
}

/// The lines of conf/herd.toml that show a key with its default, without the `#`.
fn shown_defaults() -> Vec<(usize, &'static str)> {
    let is_shown = |line: &&str| line.starts_with(|first: char| first.is_ascii_lowercase());
    HERD.lines()
        .enumerate()
        .filter_map(|(at, line)| Some((at, line.strip_prefix('#').filter(is_shown)?)))
        .collect()
}

#[test]
fn the_defaults_that_the_seed_conf_shows_are_true() {
    let shown = shown_defaults();
    assert!(shown.len() >= 20, "{shown:?}");
    let mut lines: Vec<&str> = HERD.lines().collect();
    for (at, line) in shown {
        lines[at] = line;
    }
    let (spelled_out, left_out) = (accepted(&lines.join("\n")), accepted(HERD));
    assert_eq!(spelled_out.servers, left_out.servers);
    assert_eq!(spelled_out.pool, Pool::default());
    assert_eq!(spelled_out.limits, Limits::default());
    assert_eq!(spelled_out.links, Links::default());
    assert_eq!(spelled_out.data, Data { dir: Some("data".into()), ..Data::default() });
    assert_eq!(spelled_out.admin, Admin::default());
    assert_eq!(spelled_out.places, Places::default());
    assert_eq!(spelled_out.log, Log::default());
}

#[test]
fn the_seed_conf_shows_every_key() {
    let mut shown: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut table = "";
    for line in HERD.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_matches(['[', ']']);
        }
        let text = line.trim_start_matches(['#', ' ']);
        if let Some((key, _)) = text.split_once(" = ") {
            shown.entry(table).or_default().push(key);
        }
    }
    for table in ["server", "pool", "limits", "links", "data", "admin", "places", "log"] {
        // The message about an unknown key lists those that there are.
        let header = if table == "server" { "[[server]]".into() } else { format!("[{table}]") };
        let text = format!("{header}\nx = 1\n");
        let said = Config::parse(Path::new("x.toml"), &text).unwrap_err().to_string();
        let (_, allowed) = said.split_once("allowed are ").unwrap();
        for key in allowed.split(", ") {
            assert!(shown[table].contains(&key), "{table}.{key} is not in conf/herd.toml");
        }
    }
}
