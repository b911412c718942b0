//! `herd up`: every server of a conf file as a process of its own, watched and restarted.
//!
//! One thread decides everything; it reads one channel of [`Event`]s, which the threads that
//! watch signals and the servers' output feed. Each server's standard input is a pipe whose other end
//! only this process holds: when this process ends, however it ends, the servers see the end of their input
//! and stop (`serve --stop-on-eof`).

use std::env;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use herd::config::{Config, LinkKind, Server};
use herd::protocol::ServerName;
use herd::store::COMMIT_AT_STOP_WITHIN;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::{CommandError, Exit, check_keys};
use crate::cli::Up;

mod back_off;
mod guide;
mod ports;
mod process;
mod screen;
mod signals;
mod supervisor;
#[cfg(test)]
mod tests;

use screen::{Screen, Terminal};
use supervisor::{Started, Supervisor};

/// Longest time from the start of the servers until the last of them is ready. A server reads its
/// data in this time, a few seconds a million records; more only delays the message when one hangs.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// How long servers may take to stop, their stores aside: they flush their outboxes and logs in at
/// most 5 s.
const STOP_LIMIT: Duration = Duration::from_secs(8);

/// Events that wait to be handled. A server that prints faster than a terminal shows waits on its pipe.
const EVENTS: usize = 1024;

/// What the supervisor hears of.
#[derive(Debug)]
enum Event {
    /// Ctrl-C or SIGTERM.
    Stop,
    /// Some child ended (SIGCHLD).
    ChildEnded,
    /// Something about one run of one server.
    Server(process::Run, process::Heard),
}

pub(crate) fn run(args: &Up) -> Result<Exit, CommandError> {
    let config = Config::load(&args.conf)?;
    check_keys(&config)?;
    let program = env::current_exe()
        .map_err(|e| CommandError::RunTime(format!("cannot find the path of this program: {e}")))?;
    let serve = |name: &ServerName| {
        let mut command = Command::new(&program);
        command.args(["serve", name.as_str(), "--conf"]).arg(&args.conf).arg("--stop-on-eof");
        command
    };
    let cannot_watch = |e: io::Error| CommandError::RunTime(format!("cannot watch signals: {e}"));
    let (events, heard) = bounded(EVENTS);
    let watch = signals::watch(&[SIGINT, SIGTERM], events.clone()).map_err(cannot_watch)?;
    let result = supervise(&config, &program, &serve, &Terminal, events, heard);
    watch.close();
    result
}

/// Starts the servers of the conf with the command that `serve` makes, and keeps them running until
/// [`Event::Stop`].
fn supervise(
    config: &Config,
    program: &Path,
    serve: &dyn Fn(&ServerName) -> Command,
    screen: &dyn Screen,
    events: Sender<Event>,
    heard: Receiver<Event>,
) -> Result<Exit, CommandError> {
    let (ours, others): (Vec<&Server>, Vec<&Server>) =
        config.servers.iter().partition(|server| server.link == LinkKind::Herd);
    let conf = config.path.display();
    if ours.is_empty() {
        let why = format!(
            "{conf}: all servers are other programs (plain or one-shot), so there is nothing to \
             start; add one without `link`"
        );
        return Err(CommandError::Conf(why));
    }
    ports::check(&ours, config).map_err(CommandError::CannotListen)?;

    let of_stores = config.data.dir.as_ref().map_or(Duration::ZERO, |_| COMMIT_AT_STOP_WITHIN);
    let stop_limit = STOP_LIMIT + of_stores;
    let mut supervisor = Supervisor::new(&ours, serve, screen, events, heard, stop_limit);
    match supervisor.start(READY_LIMIT) {
        Started::All => {}
        Started::Stopped => {
            supervisor.stop();
            return Ok(Exit::Ok);
        }
        Started::Failed(why) => {
            supervisor.stop();
            return Err(why);
        }
    }
    screen.out(&guide::table(&ours, &supervisor.running(), &config.log.dir));
    if !others.is_empty() {
        screen.out(&guide::not_started(&others));
    }
    screen.out(&guide::commands(&ours, &supervisor.running(), program, &config.path));
    supervisor.keep_running();
    supervisor.stop();
    Ok(Exit::Ok)
}
