//! The transcripts as they lie in `tests/transcripts`.

use std::path::Path;

use herd::check::{Case, parse};

/// A case and the name of its file.
pub(crate) struct Filed {
    pub(crate) file: String,
    pub(crate) case: Case,
}

/// All cases of all files, in order.
pub(crate) fn all() -> Vec<Filed> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> =
        std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let cases = parse(&text).unwrap_or_else(|error| panic!("{file}, {error}"));
        all.extend(cases.into_iter().map(|case| Filed { file: file.clone(), case }));
    }
    all
}
