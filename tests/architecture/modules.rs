//! Dependencies run one way, in the order that the crate's own page tells.

use crate::source::{Source, paths};

const CRATE: &str = include_str!("../../src/lib.rs");

/// The modules in reading order, from the list in the crate's documentation.
fn reading_order(page: &str) -> Vec<&str> {
    page.lines()
        .filter_map(|line| line.strip_prefix("//! - [`")?.split_once('`'))
        .map(|x| x.0)
        .collect()
}

/// What the source names of modules that are not above its own.
fn upward(source: &Source, order: &[&str]) -> Vec<String> {
    // The binary is made of these, and sees the crate from outside.
    if matches!(source.module(), "lib" | "main" | "cli" | "commands") {
        return Vec::new();
    }
    let above = order.split(|module| *module == source.module()).next().unwrap_or_default();
    // So many steps up and one is at the root.
    let code = source.product().replace(&"super::".repeat(source.depth()), "crate::");
    let mut offences = Vec::new();
    for path in paths(&code) {
        let Some(rest) = path.strip_prefix("::crate::") else { continue };
        let module = rest.split("::").next().unwrap();
        if module != source.module() && !above.contains(&module) {
            offences.push(format!("src/{} uses {module}", source.name));
        }
    }
    offences
}

#[test]
fn a_module_uses_only_those_above_it() {
    let order = reading_order(CRATE);
    let sources = Source::all();
    let offences: Vec<_> = sources.iter().flat_map(|source| upward(source, &order)).collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn the_crates_page_lists_every_module() {
    let mut listed = reading_order(CRATE);
    listed.sort_unstable();
    let declared: Vec<_> =
        CRATE.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(listed, declared);
    assert!(!CRATE.lines().any(|line| line.starts_with("mod ")), "a module that is not listed");
}

#[test]
fn a_module_that_uses_one_below_it_is_found() {
    let order = reading_order("//! - [`a`]: x\n//! - [`b`]: y\n//! - [`c`]: z\n");
    assert_eq!(order, ["a", "b", "c"]);
    let uses = |file: &str, text: &str| upward(&Source::new(file, text), &order);
    assert_eq!(uses("b.rs", "use crate::c::D;"), ["src/b.rs uses c"]);
    assert_eq!(uses("b/d.rs", "use crate::{a, c};"), ["src/b/d.rs uses c"]);
    assert_eq!(uses("b/d.rs", "crate::c::f();"), ["src/b/d.rs uses c"]);
    assert_eq!(uses("b/d.rs", "use super::super::c;"), ["src/b/d.rs uses c"]);
    assert_eq!(uses("b/mod.rs", "use super::c;"), ["src/b/mod.rs uses c"]);
    assert_eq!(uses("b.rs", "use crate::Client;"), ["src/b.rs uses Client"]);
    assert_eq!(uses("b/d.rs", "use crate::a;\nuse crate::b::e;\nuse super::c;"), [""; 0]);
}
