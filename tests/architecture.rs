//! What the architecture promises is absent: effects in the pure part, `unsafe`, threads that are born
//! elsewhere, dependencies against the reading order, an async runtime.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A source file: its path from the root of the crate, and its code without comments and tests.
struct Source {
    path: String,
    code: String,
}

/// The sources below a directory or file of `src`, tests aside.
fn sources(below: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    gather(&root.join(below), &mut paths);
    assert!(!paths.is_empty(), "nothing is in {below}");
    paths.retain(|path| path.file_name().is_some_and(|name| name != "tests.rs"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n");
        Source { path: path.strip_prefix(root).unwrap().to_str().unwrap().into(), code }
    };
    paths.into_iter().map(read).collect()
}

fn gather(path: &Path, paths: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            gather(&entry.unwrap().path(), paths);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        paths.push(path.to_path_buf());
    }
}

/// The files of all sources whose code has one of these texts.
fn files_with(texts: &[&str]) -> Vec<String> {
    let mut files: Vec<_> = sources("src")
        .into_iter()
        .filter(|source| texts.iter().any(|text| source.code.contains(text)))
        .map(|source| source.path)
        .collect();
    files.sort();
    files
}

#[test]
fn the_pure_part_names_no_socket_thread_clock_lock_file_or_log() {
    let effects = [
        "std::net",
        "std::thread",
        "std::fs",
        "std::process",
        "Instant",
        "SystemTime",
        "Mutex",
        "RwLock",
        "Condvar",
        "Atomic",
        "parking_lot",
        "crossbeam",
        "fastrand",
        "crate::log",
        "::log::",
        "print!",
        "println!",
    ];
    let found = |below: &str| -> BTreeSet<(String, &str)> {
        sources(below)
            .into_iter()
            .flat_map(|source| {
                let has = effects.into_iter().filter(move |effect| source.code.contains(effect));
                let path = source.path.clone();
                has.map(|effect| (path.clone(), effect)).collect::<Vec<_>>()
            })
            .collect()
    };
    assert_eq!(found("src/protocol"), BTreeSet::new());
    // The locks of the records and their count, and nothing else.
    let whole = |word| ("src/records/mod.rs".to_owned(), word);
    let allowed = ["RwLock", "Atomic"].map(whole);
    assert_eq!(found("src/records"), BTreeSet::from(allowed));
}

#[test]
fn unsafe_stands_nowhere() {
    assert_eq!(files_with(&["unsafe ", "allow(unsafe_code)"]), [""; 0]);
}

#[test]
fn threads_are_born_in_one_file_only() {
    // As std and the threadpool crate have it; `threads::spawn` is ours.
    let births = [
        "std::thread::spawn",
        " thread::spawn",
        "thread::Builder",
        "scope.spawn",
        "Builder::new().name",
        "ThreadPool::new",
        "threadpool::Builder",
    ];
    assert_eq!(files_with(&births), ["src/threads.rs"]);
}

#[test]
fn a_module_uses_only_those_above_it_in_the_map() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let order: Vec<_> =
        map.lines().filter_map(|line| line.strip_prefix("//! - [`")?.split('`').next()).collect();
    let modules: Vec<_> =
        map.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(BTreeSet::from_iter(&order), BTreeSet::from_iter(&modules));
    let mut uses = 0;
    for (at, module) in order.iter().enumerate() {
        let directory = format!("src/{module}");
        let is_directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(&directory).is_dir();
        let below = if is_directory { directory } else { format!("{directory}.rs") };
        for Source { path, code } in sources(&below) {
            for name in code.split("crate::").skip(1).flat_map(names) {
                let used = order.iter().position(|module| *module == name);
                let used = used.unwrap_or_else(|| panic!("{path} uses crate::{name}"));
                assert!(used <= at, "{path} uses crate::{name}, which stands below {module}");
                uses += 1;
            }
        }
    }
    assert!(uses > 50, "{uses}");
}

/// The first names of what stands behind `crate::`: of one path, or of several in braces.
fn names(code: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut names = Vec::new();
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        let begins = if depth == 0 { at == 0 } else { depth == 1 && matches!(c, '{' | ',') };
        if begins {
            let path = code[at..].trim_start_matches(['{', ',', ' ', '\n']);
            let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(path.len());
            names.push(&path[..end]);
        }
        if depth == 0 {
            break;
        }
    }
    // Behind the last comma of a group on several lines.
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn no_async_runtime_is_among_the_dependencies() {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tree", "-p", "herd", "-e", "normal", "--prefix", "none", "--offline", "--locked"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    let packages = packages(&tree);
    assert!(packages.contains("herd") && packages.contains("ureq"), "{packages:?}");
    assert_eq!(async_runtimes(&tree), BTreeSet::new());
}

#[test]
fn an_async_runtime_would_be_seen_among_the_dependencies() {
    let tree = "herd v0.1.0 (/herd)\nrustix v1.1.2\nureq v3.5.1\ntokio v1.54.1\n\
                tokio-macros v2.6.0 (proc-macro)\nmio v1.2.5\nasync-executor v1.13.3 (*)\n";
    let seen = BTreeSet::from(["tokio", "tokio-macros", "mio", "async-executor"]);
    assert_eq!(async_runtimes(tree), seen);
    assert_eq!(
        async_runtimes("herd v0.1.0 (/herd)\nrustix v1.1.2\nsmoltcp v0.12.0\n"),
        BTreeSet::new()
    );
}

/// The names in what `cargo tree --prefix none` prints, a line each: `tokio v1.54.1 (*)`.
fn packages(tree: &str) -> BTreeSet<&str> {
    tree.lines().filter_map(|line| line.split(' ').next()).collect()
}

/// Those that run futures or wait for their sockets.
fn async_runtimes(tree: &str) -> BTreeSet<&str> {
    /// A runtime, or a family of crates that make one.
    const RUNTIMES: [&str; 12] = [
        "tokio",
        "mio",
        "async-std",
        "async-executor",
        "async-global-executor",
        "async-io",
        "smol",
        "futures-executor",
        "glommio",
        "monoio",
        "compio",
        "actix-rt",
    ];
    let is_runtime = |name: &str| {
        let of = |runtime: &&str| {
            name.strip_prefix(*runtime).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        RUNTIMES.iter().any(of)
    };
    packages(tree).into_iter().filter(|name| is_runtime(name)).collect()
}
