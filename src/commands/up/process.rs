//! One run of one server: the process, and the threads that read what it prints.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use herd::protocol::ServerName;
use herd::threads;
use rustix::process::{Pid, Signal, kill_process};

use super::Event;

/// Longest line of a server's output that is passed on in one piece, in bytes.
const LINE_BYTES: u64 = 8 << 10;

/// How long the last lines of a server that has ended may take to come. They are in the pipe already,
/// unless a child of its own holds the pipe open.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Which run of which server: events of an earlier run may come late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Its place in the conf.
    pub(super) server: usize,
    /// Counts its starts.
    pub(super) number: u64,
}

/// What a server prints.
#[derive(Debug)]
pub(super) enum Heard {
    /// `ready NAME ADDRESS` on standard output.
    Ready(String),
    /// Any other line.
    Line(String),
    /// The end of standard error.
    Silence,
}

/// A server that was started. Its end is found by [`Process::look`].
pub(super) struct Process {
    pub(super) run: Run,
    pub(super) pid: u32,
    /// Where it listens, once it is ready.
    pub(super) address: Option<String>,
    /// What it printed last that was not `ready`.
    pub(super) last_line: Option<String>,
    pub(super) is_silent: bool,
    child: Child,
    started: Instant,
    ended: Option<(ExitStatus, Instant)>,
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct Death {
    pub(super) server: usize,
    pub(super) pid: u32,
    pub(super) status: ExitStatus,
    pub(super) ran: Duration,
    pub(super) was_ready: bool,
    pub(super) last_line: Option<String>,
}

impl Process {
    /// Starts the command in a process group of its own, so that a terminal's Ctrl-C reaches only us, with
    /// pipes to and from it.
    pub(super) fn start(
        run: Run,
        name: &ServerName,
        mut command: Command,
        events: &Sender<Event>,
    ) -> io::Result<Self> {
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let process = |child: Child| Self {
            run,
            pid: child.id(),
            address: None,
            last_line: None,
            is_silent: false,
            child,
            started: Instant::now(),
            ended: None,
        };
        match listen(run, name, &mut child, events) {
            Ok(()) => Ok(process(child)),
            Err(e) => {
                // Nobody would hear it: it must not stay.
                let _ = child.kill();
                let _ = child.wait();
                Err(e)
            }
        }
    }

    /// Looks whether the process has ended.
    pub(super) fn look(&mut self) {
        if self.ended.is_none() {
            // An error means that there is no such child, which only we could have waited for.
            let status = self.child.try_wait().ok().flatten();
            self.ended = status.map(|status| (status, Instant::now()));
        }
    }

    /// When to give up on the last lines of a process that has ended; `None` while it runs.
    pub(super) fn over_at(&self) -> Option<Instant> {
        let (_, ended) = self.ended?;
        Some(if self.is_silent { ended } else { ended + LAST_LINES })
    }

    /// How it ended, once there is nothing more to hear of it.
    pub(super) fn death(&self, now: Instant) -> Option<Death> {
        let (status, ended) = self.ended?;
        self.over_at().filter(|&over| over <= now).map(|_| Death {
            server: self.run.server,
            pid: self.pid,
            status,
            ran: ended - self.started,
            was_ready: self.address.is_some(),
            last_line: self.last_line.clone(),
        })
    }

    /// Asks it to stop: SIGTERM.
    pub(super) fn terminate(&self) {
        // Until `look` has seen its end, the pid can be nobody else's.
        if self.ended.is_none() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
    }

    /// Ends it at once: SIGKILL, also if it is stopped (SIGSTOP).
    pub(super) fn kill(&mut self) {
        if self.ended.is_none() {
            let _ = self.child.kill();
        }
    }
}

/// Starts the threads that read standard output and standard error.
fn listen(
    run: Run,
    name: &ServerName,
    child: &mut Child,
    events: &Sender<Event>,
) -> io::Result<()> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let ready = format!("ready {name} ");
    let tell = events.clone();
    let on_out = move |line: String| {
        let heard = match line.strip_prefix(&ready) {
            Some(address) => Heard::Ready(address.to_string()),
            None => Heard::Line(line),
        };
        tell.send(Event::Server(run, heard)).is_ok()
    };
    let tell = events.clone();
    let read_out = move || out.into_iter().for_each(|out| each_line(out, &on_out));
    let read_err = move || {
        let on_err = |line| tell.send(Event::Server(run, Heard::Line(line))).is_ok();
        err.into_iter().for_each(|err| each_line(err, on_err));
        // Nobody is left to be told when the supervisor is gone.
        let _ = tell.send(Event::Server(run, Heard::Silence));
    };
    threads::spawn("out", name.as_str(), read_out)?;
    threads::spawn("err", name.as_str(), read_err)?;
    Ok(())
}

/// Hands over each line, without its end, until that returns false or the input ends.
fn each_line(input: impl Read, on_line: impl Fn(String) -> bool) {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            _ => return,
        }
        // Whose line it is, the supervisor says itself.
        let said = line.strip_prefix(b"herd: ").unwrap_or(&line);
        if !on_line(String::from_utf8_lossy(said.trim_ascii_end()).into_owned()) {
            return;
        }
    }
}
