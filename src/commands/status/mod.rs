//! `herd status`: how all servers of a herd stand.

mod view;

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use herd::client;
use herd::config::{Config, LinkKind, Server};
use herd::threads;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use self::view::{Seen, Sight, View};
use super::{CommandError, Exit};
use crate::cli::Status;

/// How long a server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Clears a terminal, and puts what follows on its top.
const CLEAR: &str = "\x1b[2J\x1b[H";

pub(crate) fn run(args: &Status) -> Result<Exit, CommandError> {
    let config = Config::load(&args.conf)?;
    if args.watch {
        return watch(&config, args.interval);
    }
    let view = look(&config)?;
    // Who closes the pipe early (`| head`) has read what they wanted; the exit code says the rest.
    let _ = write!(io::stdout(), "{view}");
    Ok(if view.is_well() { Exit::Ok } else { Exit::RunTime })
}

/// Looks again and again, until someone says stop.
fn watch(config: &Config, interval: Duration) -> Result<Exit, CommandError> {
    let stop = stop_requests()
        .map_err(|error| CommandError::RunTime(format!("cannot watch signals: {error}")))?;
    let clear = if io::stdout().is_terminal() { CLEAR } else { "" };
    loop {
        let view = look(config)?;
        let now = humantime::format_rfc3339_seconds(SystemTime::now());
        let mut stdout = io::stdout();
        let shown = write!(stdout, "{clear}{now}\n{view}\n").and_then(|()| stdout.flush());
        if shown.is_err() || stop.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
            return Ok(Exit::Ok);
        }
    }
}

/// Brings a word when someone says stop.
fn stop_requests() -> io::Result<Receiver<()>> {
    let (stop, requests) = crossbeam_channel::bounded(1);
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    threads::spawn("signals", "", move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(128 + signal);
            }
            // A full channel says stop already.
            let _ = stop.try_send(());
        }
    })?;
    Ok(requests)
}

/// Asks every herd server of the conf, all at the same time.
fn look(config: &Config) -> Result<View, CommandError> {
    let servers: Vec<&Server> =
        config.servers.iter().filter(|server| server.link == LinkKind::Herd).collect();
    let seen = std::thread::scope(|scope| -> io::Result<Vec<Seen>> {
        let asked: Vec<_> = servers
            .iter()
            .map(|server| threads::spawn_scoped(scope, "ask", || sight(server)))
            .collect::<io::Result<_>>()?;
        let sights = asked.into_iter().map(|asked| {
            asked.join().unwrap_or_else(|_| Sight::Unknown("asking it failed inside".to_owned()))
        });
        let named = servers.iter().zip(sights);
        Ok(named.map(|(server, sight)| Seen { name: server.name.clone(), sight }).collect())
    });
    let seen = seen.map_err(|e| CommandError::RunTime(format!("cannot start a thread: {e}")))?;
    let one_shot = config.servers.iter().filter(|server| server.link == LinkKind::OneShot);
    Ok(View::new(seen, one_shot.map(|server| server.name.clone()).collect()))
}

fn sight(server: &Server) -> Sight {
    let Some(admin) = &server.admin else {
        return Sight::Unknown("the conf gives it no `admin`, where it could be asked".to_owned());
    };
    if admin.ends_with(":0") {
        return Sight::Unknown(format!("`admin` is {admin}: the system picks the port"));
    }
    match client::status(admin, ANSWER_WITHIN) {
        Ok(status) if status.name == server.name.as_str() => Sight::Up(Box::new(status)),
        Ok(status) => Sight::Down(format!(
            "{} answers on {admin}: correct the `admin` of one of them",
            status.name
        )),
        Err(error) => Sight::Down(error.to_string()),
    }
}
