//! The herd server on tokio's multi-thread runtime: a task a connection, a task a link.
//!
//! It is there to be compared with herd, so that threads and async can be told apart: what has nothing to do with
//! either comes from herd itself. Shared are the conf file and its checks (`herd::config`), the log
//! (`herd::log`), the protocol (`herd::protocol`), the records and their merge (`herd::records`), the API key
//! and the shapes of answers (`herd::places`), and of `herd::flood` what is in an outbox and how long to
//! wait between dials. Own are connections, turns, links, calls of the places service, start and stop.
//!
//! Reading order: [`server`], in it `session` (what commands mean), `turn` (what one turn gathers) and
//! `connection` (the task of a client); [`flood`]; [`places`].

mod flood;
mod places;
mod server;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use herd::config::{Config, ConfigError};
use herd::listening;
use herd::log::{Level, Log, LogError};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use places::{Places, PlacesError};
use server::Server;

/// How long the disk may take for the last lines of the log.
const LOG_CLOSES_WITHIN: Duration = Duration::from_secs(5);

/// the herd server on tokio, to be compared with herd
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help", "help"))]
struct Args {
    /// which server of the conf file to be
    #[argh(positional, arg_name = "NAME")]
    name: String,

    /// the conf file
    #[argh(option, arg_name = "FILE")]
    conf: PathBuf,

    /// stop at the end of standard input
    #[argh(switch)]
    stop_on_eof: bool,
}

/// Why there is no server, or its log is not whole.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Conf(#[from] ConfigError),
    #[error(transparent)]
    Places(#[from] PlacesError),
    #[error("cannot listen on {address}: {error}")]
    Listen { address: String, error: io::Error },
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
}

fn main() -> ExitCode {
    let args: Args = argh::from_env();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("herd-tokio: {failure}");
            failure.exit()
        }
    }
}

impl Failure {
    /// As `herd serve` ends.
    fn exit(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Conf(ConfigError::NoSuchServer { .. }) => 1,
            Self::Conf(_) | Self::Places(_) => 2,
            Self::Listen { .. } => 3,
            Self::Log(_) | Self::Runtime(_) => 4,
        })
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let config = Config::load(&args.conf)?;
    let conf = config.server_named(&args.name)?;
    let places = Places::new(&config.places)?;
    // Else 1,024 connections are the most, as a rule. If it is refused, accepting says so.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let cannot_listen = |error| Failure::Listen { address: conf.listen.clone(), error };
    let listener = listening::bind(&conf.listen).map_err(cannot_listen)?;
    let address = listener.local_addr().map_err(cannot_listen)?;
    let (log, log_thread) = Log::open(&conf.name, &config.log)?;

    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let stop = stop_request(args.stop_on_eof)?;
        let server = Server::start(&config, conf, listener, places, log.clone())?;
        say_ready(&conf.name, address);
        let reason = stop.await;
        log.event(Level::Info, format_args!("stopping: {reason}"));
        server.stop().await;
        Ok(())
    });
    // A read of standard input may hang for as long as nobody writes or closes that.
    runtime.shutdown_background();
    log_thread.close(LOG_CLOSES_WITHIN)?;
    served
}

/// Waits for SIGTERM, SIGINT or, if asked for, the end of standard input. From here on neither signal ends the
/// process by itself.
fn stop_request(on_eof: bool) -> io::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            () = end_of_input(), if on_eof => "its supervisor is gone",
        }
    })
}

async fn end_of_input() {
    // An input that can't be read has ended too.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}

/// Who started it may have closed its end; the server serves on.
fn say_ready(name: impl Display, address: SocketAddr) {
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "ready {name} {address}").and_then(|()| stdout.flush());
}
