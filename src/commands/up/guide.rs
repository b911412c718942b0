//! What `up` prints when all servers are ready: the table and commands to try. Pure, but for the
//! working directory that paths are shown from.

use std::env;
use std::path::{self, Path};

use herd::config::Server;

use super::supervisor::Running;
use crate::commands::table;

/// Taken by `send` when no `--conf` is given.
const DEFAULT_CONF: &str = "conf/herd.toml";

/// One row a server.
pub(super) fn table(servers: &[&Server], running: &[Running], log_dir: &Path) -> String {
    let log_dir = path::absolute(log_dir).unwrap_or_else(|_| log_dir.to_path_buf());
    let header = ["name", "address", "neighbors", "pid", "log file"].map(str::to_string);
    let rows = servers.iter().zip(running).map(|(server, running)| {
        let neighbors: Vec<_> = server.neighbors.iter().map(|name| name.as_str()).collect();
        [
            server.name.to_string(),
            running.address.clone(),
            neighbors.join(", "),
            running.pid.to_string(),
            log_dir.join(format!("{}.log", server.name)).display().to_string(),
        ]
    });
    table::table(&[header].into_iter().chain(rows).collect::<Vec<_>>())
}

/// Names the servers that are other programs.
pub(super) fn not_started(others: &[&Server]) -> String {
    let name = |server: &&Server| format!("{} ({}, {})", server.name, server.link, server.listen);
    let names: Vec<_> = others.iter().map(name).collect();
    format!("\nNot started, since they are other programs: {}", names.join(", "))
}

/// Three commands that work as printed.
pub(super) fn commands<'a>(
    servers: &[&'a Server],
    running: &'a [Running],
    program: &Path,
    conf: &Path,
) -> String {
    let here = env::current_dir().unwrap_or_default();
    let program = quoted(&shown_program(program, &here));
    let conf = match conf {
        conf if conf == Path::new(DEFAULT_CONF) => String::new(),
        conf => format!(" --conf {}", quoted(&conf.display().to_string())),
    };
    let send = format!("{program} send{conf}");
    // A port that the system picked is not in the conf.
    let target = |(server, running): (&&'a Server, &'a Running)| match server.listen.ends_with(":0")
    {
        true => running.address.as_str(),
        false => server.name.as_str(),
    };
    let targets: Vec<_> = servers.iter().zip(running).map(target).collect();
    let mut lines = try_out(&send, &targets);
    // Without an admin address there is little to see.
    if servers.iter().all(|server| server.admin.is_some()) {
        let status = format!("\nWatch it:\n  {program} status{conf} --watch");
        lines.insert(lines.len().saturating_sub(1), status);
    }
    lines.join("\n")
}

/// A report through the first server, a question to the last, and both in one go through one between.
/// `date +%s` since every system has that much of it.
fn try_out(send: &str, names: &[&str]) -> Vec<String> {
    let [first, .., last] = *names else {
        return names.first().map_or_else(Vec::new, |only| try_out(send, &[only, only]));
    };
    let between = names[names.len() / 2];
    vec![
        "\nTry:".to_string(),
        format!(r#"  {send} {first} "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 $(date +%s)""#),
        format!(r#"  {send} {last} "WHATSAT kiwi.cs.ucla.edu 10 5""#),
        format!(
            r#"  printf 'IAMAT duck +33.8708-117.9294 %s\nWHATSAT duck 5 2\n' "$(date +%s)" | {send} {between}"#
        ),
        "\nCtrl-C stops the herd.".to_string(),
    ]
}

/// The path of the program as a shell takes it, from here if that is shorter.
fn shown_program(program: &Path, here: &Path) -> String {
    match program.strip_prefix(here) {
        // Without a slash a shell would look for it in PATH.
        Ok(relative) if relative.components().count() == 1 => {
            format!("./{}", relative.display())
        }
        Ok(relative) => relative.display().to_string(),
        Err(_) => program.display().to_string(),
    }
}

/// The word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_shown_from_here_when_it_lies_below() {
        let shown = |program: &str| shown_program(Path::new(program), Path::new("/home/me/herd"));
        assert_eq!(shown("/home/me/herd/target/release/herd"), "target/release/herd");
        assert_eq!(shown("/home/me/herd/herd"), "./herd");
        assert_eq!(shown("/usr/bin/herd"), "/usr/bin/herd");
    }

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quoted("conf/herd.toml"), "conf/herd.toml");
        assert_eq!(quoted("my conf.toml"), "'my conf.toml'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_commands_go_through_different_servers() {
        let commands = try_out("herd send", &["A", "B", "C"]);
        let through =
            |name: &str, line: &str| line.contains(&format!("herd send {name}")).then_some(());
        assert_eq!(through("A", &commands[1]), Some(()));
        assert_eq!(through("C", &commands[2]), Some(()));
        assert_eq!(through("B", &commands[3]), Some(()));
    }

    #[test]
    fn a_herd_of_one_is_shown_with_that_one() {
        let commands = try_out("herd send", &["A"]);
        assert!(commands[1..4].iter().all(|line| line.contains("herd send A")), "{commands:?}");
    }
}
