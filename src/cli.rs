//! The command line as it is typed, and what `--help` says.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use argh::{EarlyExit, FromArgs};

mod check;

pub(crate) use check::{Check, PlayedNeighbor};

/// A herd of servers, each of which knows where every client is.
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    help_triggers("-h", "--help", "help"),
    example = "\
herd up                                  start the five servers of conf/herd.toml
herd send Alford IAMAT kiwi +34.068930-118.445127 1479413884.392014450
herd send Ball WHATSAT kiwi 10 5         what is near kiwi, asked of another server
herd status                              which servers are up, and do they know the same?
herd up --help                           more about one command",
    note = "Options take their value as the next word: --conf FILE, not --conf=FILE.",
    error_code(0, "all went well"),
    error_code(1, "the command line is wrong"),
    error_code(2, "the conf file is wrong"),
    error_code(3, "an address cannot be listened on"),
    error_code(
        4,
        "something failed at run time: a server cannot be reached, for one; status: not all is well"
    ),
    error_code(
        5,
        "send: a reply was \"? \", so the server refused a command; check: the server breaks a rule"
    )
)]
pub(crate) struct Herd {
    /// print the version and exit
    #[argh(switch)]
    pub(crate) version: bool,

    #[argh(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand)]
pub(crate) enum Command {
    Up(Up),
    Serve(Serve),
    Send(Send),
    Status(Status),
    CheckConf(CheckConf),
    Keygen(Keygen),
    Check(Check),
}

/// start every server of a conf file, each as a process of its own
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "up",
    help_triggers("-h", "--help", "help"),
    example = "\
herd up
herd up --conf conf/wilkes.toml",
    note = "\
Prints a table of the servers, and commands to try. A server that dies is started again.
Ctrl-C stops all of them cleanly, a second Ctrl-C at once. Servers whose link is \"plain\" or
\"one-shot\" in the conf file are other programs, and are not started."
)]
pub(crate) struct Up {
    /// the conf file [default: conf/herd.toml]
    #[argh(option, arg_name = "FILE", default = "default_conf()")]
    pub(crate) conf: PathBuf,
}

/// run one server of a conf file, here
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "serve",
    help_triggers("-h", "--help", "help"),
    example = "\
herd serve Alford
herd serve Alford --conf conf/machines.toml",
    note = "\
This is how a herd that is spread over machines is run: the same conf file on each of them.
Says \"ready NAME ADDRESS\" when it listens, and stops cleanly on Ctrl-C or SIGTERM."
)]
pub(crate) struct Serve {
    /// the server's name in the conf file
    #[argh(positional, arg_name = "NAME")]
    pub(crate) name: String,

    /// the conf file [default: conf/herd.toml]
    #[argh(option, arg_name = "FILE", default = "default_conf()")]
    pub(crate) conf: PathBuf,

    /// stop when standard input ends; `herd up` uses it
    #[argh(switch, hidden_help)]
    pub(crate) stop_on_eof: bool,
}

/// send commands to a server and print its replies
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "send",
    help_triggers("-h", "--help", "help"),
    usage = "TARGET [COMMAND...] [--conf FILE] [--timeout SECONDS]",
    example = "\
herd send Alford IAMAT kiwi +34.068930-118.445127 1479413884.392014450
herd send Ball WHATSAT kiwi 10 5
herd send 127.0.0.1:12001 WHATSAT kiwi 10 5
herd send Alford --timeout 2 < commands.txt",
    note = "\
COMMAND is one command; its words are joined by one space. Without it every line of standard
input is a command: they are sent without waiting, and the replies come in their order.
After \"--\" no word is an option: herd send Alford -- --conf is sent whole"
)]
pub(crate) struct Send {
    /// a server's name in the conf file, or HOST:PORT
    #[argh(positional, arg_name = "TARGET")]
    pub(crate) target: String,

    /// the conf file, if TARGET is a name [default: conf/herd.toml]
    #[argh(option, arg_name = "FILE", default = "default_conf()")]
    pub(crate) conf: PathBuf,

