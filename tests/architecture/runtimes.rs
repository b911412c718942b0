//! No async runtime, not even underneath.

use std::process::Command;

const RUNTIMES: [&str; 8] = [
    "tokio",
    "async-std",
    "async-io",
    "async-executor",
    "smol",
    "futures-executor",
    "mio",
    "embassy-executor",
];

/// The runtimes among the crates that `cargo tree --prefix none` lists.
fn runtimes(tree: &str) -> Vec<&str> {
    let crates = tree.lines().filter_map(|line| line.split(' ').next());
    crates.filter(|name| RUNTIMES.contains(name)).collect()
}

#[test]
fn the_herd_is_built_without_an_async_runtime() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "-p", "herd", "-e", "normal", "--prefix", "none", "--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("\npolling v"), "not the herd's tree: {tree}");
    assert_eq!(runtimes(&tree), [""; 0]);
}

#[test]
fn an_async_runtime_is_found() {
    let tree = "herd v0.1.0 (/herd)\nlog v0.4.0\nmio v1.0.0\ntokio v1.0.0 (*)\ntokio-less v1.0.0\n";
    assert_eq!(runtimes(tree), ["mio", "tokio"]);
}
