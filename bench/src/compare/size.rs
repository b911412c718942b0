//! Lines that carry code, by rival and by concern: of the product's own modules, as far as a variant has to
//! have the like, and of each variant. Tests and comments do not count.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// In the order of the table. A file belongs to the concern that its name, or its directory's, says.
pub(super) const CONCERNS: [&str; 8] =
    ["main", "config", "log", "protocol", "records", "flood", "places", "server"];

/// Modules of the herd whose concern their names do not say.
const HERD: &[(&str, &str)] = &[
    ("main", "main"),
    ("commands/serve", "main"),
    ("config", "config"),
    ("log", "log"),
    ("protocol", "protocol"),
    ("records", "records"),
    ("flood", "flood"),
    ("places", "places"),
    ("server", "server"),
    ("listening", "server"),
    ("threads", "server"),
    ("counters", "server"),
];

/// What no variant has: digest sync, links with a key, other places, limits by address, pages.
const HERD_ALONE: &[&str] = &[
    "records/digest",
    "flood/sync",
    "flood/repair",
    "flood/speaker",
    "flood/filling",
    "flood/key",
    "flood/secure",
    "flood/messages",
    "flood/refusal",
    "flood/status",
    "places/gazetteer",
    "places/google",
    "places/overpass",
    "server/addresses",
    "server/rates",
    "server/exceeded",
    "server/watch",
];

/// Lines of code by concern.
pub(super) type Lines = BTreeMap<&'static str, usize>;

/// Of the herd as far as variants go, of all of it, and of each variant whose source is there.
///
/// # Errors
///
/// When a source can't be read.
pub(super) fn count(variants: &Path) -> io::Result<Vec<(&'static str, Lines)>> {
    let source = variants.join("../../src");
    let mut all = Vec::new();
    if source.is_dir() {
        let what_variants_have = |path: &str| {
            let is_alone = HERD_ALONE.iter().any(|alone| path.starts_with(alone));
            (!is_alone).then(|| herd_concern(path)).flatten()
        };
        all.push(("herd, what a variant has too", lines(&source, &what_variants_have)?));
        all.push((
            "herd, with all that no variant has",
            lines(&source, &|path| Some(herd_concern(path).unwrap_or("main")))?,
        ));
    }
    for (name, directory) in [
        ("tokio (and herd's config, log, protocol, records)", "tokio/src"),
        ("go", "go"),
        ("java", "java"),
        ("node", "node"),
        ("asyncio", "asyncio"),
    ] {
        let directory = variants.join(directory);
        if directory.is_dir() {
            all.push((name, lines(&directory, &variant_concern)?));
        }
    }
    Ok(all)
}

fn herd_concern(path: &str) -> Option<&'static str> {
    HERD.iter().find(|(start, _)| path.starts_with(start)).map(|(_, concern)| *concern)
}

/// The first part of the path that is a concern; else the file counts as part of the main program.
fn variant_concern(path: &str) -> Option<&'static str> {
    let lower = path.to_lowercase();
    let parts: Vec<&str> = lower.split('/').collect();
    let is_test =
        |part: &&str| part.starts_with("test") || part.ends_with("_test") || part.contains(".test");
    if parts.iter().any(is_test) {
        return None;
    }
    let concern =
        CONCERNS.iter().find(|concern| parts.iter().any(|part| part.starts_with(**concern)));
    Some(concern.copied().unwrap_or("main"))
}

/// `concern` is given a path within the directory, without its ending.
fn lines(directory: &Path, concern: &dyn Fn(&str) -> Option<&'static str>) -> io::Result<Lines> {
    let mut lines = Lines::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let is_source = |path: &Path| {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                !name.is_some_and(|name| {
                    matches!(name.as_str(), "node_modules" | "__pycache__" | "target")
                })
            };
            for entry in std::fs::read_dir(&path)? {
                open.extend(Some(entry?.path()).filter(|path| is_source(path)));
            }
            continue;
        }
        let within = path.strip_prefix(directory).unwrap_or(&path).with_extension("");
        let within = within.to_string_lossy().replace('\\', "/");
        if within == "tests" || within.ends_with("/tests") || within.contains("/tests/") {
            continue;
        }
        let comments = path.extension().map_or(Some(&SHELL), Comments::of);
        if let (Some(concern), Some(comments)) = (concern(&within), comments) {
            let text = std::fs::read_to_string(&path)?;
            *lines.entry(concern).or_default() += comments.lines_of_code(&text);
        }
    }
    Ok(lines)
}

/// How a language writes comments, as far as whole lines of them go.
struct Comments {
    line: &'static str,
    /// Where comments of several lines start and end. Python's are strings that nothing is done with.
    block: Option<(&'static str, &'static str)>,
}

const C_LIKE: Comments = Comments { line: "//", block: Some(("/*", "*/")) };
const PYTHON: Comments = Comments { line: "#", block: Some(("\"\"\"", "\"\"\"")) };
const SHELL: Comments = Comments { line: "#", block: None };

impl Comments {
    /// `None` for what is no source.
    fn of(extension: &std::ffi::OsStr) -> Option<&'static Self> {
        match extension.to_str()? {
            "rs" | "go" | "java" | "js" | "mjs" => Some(&C_LIKE),
            "py" => Some(&PYTHON),
            _ => None,
        }
    }

    /// Lines that hold more than white space and comment. Tests that stand at the end of a file do not
    /// count.
    fn lines_of_code(&self, text: &str) -> usize {
        let text = text.split("\n#[cfg(test)]\n").next().unwrap_or(text);
        let mut is_inside = false;
        let mut count = 0;
        for line in text.lines().map(str::trim) {
            if is_inside {
                is_inside = !self.block.is_some_and(|(_, end)| line.contains(end));
                continue;
            }
            if let Some((start, end)) = self.block
                && let Some(rest) = line.strip_prefix(start)
            {
                is_inside = !rest.contains(end);
                continue;
            }
            count += usize::from(!line.is_empty() && !line.starts_with(self.line));
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_empty_lines_and_tests_are_no_code() {
        let text =
            "//! What.\n\nfn main() {\n    // why\n    run();\n}\n\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(C_LIKE.lines_of_code(text), 3);
        let text = "\"\"\"What.\n\nMore.\n\"\"\"\n\nimport os  # why\n\n\"\"\"One line.\"\"\"\nos.sync()\n";
        assert_eq!(PYTHON.lines_of_code(text), 2);
        let text = "/**\n * What.\n */\nvoid run() {\n  /* why */\n}\n";
        assert_eq!(C_LIKE.lines_of_code(text), 2);
    }

    #[test]
    fn files_belong_to_the_concern_that_their_path_names() {
        assert_eq!(variant_concern("src/protocol/Fields"), Some("protocol"));
        assert_eq!(variant_concern("src/Server"), Some("server"));
        assert_eq!(variant_concern("run"), Some("main"));
        assert_eq!(variant_concern("tests/test_protocol"), None);
        assert_eq!(variant_concern("protocol_test"), None);
        assert_eq!(herd_concern("flood/outbox"), Some("flood"));
        assert_eq!(herd_concern("store/mod"), None);
    }

    #[test]
    fn the_herd_has_code_for_every_concern() {
        let variants = Path::new(env!("CARGO_MANIFEST_DIR")).join("variants");
        let all = count(&variants).unwrap();
        let (_, herd) = all.iter().find(|(name, _)| name.starts_with("herd, what")).unwrap();
        for concern in CONCERNS {
            assert!(herd.get(concern).is_some_and(|lines| *lines > 20), "{concern}: {herd:?}");
        }
    }
}