    /// longest wait for a connection, and for each reply [default: 10]
    #[argh(
        option,
        arg_name = "SECONDS",
        default = "Duration::from_secs(10)",
        from_str_fn(seconds)
    )]
    pub(crate) timeout: Duration,

    /// greedy: a location such as -34.06+118.44 starts with "-" and is still no option
    #[argh(positional, greedy, arg_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// show how all servers of a conf file stand
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("-h", "--help", "help"),
    example = "\
herd status
herd status --conf conf/machines.toml
herd status --watch --interval 1",
    note = "\
Each server is asked at its `admin` address, for 2 seconds at most. Servers with the same digest hold
the same records; lag is how long the oldest update has waited for a neighbor. A server without
`admin` in the conf is unknown, and does not count as up.",
    error_code(
        0,
        "all servers are up, and equal or catching up: all links up, every lag under 5 s"
    ),
    error_code(4, "a server is down or unknown, or their records differ for longer"),
    error_code(2, "the conf file is wrong")
)]
pub(crate) struct Status {
    /// the conf file [default: conf/herd.toml]
    #[argh(option, arg_name = "FILE", default = "default_conf()")]
    pub(crate) conf: PathBuf,

    /// show it again and again, until Ctrl-C, which ends with 0
    #[argh(switch)]
    pub(crate) watch: bool,

    /// time between two looks of --watch [default: 2]
    #[argh(option, arg_name = "SECONDS", default = "Duration::from_secs(2)", from_str_fn(seconds))]
    pub(crate) interval: Duration,
}

/// check a conf file and show what it says
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "check-conf",
    help_triggers("-h", "--help", "help"),
    example = "\
herd check-conf
herd check-conf --conf conf/machines.toml"
)]
pub(crate) struct CheckConf {
    /// the conf file [default: conf/herd.toml]
    #[argh(option, arg_name = "FILE", default = "default_conf()")]
    pub(crate) conf: PathBuf,
}

/// write a new key for the links of a herd to a file
#[derive(FromArgs, Debug, PartialEq)]
#[argh(
    subcommand,
    name = "keygen",
    help_triggers("-h", "--help", "help"),
    example = "\
herd keygen herd.key",
    note = "\
Every server of a herd has the same file, named by [links] key_file in the conf file. Only its owner may
read it. A file that is there already is not overwritten.

To exchange a key without a stop: write a new one to another file; add its line as the last one of every
server's key file; then make it the first line everywhere; then remove the old line everywhere. Servers
read the file again by themselves."
)]
pub(crate) struct Keygen {
    /// the file to write
    #[argh(positional, arg_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Reads the words after the program's name.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Herd, EarlyExit> {
    let words = words
        .map(|word| {
            word.into_string()
                .map_err(|word| format!("not UTF-8: {}", word.to_string_lossy()).into())
        })
        .collect::<Result<Vec<String>, EarlyExit>>()?;
    let words = send_options_first(words);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Herd::from_args(&["herd"], &words)
}

/// What `herd --help` prints.
pub(crate) fn help() -> String {
    match Herd::from_args(&["herd"], &["--help"]) {
        Err(EarlyExit { output, .. }) => output,
        Ok(_) => String::new(),
    }
}

/// Moves options that follow the command of a `send` before it, where argh looks for them: after the
/// first word of the command all is the command's. No valid command has such a word last but one.
fn send_options_first(mut words: Vec<String>) -> Vec<String> {
    let is_send = words.first().is_some_and(|word| word == "send");
    if !is_send || words.iter().any(|word| word == "--") {
        return words;
    }
    let mut unmoved = words.len();
    while unmoved > 3 && ["--conf", "--timeout"].contains(&words[words.len() - 2].as_str()) {
        words[1..].rotate_right(2);
        unmoved -= 2;
    }
    words
}

fn seconds(text: &str) -> Result<Duration, String> {
    /// A day: enough for anyone who waits on purpose.
    const MOST_SECONDS: f64 = 86_400.0;
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=MOST_SECONDS).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err("write seconds from 0.001 to 86400, such as 2.5".to_string()),
    }
}

