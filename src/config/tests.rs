use super::sections::Machine;
use super::*;

/// Two servers that are neighbors, on six lines: what tests add to starts at line 7.
const PAIR: &str = r#"[[server]]
name = "Alford"
listen = "127.0.0.1:12000"
neighbors = ["Ball"]
[[server]]
name = "Ball"
listen = "127.0.0.1:12001"
"#;

/// Linux as it comes: vm.max_map_count is 65530.
const LINUX: Machine = Machine { cores: 2, max_map_count: Some(65_530) };

#[track_caller]
fn accepted(text: &str) -> Config {
    Config::parse_for(LINUX, Path::new("x.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

/// The text is refused in one line that starts with the file and holds all the parts, in order.
#[track_caller]
fn refused(text: &str, expected_parts: &[&str]) {
    refused_by(LINUX, text, expected_parts);
}

#[track_caller]
fn refused_by(machine: Machine, text: &str, expected_parts: &[&str]) {
    let said = match Config::parse_for(machine, Path::new("x.toml"), text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string(),
    };
    assert!(said.starts_with("x.toml:"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let mut rest = said.as_str();
    for part in expected_parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?} in: {said}"));
        rest = &rest[at + part.len()..];
    }
}

/// A pair of servers and these further lines, the first of which is line 8.
#[track_caller]
fn pair_refused(lines: &str, expected_parts: &[&str]) {
    refused(&format!("{PAIR}{lines}\n"), expected_parts);
}

fn server(name: &str, listen: &str, rest: &str) -> String {
    format!("[[server]]\nname = \"{name}\"\nlisten = \"{listen}\"\n{rest}\n")
}

fn name(text: &str) -> ServerName {
    ServerName::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_name_and_an_address_are_enough() {
    let config = accepted("[[server]]\nname = \"Alone\"\nlisten = \"localhost:1\"\n");
    let alone = Server {
        name: name("Alone"),
        listen: "localhost:1".to_string(),
        links: "localhost:1001".to_string(),
        admin: None,
        neighbors: vec![],
        link: LinkKind::Herd,
    };
    assert_eq!(config.servers, [alone]);
    assert!(!config.opens_links(&config.servers[0]));
    assert_eq!(config.pool, Pool::default());
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.links, Links::default());
    assert_eq!(config.data, Data::default());
    assert_eq!(config.admin, Admin::default());
    assert_eq!(config.places, Places::default());
    assert_eq!(config.log, Log::default());
}

#[test]
fn every_key_is_read() {
    let config = accepted(&format!(
        r#"{PAIR}
        links = "[::1]:9"
        link = "herd"
        admin = "10.0.0.1:7"
        [pool]
        mode = "pinned"
        workers = 7
        max_connections = 8
        max_connections_per_address = 6
        idle_timeout = "1m 30s"
        [limits]
        max_line = 512
        max_ahead = "0s"
        commands_per_connection = 1
        line_timeout = "250ms"
        write_timeout = "2s"
        max_untaken = "4KiB"
        max_records = 11
        [links]
        timeout = "100ms"
        one_shot_dials_per_second = 3
        key_file = "herd.key"
        sync_interval = "1s"
        [data]
        dir = "there"
        durability = "always"
        interval = "10ms"
        commit_timeout = "20ms"
        expire_after = "30d"
        [admin]
        beyond_loopback = true
        [places]
        provider = "google-legacy"
        base_url = "http://127.0.0.1:8080/x"
        key_env = "KEY"
        timeout = "1s"
        workers = 2
        queue = 4
        whatsat_per_second = 12
        whatsat_per_second_per_address = 13
        [log]
        dir = "here"
        level = "off"
        traffic = false
        max_size = "1MB"
        keep = 9
        "#
    ));
    let ball = config.server(&name("Ball")).unwrap();
    assert_eq!(ball.links, "[::1]:9");
    assert_eq!(ball.admin.as_deref(), Some("10.0.0.1:7"));
    assert_eq!(
        config.pool,
        Pool {
            mode: PoolMode::Pinned,
            workers: 7,
            max_connections: 8,
            max_connections_per_address: 6,
            idle_timeout: Duration::from_secs(90)
        }
    );
    assert_eq!(
        config.limits,
        Limits {
            max_line: 512,
            max_ahead: Duration::ZERO,
            commands_per_connection: Some(1),
            line_timeout: Duration::from_millis(250),
            write_timeout: Duration::from_secs(2),
            max_untaken: 4096,
            max_records: 11,
        }
    );
    assert_eq!(
        config.links,
        Links {
            timeout: Duration::from_millis(100),
            one_shot_dials_per_second: 3,
            key_file: Some(PathBuf::from("herd.key")),
            sync_interval: Duration::from_secs(1),
        }
    );
    assert_eq!(
        config.data,
        Data {
            dir: Some(PathBuf::from("there")),
            durability: Durability::Always,
            interval: Duration::from_millis(10),
            commit_timeout: Duration::from_millis(20),
            expire_after: Some(Duration::from_hours(720)),
        }
    );
    assert_eq!(config.admin, Admin { beyond_loopback: true });
    assert_eq!(
        config.places,
        Places {
            provider: ProviderKind::GoogleLegacy,
            base_url: Some("http://127.0.0.1:8080/x".to_string()),
            key_env: Some("KEY".to_string()),
            key_file: None,
            timeout: Duration::from_secs(1),
            workers: 2,
            queue: 4,
            whatsat_per_second: 12,
            whatsat_per_second_per_address: 13,
        }
    );
    assert_eq!(
        config.log,
        Log {
            dir: PathBuf::from("here"),
            level: log::LevelFilter::Off,
            traffic: false,
            max_size: 1_000_000,
            keep: 9
        }
    );
}

#[test]
fn a_neighbor_listed_on_one_side_counts_for_both() {
    let config = accepted(PAIR);
    assert_eq!(config.servers[0].neighbors, [name("Ball")]);
    assert_eq!(config.servers[1].neighbors, [name("Alford")]);
    let of_ball: Vec<_> = config.neighbors_of(&name("Ball")).collect();
    assert_eq!(of_ball, [&config.servers[0]]);
    let twice = accepted(&format!("{PAIR}neighbors = [\"Alford\", \"Alford\"]\n"));
    assert_eq!(twice.servers, config.servers);
}

#[test]
fn links_are_at_the_port_of_listen_plus_1000() {
    let config = accepted(&PAIR.replace("127.0.0.1:12001", "[::1]:64535"));
    assert_eq!(config.servers[0].links, "127.0.0.1:13000");
    assert_eq!(config.servers[1].links, "[::1]:65535");
}

#[test]
fn port_0_gives_port_0_for_links_and_collides_with_nothing() {
    let zero = PAIR.replace("12000", "0").replace("12001", "0");
    let mut config = accepted(&zero);
    assert_eq!(config.servers[0].links, "127.0.0.1:0");
    assert!(config.set_addresses(&name("Ball"), "127.0.0.1:5".into(), "127.0.0.1:6".into()));
    assert_eq!(config.server(&name("Ball")).unwrap().listen, "127.0.0.1:5");
    assert_eq!(config.server(&name("Ball")).unwrap().links, "127.0.0.1:6");
    assert!(!config.set_addresses(&name("Bal"), String::new(), String::new()));
}

#[test]
fn links_over_port_65535_are_refused_only_where_they_are_opened() {
    refused(
        &PAIR.replace("12001", "64536"),
        &[
            "x.toml:7: server \"Ball\": links: ",
            "listen + 1000",
            "65536",
            "over 65535",
            "set links",
        ],
    );
    let alone = accepted(&server("Alone", "127.0.0.1:65000", ""));
    assert_eq!(alone.servers[0].links, "127.0.0.1:0");
    accepted(&format!("{}links = \"127.0.0.1:9\"\n", PAIR.replace("12001", "64536")));
}

#[test]
fn a_plain_server_is_dialed_at_listen() {
    let config = accepted(&format!("{PAIR}link = \"one-shot\"\n"));
    let ball = config.server(&name("Ball")).unwrap();
    assert_eq!((ball.link, ball.links.as_str()), (LinkKind::OneShot, "127.0.0.1:12001"));
    // Nobody dials either of them: a plain server sends its updates to listen.
    assert!(config.servers.iter().all(|server| !config.opens_links(server)));
    let herd = accepted(PAIR);
    assert!(herd.servers.iter().all(|server| herd.opens_links(server)));
    for kind in ["plain", "one-shot"] {
        pair_refused(
            &format!("link = \"{kind}\"\nlinks = \"127.0.0.1:9\""),
            &["x.toml:9: server \"Ball\": links: ", "dialed at listen", "leave links out"],
        );
    }
}

#[test]
fn links_beyond_loopback_are_refused_and_the_way_out_is_said() {
    let remedy = ["in clear", "herd keygen", "key_file", "links = \"127.0.0.1:13001\""];
    for host in ["0.0.0.0", "10.0.0.1", "ball.example.com", "[::]", "[::ffff:10.0.0.1]"] {
        refused(
            &PAIR.replace("127.0.0.1:12001", &format!("{host}:12001")),
            &[&["x.toml:7: server \"Ball\": links: "][..], &remedy].concat(),
        );
    }
    pair_refused(
        "links = \"10.0.0.1:13001\"",
        &[&["x.toml:8: server \"Ball\": links: 10.0.0.1:13001 "][..], &remedy].concat(),
    );
    for host in ["127.9.9.9", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
        accepted(&PAIR.replace("127.0.0.1:12001", &format!("{host}:12001")));
    }
    let listen = PAIR.replace("127.0.0.1:12001", "ball.example.com:12001");
    accepted(&format!("{listen}links = \"127.0.0.1:13001\"\n"));
    // Without neighbors nothing is opened, nor by or for a plain server.
    accepted(&server("Alone", "0.0.0.0:12000", ""));
    accepted(&format!("{listen}link = \"plain\"\n").replace("127.0.0.1:12000", "10.0.0.1:12000"));
}

#[test]
fn with_a_key_links_are_opened_anywhere_and_servers_without_one_are_refused() {
    let key = "[links]\nkey_file = \"herd.key\"\n";
    accepted(&format!("{}{key}", PAIR.replace("127.0.0.1:12001", "10.0.0.1:12001")));
    for kind in ["plain", "one-shot"] {
        pair_refused(
            &format!("link = \"{kind}\"\n{key}"),
            &["x.toml:8: server \"Ball\": link: ", kind, "has no key", "take either away"],
        );
    }
}

#[test]
fn an_admin_address_beyond_loopback_is_refused_unless_it_is_on_purpose() {
    pair_refused(
        "admin = \"10.0.0.1:7\"",
        &["x.toml:8: server \"Ball\": admin: ", "127.0.0.1:7", "beyond_loopback = true"],
    );
    accepted(&format!("{PAIR}admin = \"10.0.0.1:7\"\n[admin]\nbeyond_loopback = true\n"));
    let config = accepted(&format!("{PAIR}admin = \"[::1]:7\"\n"));
    assert_eq!(config.servers[1].admin.as_deref(), Some("[::1]:7"));
    pair_refused(
        "admin = \"127.0.0.1:12000\"",
        &["x.toml:8: server \"Ball\": admin: ", "listen of server \"Alford\""],
    );
}

#[test]
fn no_server_is_refused() {
    for text in ["", "# nothing\n", "[pool]\nworkers = 5\n"] {
        refused(text, &["x.toml:1: no server", "[[server]]", "name", "listen"]);
    }
}

#[test]
fn a_server_without_name_or_address_is_refused_at_its_header() {
    pair_refused("[[server]]\nlisten = \"a:1\"", &["x.toml:8: [[server]] name: missing"]);
    pair_refused("[[server]]\nname = \"C\"", &["x.toml:8: server \"C\": listen: missing"]);
}

#[test]
fn a_name_that_could_not_name_a_file_is_refused() {
    for wrong in
        ["\"\"", "\".x\"", "\"a b\"", "\"a/b\"", "5", "\"x23456789012345678901234567890123\""]
    {
        refused(
            &format!("[[server]]\nname = {wrong}\nlisten = \"a:1\"\n"),
            &["x.toml:2: [[server]] name: ", wrong, "1 to 32"],
        );
    }
}

#[test]
fn an_address_that_is_none_is_refused() {
    refused(
        &PAIR.replace("127.0.0.1:12001", "::1:12001"),
        &["x.toml:7: server \"Ball\": listen: \"::1:12001\"", "without brackets", "[::1]:12000"],
    );
    pair_refused("links = \"localhost\"", &["x.toml:8: ", "links: \"localhost\" has no port"]);
    pair_refused("links = 13000", &["x.toml:8: ", "links: 13000 is no address", "HOST:PORT"]);
}

#[test]
fn duplicate_names_are_refused() {
    refused(
        &PAIR.replace("\"Ball\"\nlisten", "\"Alford\"\nlisten"),
        &["x.toml:6: server \"Alford\": name: another server has it"],
    );
}

#[test]
fn duplicate_addresses_are_refused_however_they_are_spelled() {
    for spelling in ["127.0.0.1:12000", "localhost:12000", "[::ffff:127.0.0.1]:12000"] {
        refused(
            &PAIR.replace("127.0.0.1:12001", spelling),
            &["x.toml:7: server \"Ball\": listen: ", "is listen of server \"Alford\" too"],
        );
    }
    // The default links of Alford, 13000.
    refused(
        &PAIR.replace("12001", "13000"),
        &["x.toml:7: server \"Ball\": listen: 127.0.0.1:13000", "links of server \"Alford\""],
    );
    pair_refused(
        "links = \"127.0.0.1:12001\"",
        &["x.toml:8: server \"Ball\": links: ", "listen of server \"Ball\"", "another port"],
    );
    pair_refused(
        "links = \"127.0.0.1:13000\"",
        &["x.toml:8: server \"Ball\": links: ", "links of server \"Alford\""],
    );
    // A plain server opens no links, so that port is free.
    accepted(&format!(
        "{PAIR}link = \"plain\"\n{}",
        server("C", "127.0.0.1:13001", "neighbors = [\"Ball\"]")
    ));
}

#[test]
fn an_unknown_neighbor_is_refused_with_the_names_there_are() {
    refused(
        &PAIR.replace("[\"Ball\"]", "[\n\"Ball\",\n\"Bal\",\n]"),
        &[
            "x.toml:6: server \"Alford\": neighbors: no server is named \"Bal\"; servers are Alford, Ball",
        ],
    );
    pair_refused("neighbors = [5]", &["x.toml:8: ", "neighbors: 5 is no name", "quotes"]);
}

#[test]
fn a_server_is_not_its_own_neighbor() {
    pair_refused(
        "neighbors = [\"Ball\"]",
        &["x.toml:8: server \"Ball\": neighbors: \"Ball\" is itself"],
    );
}

#[test]
fn a_herd_that_falls_apart_is_refused_with_its_pieces() {
    let apart = [
        PAIR,
        &server("Holiday", "127.0.0.1:12002", "neighbors = [\"Welsh\"]"),
        &server("Welsh", "127.0.0.1:12003", ""),
    ];
    refused(
        &apart.concat(),
        &["x.toml:11: server \"Holiday\": neighbors: ", "{Alford, Ball} and {Holiday, Welsh}"],
    );
    let last = server("Zoe", "127.0.0.1:12004", "");
    let three = [&apart.concat(), last.as_str()].concat();
    refused(&three, &["x.toml:11: ", "{Alford, Ball}, {Holiday, Welsh} and {Zoe}"]);
    let joined = server("Zoe", "127.0.0.1:12004", "neighbors = [\"Ball\", \"Welsh\"]");
    accepted(&[&apart.concat(), joined.as_str()].concat());
    refused(
        &[server("A", "127.0.0.1:1", ""), server("B", "127.0.0.1:2", "")].concat(),
        &["x.toml:5: server \"B\": neighbors: ", "{A} and {B}"],
    );
}

#[test]
fn a_pinned_pool_that_the_machine_cannot_hold_is_refused() {
    let pinned = |workers| format!("{PAIR}[pool]\nmode = \"pinned\"\nworkers = {workers}\n");
    // (65530 - 2048) / 4
    accepted(&pinned(15_870));
    refused(
        &pinned(15_871),
        &["x.toml:10: [pool] workers: 15871 threads", "15870", "65530", "4 memory maps", "lots"],
    );
    let small = Machine { cores: 2, max_map_count: Some(2_100) };
    let by_default = format!("{PAIR}[pool]\nmode = \"pinned\"\n");
    refused_by(small, &by_default, &["x.toml:9: [pool] workers: 200 threads", "13"]);
    let unlimited = Machine { cores: 2, max_map_count: None };
    Config::parse_for(unlimited, Path::new("x.toml"), &pinned(100_000)).unwrap();
}

#[test]
fn lots_and_their_lookups_have_to_fit_too() {
    let machine = |maps| Machine { cores: 4, max_map_count: Some(maps) };
    // 4 cores and 16 look-ups: 20 threads.
    let least = 2_048 + 4 * 20;
    Config::parse_for(machine(least), Path::new("x.toml"), PAIR).unwrap();
    refused_by(machine(least - 1), PAIR, &["[places] workers: 20 threads", "19", "2127"]);
    // The workers of a pinned pool are not used, so they don't count.
    accepted(&format!("{PAIR}[pool]\nworkers = 100000\n"));
}

#[test]
fn unknown_keys_are_refused_with_those_that_are_allowed() {
    pair_refused(
        "port = 5",
        &["x.toml:8: [[server]] port: unknown key", "name, listen, links, admin, neighbors, link"],
    );
    pair_refused(
        "[pool]\nworker = 5",
        &["x.toml:9: [pool] worker: unknown key; allowed are mode, workers"],
    );
    pair_refused(
        "[links]\nsync = 5",
        &["x.toml:9: [links] sync: unknown key; allowed are timeout, one_shot"],
    );
    pair_refused("pool.x = 5", &["x.toml:8: [[server]] pool: unknown key"]);
    refused("pool.worker = 5", &["x.toml:1: [pool] worker: unknown key"]);
    pair_refused("[pools]", &["x.toml:8: pools: unknown key or table; allowed are server, pool"]);
    refused("name = \"A\"", &["x.toml:1: name: unknown key or table; allowed are server"]);
}

#[test]
fn wrong_shapes_are_refused_with_the_right_one() {
    refused("[server]\nname = \"A\"", &["x.toml:1: server: ", "[[server]]"]);
    refused("server = 5", &["x.toml:1: server: ", "[[server]]"]);
    refused("pool = [5]", &["x.toml:1: pool: a list is no table; write [pool]"]);
    refused("pool = 5", &["x.toml:1: pool: ", "5", "no table; write [pool]"]);
    pair_refused(
        "neighbors = \"Alford\"",
        &["x.toml:8: ", "neighbors: ", "\"Alford\"", "no list; write names"],
    );
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    pair_refused("neighbors = [", &["x.toml:8: not TOML: "]);
    pair_refused("name = \"twice\"", &["x.toml:8: name: written twice"]);
    for unquoted in ["links = 127.0.0.1:13001", "[limits]\nline_timeout = 5s", "link = plain"] {
        pair_refused(unquoted, &["x.toml:", "not TOML: ", "quote"]);
    }
}

#[test]
fn durations_without_a_unit_are_refused() {
    for (value, shown) in [("5", "5"), ("5.5", "5.5"), ("\"5\"", "5"), ("\"0\"", "0")] {
        pair_refused(
            &format!("[limits]\nline_timeout = {value}"),
            &["x.toml:9: [limits] line_timeout: ", shown, "no unit; write \"", "s\" or \"", "ms\""],
        );
    }
    for wrong in ["\"soon\"", "\"5 apples\"", "\"-5s\"", "\"\"", "true", "[]"] {
        pair_refused(
            &format!("[limits]\nmax_ahead = {wrong}"),
            &["x.toml:9: [limits] max_ahead: ", "is no duration", "\"5s\""],
        );
    }
}

/// Each key with the values just inside its range and just outside, and what the message says is
/// allowed.
#[test]
fn every_number_has_a_range() {
    let ranges = r#"
        pool workers 1 100000 0 100001 | 1 to 100000
        pool max_connections 1 1000000 0 1000001 | 1 to 1000000
        pool idle_timeout "10ms" "30d" "9ms" "31d" | 10ms to 30d
        limits max_line 512 "1MiB" 511 1048577 | 512 B to 1.0 MiB
        limits max_ahead "0s" "3650d" "3651d" "900y" | 0ms to 3650d
        limits commands_per_connection 1 1000000000 0 -1 | 1 to 1000000000
        limits line_timeout "10ms" "1d" "9ms" "25h" | 10ms to 1d
        limits write_timeout "10ms" "1d" "9ms" "25h" | 10ms to 1d
        links timeout "100ms" "10m" "99ms" "11m" | 100ms to 10m
        links one_shot_dials_per_second 1 10000 0 10001 | 1 to 10000
        places timeout "10ms" "5m" "9ms" "6m" | 10ms to 5m
        places workers 1 1000 0 1001 | 1 to 1000
        places queue 1 1000000 0 1000001 | 1 to 1000000
        log max_size "4KiB" "1TiB" "4KB" "2TiB" | 4.0 KiB to 1.0 TiB
        log keep 1 1000 0 1001 | 1 to 1000
    "#;
    for range in ranges.trim().lines() {
        let (words, allowed) = range.split_once(" | ").unwrap();
        let words: Vec<&str> = words.split_whitespace().collect();
        let [section, key, inside @ .., low, high] = &words[..] else { panic!("{range}") };
        for value in inside {
            accepted(&format!("{PAIR}[{section}]\n{key} = {value}\n"));
        }
        for value in [low, high] {
            pair_refused(
                &format!("[{section}]\n{key} = {value}"),
                &[&format!("x.toml:9: [{section}] {key}: "), value, "out of range", allowed],
            );
        }
        pair_refused(
            &format!("[{section}]\n{key} = true"),
            &[&format!("x.toml:9: [{section}] {key}: true")],
        );
    }
}

#[test]
fn sizes_that_are_none_are_refused() {
    for wrong in ["\"big\"", "\"8 apples\"", "true", "8.5", "\"\""] {
        pair_refused(
            &format!("[log]\nmax_size = {wrong}"),
            &["x.toml:9: [log] max_size: ", wrong, "no size", "\"8KiB\""],
        );
    }
}

#[test]
fn words_that_are_not_known_are_refused_with_those_that_are() {
    for (section, key, allowed) in [
        ("pool", "mode", "\"lots\", \"pinned\""),
        ("places", "provider", "\"gazetteer\", \"google\", \"google-legacy\", \"overpass\""),
        ("log", "level", "\"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\""),
    ] {
        for wrong in ["\"other\"", "\"\"", "5"] {
            pair_refused(
                &format!("[{section}]\n{key} = {wrong}"),
                &[&format!(
                    "x.toml:9: [{section}] {key}: {wrong} is not known; allowed are {allowed}"
                )],
            );
        }
    }
    pair_refused(
        "link = \"open\"",
        &["x.toml:8: ", "link: \"open\"", "\"herd\", \"plain\", \"one-shot\""],
    );
    pair_refused(
        "[log]\ntraffic = \"yes\"",
        &["x.toml:9: [log] traffic: \"yes\"", "true or false"],
    );
    pair_refused("[log]\ndir = \"\"", &["x.toml:9: [log] dir: empty"]);
    pair_refused("[log]\ndir = 5", &["x.toml:9: [log] dir: 5 is no string"]);
}

#[test]
fn google_needs_its_key_from_one_place() {
    for provider in ["google", "google-legacy"] {
        pair_refused(
            &format!("[places]\nprovider = \"{provider}\""),
            &["x.toml:9: [places] provider: ", "API key", "key_env", "key_file"],
        );
        pair_refused(
            &format!("[places]\nprovider = \"{provider}\"\nkey_env = \"K\"\nkey_file = \"k\""),
            &["x.toml:11: [places] key_file: ", "one of them"],
        );
    }
}

#[test]
fn a_key_in_the_wrong_place_is_not_shown() {
    for line in [
        "key_env = \"s3cr3t-key\"",
        "base_url = \"https://me:s3cr3t@example.com\"",
        "base_url = \"https://example.com/?key=s3cr3t\"",
    ] {
        let text = format!("{PAIR}[places]\n{line}\n");
        let said = Config::parse(Path::new("x.toml"), &text).unwrap_err().to_string();
        assert!(said.starts_with("x.toml:9: [places] "), "{said}");
        assert!(!said.contains("s3cr3t"), "{said}");
    }
    for wrong in ["example.com", "ftp://example.com", "https://", "https:///x", "http://a b"] {
        pair_refused(
            &format!("[places]\nbase_url = \"{wrong}\""),
            &["x.toml:9: [places] base_url: ", wrong, "is no address"],
        );
    }
}

#[test]
fn a_long_value_is_cut_in_the_message() {
    let long = "x".repeat(10_000);
    let text = format!("{PAIR}[pool]\nmode = \"{long}\"\n");
    let said = Config::parse(Path::new("x.toml"), &text).unwrap_err().to_string();
    assert!(said.len() < 300, "{} bytes", said.len());
}

#[test]
fn a_file_that_is_not_there_or_no_text_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.toml");
    let said = Config::load(&path).unwrap_err().to_string();
    assert!(said.contains("x.toml: cannot be read") && said.contains("--conf FILE"), "{said}");
    std::fs::write(&path, b"# one\n# \xff\n").unwrap();
    let said = Config::load(&path).unwrap_err().to_string();
    assert!(said.contains("x.toml:2: not UTF-8"), "{said}");
}

#[test]
fn a_server_is_found_by_what_was_typed() {
    let config = accepted(PAIR);
    assert_eq!(config.server_named("Ball").unwrap().name, name("Ball"));
    let said = config.server_named("ball").unwrap_err().to_string();
    assert_eq!(said, "x.toml: no server is named \"ball\"; servers are Alford, Ball");
}
