//! Rust source as far as these checks have to read it.

use std::path::Path;

/// One file of `src`.
pub struct Source {
    /// Its path below `src`, such as `log/mod.rs`.
    pub name: String,
    /// Its text without comments and without what strings say.
    code: String,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), code: code(text) }
    }

    /// Every file of `src`, the tests in it too.
    pub fn all() -> Vec<Self> {
        let mut sources = Vec::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut directories = vec![root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                    let text = std::fs::read_to_string(&path).unwrap();
                    sources.push(Self::new(&name.replace('\\', "/"), &text));
                }
            }
        }
        assert!(sources.len() > 50, "only {} files in {}", sources.len(), root.display());
        sources
    }

    /// The module of the crate that it belongs to: `log` for `log/mod.rs`.
    pub fn module(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap()
    }

    /// What it names, as [`paths`] says it.
    pub fn all_paths(&self) -> Vec<String> {
        paths(&self.code)
    }

    /// What it names outside of tests.
    pub fn product_paths(&self) -> Vec<String> {
        paths(&self.product())
    }

    /// Its code outside of tests.
    pub fn product(&self) -> String {
        let is_tests = self.name.ends_with("/tests.rs");
        if is_tests { String::new() } else { without_tests(&self.code) }
    }

    /// Modules between it and the root of the crate, itself among them.
    pub fn depth(&self) -> usize {
        self.name.trim_end_matches("/mod.rs").split('/').count()
    }
}

/// The text without comments, and with nothing in its strings and characters.
fn code(text: &str) -> String {
    let (mut code, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            code.push_str("\"\"");
            string_length(&code[..code.len() - 2], rest)
        } else if first == '\'' {
            code.push('\'');
            character_length(rest)
        } else {
            code.push(first);
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    code
}

/// The bytes of the string literal at the start of `rest`; it is a raw one if `before` says so.
fn string_length(before: &str, rest: &str) -> usize {
    let prefix = before.trim_end_matches('#');
    if prefix.ends_with('r') {
        let end = format!("\"{}", &before[prefix.len()..]);
        return rest[1..].find(&end).map_or(rest.len(), |at| 1 + at + end.len());
    }
    let mut is_escaped = false;
    let end = rest[1..].find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    end.map_or(rest.len(), |at| at + 2)
}

/// The bytes of the character literal at the start of `rest`; 1 if it is a lifetime.
fn character_length(rest: &str) -> usize {
    let mut chars = rest[1..].chars();
    match chars.next() {
        Some('\\') => rest[3..].find('\'').map_or(rest.len(), |at| at + 4),
        Some(c) if chars.next() == Some('\'') => c.len_utf8() + 2,
        _ => 1,
    }
}

/// The code without the items that are there for tests only.
fn without_tests(code: &str) -> String {
    let (mut product, mut rest) = (String::new(), code);
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        product.push_str(before);
        rest = &item[item_length(item)..];
    }
    product + rest
}

/// The bytes of an item: to its `;`, or to the `}` that closes its first `{`.
fn item_length(item: &str) -> usize {
    let mut depth = 0;
    let end = item.find(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        depth == 0 && matches!(c, ';' | '}')
    });
    end.map_or(item.len(), |at| at + 1)
}

/// Every path and every single name in the code, with `::` at both ends and the braces of `use`
/// spelled out: `use std::{fs, io::Read};` is `::use::`, `::std::fs::` and `::std::io::Read::`.
pub fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    // For each brace that is open, the path before it: `::` if there is none.
    let mut prefixes = vec!["::".to_owned()];
    let (mut path, mut goes_on) = (String::new(), false);
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if word > 0 {
            if !goes_on {
                paths.push(std::mem::replace(&mut path, prefixes[prefixes.len() - 1].clone()));
            }
            path = path + &rest[..word] + "::";
            goes_on = false;
            rest = &rest[word..];
            continue;
        }
        match first {
            '{' if goes_on => prefixes.push(std::mem::take(&mut path)),
            '{' => prefixes.push("::".to_owned()),
            '}' if prefixes.len() > 1 => drop(prefixes.pop()),
            _ => {}
        }
        if rest.starts_with("::") {
            goes_on = true;
            rest = &rest[2..];
        } else {
            goes_on &= first.is_whitespace();
            rest = &rest[first.len_utf8()..];
        }
    }
    paths.push(path);
    paths.retain(|path| !path.is_empty());
    paths
}

#[test]
fn comments_strings_and_characters_are_no_code() {
    let text = r##"a // b
        c /* d */ "e \" f" g r#"h " i"# 'j' '\'' '"' k 'l "m" b"n\\" o"##;
    let named = paths(&code(text)).concat();
    assert_eq!(named, "::a::::c::::g::::r::::k::::l::::b::::o::");
}

#[test]
fn what_is_there_for_tests_only_is_no_product() {
    let text = "a\n#[cfg(test)]\nmod b;\nc\n#[cfg(test)]\nmod d { fn e() { '{' } }\nf";
    assert_eq!(paths(&Source::new("x.rs", text).product()).concat(), "::a::::c::::f::");
    assert_eq!(Source::new("x/tests.rs", text).product(), "");
}

#[test]
fn paths_are_whole_whatever_braces_they_are_in() {
    let text = "use std::{fs, io::{self, Read}};\nlet a = b::c { d: e::f!(<g>) };";
    let expected = "::use:: ::std::fs:: ::std::io::self:: ::std::io::Read:: \
                    ::let:: ::a:: ::b::c:: ::d:: ::e::f:: ::g::";
    assert_eq!(paths(text).join(" "), expected);
}
