//! A mixed herd: one server of each kind in one ring. What one is told, all come to know.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use herd::client::{Client, ClientError, Reply};
use support::{has_java, has_python, runs};

mod support;

const LIMIT: Duration = Duration::from_secs(30);

/// A kind of server: its name in the herd, and the command that runs it, to which name and conf are added.
struct Kind {
    name: &'static str,
    program: String,
    words: Vec<String>,
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Those whose runtime is here; the others are named.
fn kinds() -> Vec<Kind> {
    let variant = |path: &str| support::variant(path).to_str().unwrap().to_string();
    let beside = |name: &str| {
        Path::new(env!("CARGO_BIN_EXE_herd-bench"))
            .with_file_name(name)
            .to_str()
            .unwrap()
            .to_string()
    };
    let kind = |name, program: String, words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_string()).collect();
        Kind { name, program, words }
    };
    let mut kinds =
        vec![kind("Herd", beside("herd"), &["serve"]), kind("Tokio", beside("herd-tokio"), &[])];
    for (is_here, other) in [
        (runs("go", &["version"]), kind("Go", variant("go/run"), &[])),
        (has_java(), kind("Java", variant("java/run"), &[])),
        (runs("node", &["--version"]), kind("Node", "node".into(), &[&variant("node")])),
        (has_python("aiohttp"), kind("Asyncio", variant("asyncio/run"), &[])),
        (has_python("aiohttp, uvloop"), kind("Uvloop", variant("asyncio/run"), &["--uvloop"])),
    ] {
        if is_here {
            kinds.push(other);
        } else {
            eprintln!("skipped, for want of its runtime: {}", other.name);
        }
    }
    kinds
}

/// Ports that nobody listens on now.
fn addresses(count: usize) -> Vec<String> {
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

/// A ring; to the herd's server the others are plain.
fn conf(kinds: &[Kind], addresses: &[String], directory: &Path) -> String {
    let mut text = String::new();
    for (index, kind) in kinds.iter().enumerate() {
        let link = if kind.name == "Herd" { "herd" } else { "plain" };
        let next = kinds[(index + 1) % kinds.len()].name;
        let _ = write!(
            text,
            "[[server]]\nname = \"{}\"\nlisten = \"{}\"\nlink = \"{link}\"\nneighbors = [\"{next}\"]\n",
            kind.name, addresses[index]
        );
    }
    let logs = directory.join("logs");
    let _ = write!(text, "[pool]\nworkers = 64\n[log]\ndir = '{}'\n", logs.display());
    text
}

fn start(kind: &Kind, conf: &Path) -> Server {
    let mut command = Command::new(&kind.program);
    command.args(&kind.words).args([kind.name, "--stop-on-eof", "--conf"]).arg(conf);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut server = Server(child);
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("ready "), "{} said {line:?}", kind.name);
    server
}

fn ask(address: &str, line: &str) -> Result<Reply, ClientError> {
    let reply = Client::connect(address, LIMIT)?.request(line)?;
    Ok(reply.expect("no UPDATE is sent"))
}

/// What all servers say of a client, once they say the same.
#[track_caller]
fn agreed(addresses: &[String], client: &str, origin: &str) {
    let begun = Instant::now();
    loop {
        let answers: Vec<_> = addresses
            .iter()
            .map(|address| match ask(address, &format!("WHATSAT {client} 1 0")).unwrap() {
                Reply::Nearby(nearby) => Some(nearby.at),
                _ => None,
            })
            .collect();
        let first = &answers[0];
        if answers.iter().all(|answer| answer == first)
            && first.as_ref().is_some_and(|at| at.server.as_str() == origin)
        {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{client}, reported at {origin}: {answers:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn servers_of_all_kinds_in_one_ring_come_to_hold_the_same() {
    let kinds = kinds();
    let directory = tempfile::tempdir().unwrap();
    let addresses = addresses(kinds.len());
    let path = directory.path().join("mixed.toml");
    std::fs::write(&path, conf(&kinds, &addresses, directory.path())).unwrap();
    let mut servers: Vec<_> = kinds.iter().map(|kind| Some(start(kind, &path))).collect();
    let across = |index: usize| (index + 3) % kinds.len();
    for (index, (kind, address)) in kinds.iter().zip(&addresses).enumerate() {
        let client = format!("from-{}", kind.name);
        let report = format!("IAMAT {client} +34.068930-118.445127 1479413884.392014450");
        assert!(matches!(ask(address, &report).unwrap(), Reply::At(_)), "{}", kind.name);
        agreed(&addresses, &client, kind.name);
        // A newer one from the other side of the ring replaces it, and an older one does not.
        let newer = report.replace("392014450", "392014451");
        let across = across(index);
        ask(&addresses[across], &newer).unwrap();
        ask(address, &report).unwrap();
        agreed(&addresses, &client, kinds[across].name);
    }
    // Each is killed in turn and comes back with nothing: its neighbors tell it all.
    for index in 0..kinds.len() {
        servers[index] = None;
        servers[index] = Some(start(&kinds[index], &path));
        for (origin, kind) in kinds.iter().enumerate() {
            agreed(&addresses, &format!("from-{}", kind.name), kinds[across(origin)].name);
        }
    }
}
