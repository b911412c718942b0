//! `herd serve`: one server, in the foreground, until it is told to stop.

use std::io::{self, Read as _, Write as _};

use crossbeam_channel::Sender;
use herd::config::{self, Config};
use herd::log::{self, Level, Log};
use herd::server::{Server, ServerError, descriptors};
use herd::threads;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{CommandError, Exit, port_owner};
use crate::cli::Serve;

pub(crate) fn run(args: &Serve) -> Result<Exit, CommandError> {
    let config = Config::load(&args.conf)?;
    let conf = config.server_named(&args.name)?;
    let name = &conf.name;
    let stop = stop_requests(args.stop_on_eof).map_err(threads_failed)?;
    let open_files = raise_open_files();

    let server = Server::bind(&config, name).map_err(|error| cannot_bind(error, &config, conf))?;
    let address = server.address();
    let server = server.start(&config).map_err(cannot_start)?;
    let _global = log::set_global(server.log());
    say_open_files(open_files, &config, conf, server.log());
    say_ready(&format!("ready {name} {address}"));

    let reason = stop.recv().unwrap_or("nobody could say stop any more");
    server.log().event(Level::Info, format_args!("stopping: {reason}"));
    server.stop();
    Ok(Exit::Ok)
}

/// What says stop: SIGTERM, SIGINT (a second one ends the process at once), and, if asked for, the
/// end of standard input.
fn stop_requests(on_eof: bool) -> io::Result<crossbeam_channel::Receiver<&'static str>> {
    // Room for one of each kind, so that nobody who says stop ever waits.
    let (stop, requests) = crossbeam_channel::bounded(2);
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    {
        let stop = stop.clone();
        threads::spawn("signals", "", move || {
            for (count, signal) in signals.forever().enumerate() {
                if count > 0 {
                    std::process::exit(128 + signal);
                }
                request(&stop, if signal == SIGINT { "SIGINT" } else { "SIGTERM" });
            }
        })?;
    }
    if on_eof {
        threads::spawn("stdin", "", move || {
            let mut discarded = [0; 256];
            while io::stdin().read(&mut discarded).is_ok_and(|length| length > 0) {}
            request(&stop, "its supervisor is gone");
        })?;
    }
    Ok(requests)
}

fn request(stop: &Sender<&'static str>, reason: &'static str) {
    // A full channel says stop already.
    let _ = stop.try_send(reason);
}

/// Who started it may have closed its end; the server serves on.
fn say_ready(line: &str) {
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Raises the soft limit of open files to the hard one, and returns it.
fn raise_open_files() -> Option<u64> {
    rlimit::increase_nofile_limit(u64::MAX).ok()
}

/// Says so if the connections that the conf allows do not fit the limit of open files.
fn say_open_files(limit: Option<u64>, config: &Config, server: &config::Server, log: &Log) {
    let wanted = descriptors::needed(config, server) as u64;
    if let Some(limit) = limit.filter(|&limit| limit < wanted) {
        let message = format!(
            "[pool] max_connections = {} does not fit the limit of {limit} open files; lower it, or raise the limit to {wanted} (ulimit -Hn)",
            config.pool.max_connections
        );
        eprintln!("herd: {message}");
        log.event(Level::Warn, format_args!("{message}"));
    }
}

fn threads_failed(error: io::Error) -> CommandError {
    CommandError::RunTime(format!("cannot start: {error}"))
}

fn cannot_bind(error: ServerError, config: &Config, server: &config::Server) -> CommandError {
    match &error {
        ServerError::Listen { address, error } => {
            CommandError::CannotListen(port_owner::describe(server, address, error, &config.path))
        }
        // It was asked for by name.
        ServerError::NotHerd(..) => CommandError::Usage(error.to_string()),
        _ => cannot_start(error),
    }
}

fn cannot_start(error: ServerError) -> CommandError {
    match error {
        ServerError::Provider(_) | ServerError::Key(_) => CommandError::Conf(error.to_string()),
        _ => CommandError::RunTime(error.to_string()),
    }
}
