//! A bare line echo: the work of a server without the work, in the models that are compared.

use std::fmt;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::str::FromStr;
use std::time::Duration;

use herd::listening;

mod lots;
mod tokio;

/// Wait after a failed accept: descriptors come free when connections end.
const BACK_OFF: Duration = Duration::from_millis(50);

/// How connections that stay open are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// As herd does it: a worker a core, over an epoll that they share.
    Lots,
    /// A task a connection, on tokio's multi-thread runtime.
    Tokio,
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "lots" => Ok(Self::Lots),
            "tokio" => Ok(Self::Tokio),
            _ => Err("there are \"lots\" and \"tokio\"".to_string()),
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lots => "lots",
            Self::Tokio => "tokio",
        })
    }
}

/// Says `ready echo ADDRESS`, and echoes until the process is ended.
///
/// # Errors
///
/// When the address can't be listened on.
pub(crate) fn run(listen: &str, model: Model) -> io::Result<()> {
    // Else 1,024 connections are the most, as a rule.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // As the herd does it: with a backlog of 4,096, and host names too.
    let listener = listening::bind(listen)?;
    match model {
        Model::Lots => lots::serve(&listener),
        Model::Tokio => tokio::serve(listener),
    }
}

fn say_ready(listener: &TcpListener) -> io::Result<()> {
    let mut stdout = io::stdout();
    let ready = writeln!(stdout, "ready echo {}", listener.local_addr()?);
    // Who started it may have closed its end.
    let _ = ready.and_then(|()| stdout.flush());
    Ok(())
}

fn say_not_accepted(error: &io::Error) {
    eprintln!("herd-bench: cannot accept: {error}");
    std::thread::sleep(BACK_OFF);
}
