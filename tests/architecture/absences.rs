//! Names that only one part of the sources may have, or that one part may not have.

use crate::source::Source;

/// Sockets, threads, clocks, chance, logs and screens.
const OUTSIDE: [&str; 21] = [
    "std::net",
    "std::thread",
    "std::fs",
    "std::env",
    "std::process",
    "Instant",
    "SystemTime",
    "socket2",
    "polling",
    "threads",
    "threadpool",
    "fastrand",
    "getrandom",
    "log",
    "stdout",
    "stderr",
    "print",
    "println",
    "eprint",
    "eprintln",
    "dbg",
];

const LOCKS: [&str; 9] = [
    "Mutex",
    "RwLock",
    "ReentrantMutex",
    "FairMutex",
    "Condvar",
    "Once",
    "OnceLock",
    "LazyLock",
    "Barrier",
];

const THREADS: [&str; 6] = [
    "thread::spawn",
    "thread::Builder",
    "Builder::spawn",
    "ThreadPool::new",
    "ThreadPool::with_name",
    "threadpool::Builder",
];

fn offence(source: &Source, path: &str) -> String {
    format!("src/{} names {}", source.name, path.trim_matches(':'))
}

/// Paths of the source that hold one of these names.
fn naming(source: &Source, paths: &[String], names: &[&str]) -> Vec<String> {
    let holds = |path: &&String| names.iter().any(|name| path.contains(&format!("::{name}::")));
    paths.iter().filter(holds).map(|path| offence(source, path)).collect()
}

/// The protocol and the records are pure, but for the lock of the map.
fn impure(source: &Source) -> Vec<String> {
    if !matches!(source.module(), "protocol" | "records") {
        return Vec::new();
    }
    let mut paths = source.product_paths();
    let mut offences = naming(source, &paths, &OUTSIDE);
    if source.name == "records/mod.rs" && paths.contains(&"::parking_lot::RwLock::".to_owned()) {
        paths.retain(|path| path != "::parking_lot::RwLock::" && !path.starts_with("::RwLock::"));
    }
    offences.extend(naming(source, &paths, &LOCKS));
    offences
}

/// `unsafe` stands in one file only.
fn not_safe(source: &Source) -> Vec<String> {
    if source.name == "server/readiness.rs" {
        return Vec::new();
    }
    naming(source, &source.all_paths(), &["unsafe", "unsafe_code"])
}

/// Threads are born in one file only: what is spawned elsewhere is a program, without arguments.
fn bearing_threads(source: &Source) -> Vec<String> {
    if source.name == "threads.rs" {
        return Vec::new();
    }
    let mut offences = naming(source, &source.product_paths(), &THREADS);
    let code = source.product();
    for spawn in [".spawn(", ".spawn_scoped("] {
        let with_arguments = code.split(spawn).skip(1).filter(|rest| !rest.starts_with(')'));
        offences.extend(with_arguments.map(|_| offence(source, spawn)));
    }
    offences
}

#[track_caller]
fn nowhere(check: fn(&Source) -> Vec<String>) {
    let offences: Vec<String> = Source::all().iter().flat_map(check).collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

/// Each of these texts, in that file, has to be found.
#[track_caller]
fn found(check: fn(&Source) -> Vec<String>, file: &str, texts: &[&str]) {
    for text in texts {
        assert_ne!(check(&Source::new(file, text)), [""; 0], "{file}: {text}");
    }
}

#[track_caller]
fn allowed(check: fn(&Source) -> Vec<String>, file: &str, text: &str) {
    assert_eq!(check(&Source::new(file, text)), [""; 0], "{file}: {text}");
}

#[test]
fn the_protocol_and_the_records_name_no_socket_thread_clock_lock_or_log() {
    nowhere(impure);
}

#[test]
fn what_is_not_pure_is_found() {
    let texts = [
        "use std::net::TcpStream;",
        "use std::{cmp::Ordering, net};",
        "fn f() { std::thread::yield_now() }",
        "use std::time::{Duration, Instant};",
        "let now = std::time::SystemTime::now();",
        "use crate::{log, config};",
        "log::info!(\"\");",
        "use log::{Level, warn};",
        "println!();",
        "eprintln!();",
        "use std::sync::{Arc, Mutex};",
        "static X: std::sync::OnceLock<u8> = std::sync::OnceLock::new();",
    ];
    found(impure, "protocol/time.rs", &texts);
    found(impure, "records/mod.rs", &texts);
    found(impure, "records/record.rs", &["use parking_lot::RwLock;"]);
    found(impure, "records/mod.rs", &["use std::sync::RwLock;", "use parking_lot::Mutex;"]);
    allowed(impure, "records/mod.rs", "use parking_lot::RwLock;\nstruct X(RwLock<u8>);");
    allowed(impure, "protocol/time.rs", "// std::net\n#[cfg(test)]\nuse std::net::TcpStream;");
    allowed(impure, "flood/link.rs", texts[0]);
}

#[test]
fn unsafe_stands_in_one_file_only() {
    nowhere(not_safe);
}

#[test]
fn what_is_unsafe_is_found() {
    let texts = ["unsafe { x() }", "#![allow(unsafe_code)]", "#[cfg(test)]\nunsafe fn f() {}"];
    found(not_safe, "server/lot.rs", &texts);
    allowed(not_safe, "server/readiness.rs", texts[0]);
    allowed(not_safe, "server/lot.rs", "/// Not `unsafe`.\nlet x = \"unsafe\";");
}

#[test]
fn threads_are_born_in_one_file_only() {
    nowhere(bearing_threads);
}

#[test]
fn a_thread_that_is_born_elsewhere_is_found() {
    let texts = [
        "std::thread::spawn(|| x);",
        "use std::thread::{Builder, JoinHandle};",
        "std::thread::scope(|scope| scope.spawn(|| x));",
        "let pool = threadpool::ThreadPool::new(1);",
        "let pool = threadpool::Builder::new();",
    ];
    found(bearing_threads, "flood/link.rs", &texts);
    allowed(bearing_threads, "threads.rs", texts[0]);
    allowed(bearing_threads, "flood/link.rs", "threads::spawn(\"x\", \"\", || x);");
    allowed(bearing_threads, "commands/up/process.rs", "Command::new(x).spawn()?;");
}