fn default_conf() -> PathBuf {
    PathBuf::from("conf/herd.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Herd, EarlyExit> {
        parse(line.split(' ').map(OsString::from))
    }

    #[track_caller]
    fn send(line: &str) -> Send {
        match parsed(line).unwrap().command {
            Some(Command::Send(send)) => send,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[track_caller]
    fn usage_error(line: &str, what: &str) {
        let exit = parsed(line).unwrap_err();
        assert_eq!(exit.status, Err(()), "{line}");
        assert!(exit.output.contains(what), "{line}: {}", exit.output);
    }

    #[test]
    fn a_location_with_a_minus_is_no_option() {
        for location in ["-34.06+118.44", "+34.06-118.44", "-34-118", "+34.0+118.4"] {
            let send = send(&format!("send Alford IAMAT kiwi {location} 1479413884.39"));
            assert_eq!(send.target, "Alford");
            assert_eq!(send.command, ["IAMAT", "kiwi", location, "1479413884.39"]);
        }
    }

    #[test]
    fn options_of_send_may_stand_before_or_after_target_and_command() {
        let command = "WHATSAT kiwi 10 5";
        for line in [
            format!("send --conf a.toml --timeout 2.5 Ball {command}"),
            format!("send --conf a.toml Ball --timeout 2.5 {command}"),
            format!("send Ball --timeout 2.5 --conf a.toml {command}"),
            format!("send Ball --timeout 2.5 {command} --conf a.toml"),
            format!("send Ball {command} --conf a.toml --timeout 2.5"),
        ] {
            let send = send(&line);
            assert_eq!(send.target, "Ball", "{line}");
            assert_eq!(send.command.join(" "), command, "{line}");
            assert_eq!(send.conf, PathBuf::from("a.toml"), "{line}");
            assert_eq!(send.timeout, Duration::from_millis(2500), "{line}");
        }
    }

    #[test]
    fn send_without_a_command_has_only_a_target() {
        let send = send("send [::1]:12000 --timeout 1");
        assert_eq!((send.target.as_str(), send.command.len()), ("[::1]:12000", 0));
        assert_eq!(send.conf, PathBuf::from("conf/herd.toml"));
    }

    #[test]
    fn after_two_hyphens_all_is_the_command() {
        assert_eq!(send("send Alford -- -x").command, ["-x"]);
        assert_eq!(send("send Alford -- A --conf b").command, ["A", "--conf", "b"]);
    }

    #[test]
    fn a_word_of_the_command_may_be_one_that_asks_for_help() {
        assert_eq!(send("send Alford WHATSAT help 10 5").command[1], "help");
    }

    #[test]
    fn usage_errors_name_the_word() {
        usage_error("send", "TARGET");
        usage_error("serve", "NAME");
        usage_error("keygen", "FILE");
        usage_error("check A --max-line 511", "512");
        usage_error("check A --max-ahead 1h", "70 min");
        usage_error("check A --at-a-time 0", "1 to 1000");
        usage_error("check A --name .a", "letters");
        usage_error("check A --neighbor B", "NAME=HOST:PORT");
        usage_error("check A --neighbor B=9", "HOST:PORT");
        usage_error("check A --neighbor .=a:9", "letters");
        usage_error("dance", "dance");
        usage_error("up --confs x", "--confs");
        usage_error("up --conf", "--conf");
        usage_error("send A --timeout soon B", "soon");
        usage_error("send A --timeout 0 B", "0.001");
        usage_error("send A --timeout inf B", "86400");
        usage_error("send A --timeout NaN B", "86400");
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        for line in [
            "--help",
            "-h",
            "up --help",
            "serve --help",
            "send --help",
            "status -h",
            "check-conf -h",
            "keygen --help",
            "check --help",
        ] {
            let exit = parsed(line).unwrap_err();
            assert_eq!(exit.status, Ok(()), "{line}");
            assert!(exit.output.contains("Examples:\n  herd "), "{line}: {}", exit.output);
            assert!(!exit.output.contains("stop-on-eof"), "{line}");
        }
    }
}
