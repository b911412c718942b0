//! Starts servers, says what becomes of them, starts them again, stops them.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use herd::config::Server;
use herd::protocol::ServerName;

use super::back_off::BackOff;
use super::process::{Death, Heard, Process, Run};
use super::screen::Screen;
use super::{CommandError, Event, Exit};

/// How long killed ones may take to be gone. The kernel does that at once, unless a disk hangs.
const KILL_LIMIT: Duration = Duration::from_secs(2);

/// The servers of a herd and what they are doing.
pub(super) struct Supervisor<'a> {
    slots: Vec<Slot<'a>>,
    serve: &'a dyn Fn(&ServerName) -> Command,
    screen: &'a dyn Screen,
    events: Sender<Event>,
    heard: Receiver<Event>,
    /// How long servers may take to stop.
    stop_limit: Duration,
}

/// The place of one server.
struct Slot<'a> {
    name: &'a ServerName,
    process: Option<Process>,
    starts: u64,
    back_off: BackOff,
    /// When to start it again, if it died.
    restart_at: Option<Instant>,
}

/// What became of the start.
pub(super) enum Started {
    /// All servers are ready.
    All,
    /// We were told to stop meanwhile.
    Stopped,
    /// A server did not start.
    Failed(CommandError),
}

/// A server that runs.
#[derive(Debug)]
pub(super) struct Running {
    /// Where it said that it listens.
    pub(super) address: String,
    pub(super) pid: u32,
}

/// What there is to decide about.
enum Happened {
    Stop,
    Ready(usize),
    Died(Death),
    Deadline,
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(
        servers: &[&'a Server],
        serve: &'a dyn Fn(&ServerName) -> Command,
        screen: &'a dyn Screen,
        events: Sender<Event>,
        heard: Receiver<Event>,
        stop_limit: Duration,
    ) -> Self {
        let slot = |server: &&'a Server| Slot {
            name: &server.name,
            process: None,
            starts: 0,
            back_off: BackOff::default(),
            restart_at: None,
        };
        Self { slots: servers.iter().map(slot).collect(), serve, screen, events, heard, stop_limit }
    }

    /// Starts all servers and waits until they are ready.
    pub(super) fn start(&mut self, limit: Duration) -> Started {
        for server in 0..self.slots.len() {
            if let Err(why) = self.start_one(server) {
                return Started::Failed(CommandError::RunTime(why));
            }
        }
        let deadline = Instant::now() + limit;
        while let Some(waiting) = self.slots.iter().find(|slot| !slot.is_ready()) {
            let name = waiting.name;
            match self.next(Some(deadline)) {
                Happened::Ready(_) => {}
                Happened::Stop => return Started::Stopped,
                Happened::Died(death) => return Started::Failed(self.did_not_start(&death)),
                Happened::Deadline => {
                    let why = format!("{name} was not ready within {limit:?}: see its log");
                    return Started::Failed(CommandError::RunTime(why));
                }
            }
        }
        Started::All
    }

    /// The servers that are ready, in the order of the conf.
    pub(super) fn running(&self) -> Vec<Running> {
        let processes = self.slots.iter().filter_map(|slot| slot.process.as_ref());
        let running = |process: &Process| {
            Some(Running { address: process.address.clone()?, pid: process.pid })
        };
        processes.filter_map(running).collect()
    }

    /// Starts servers again when they die, until we are told to stop.
    pub(super) fn keep_running(&mut self) {
        loop {
            let restart_at = self.slots.iter().filter_map(|slot| slot.restart_at).min();
            match self.next(restart_at) {
                Happened::Stop => return,
                Happened::Ready(server) => self.say_ready(server),
                Happened::Died(death) => {
                    let slot = &mut self.slots[death.server];
                    let wait = slot.back_off.after(death.ran);
                    slot.restart_at = Some(Instant::now() + wait);
                    let how = describe(slot.name, &death);
                    self.screen.err(&format!("{how}; starting it again in {wait:?}"));
                }
                Happened::Deadline => self.restart_due(),
            }
        }
    }

    /// Stops all servers: asks, waits, and kills those that stay or, told to stop again, all.
    pub(super) fn stop(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.restart_at = None);
        if self.alive() == 0 {
            return;
        }
        self.screen.err(&match self.alive() {
            1 => "Stopping 1 server; Ctrl-C again kills it.".to_string(),
            count => format!("Stopping {count} servers; Ctrl-C again kills them."),
        });
        self.processes().for_each(|process| process.terminate());
        let mut deadline = Instant::now() + self.stop_limit;
        let mut is_killed = false;
        while self.alive() > 0 {
            match self.next(Some(deadline)) {
                Happened::Ready(_) => {}
                Happened::Died(death) if death.status.success() => {}
                Happened::Died(death) => {
                    self.screen.err(&describe(self.slots[death.server].name, &death));
                }
                Happened::Deadline if is_killed => break,
                happened @ (Happened::Stop | Happened::Deadline) => {
                    if matches!(happened, Happened::Deadline) {
                        let limit = self.stop_limit;
                        self.screen.err(&format!("Some have not ended within {limit:?}."));
                    }
                    is_killed = true;
                    deadline = Instant::now() + KILL_LIMIT;
                    self.kill_all();
                }
            }
        }
        self.screen.err(match self.alive() {
            0 => "All servers have ended.",
            _ => "Some servers have not ended even when killed: see ps.",
        });
    }

    /// Waits for what there is to decide about next, at most until the deadline. Says what servers
    /// print meanwhile.
    fn next(&mut self, deadline: Option<Instant>) -> Happened {
        loop {
            if let Some(death) = self.take_death() {
                return Happened::Died(death);
            }
            let over_at = self.processes().filter_map(|process| process.over_at()).min();
            let event = match deadline.into_iter().chain(over_at).min() {
                Some(wake) => self.heard.recv_deadline(wake),
                // The supervisor holds a sender itself.
                None => self.heard.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match event {
                Ok(Event::Stop) => return Happened::Stop,
                Ok(Event::ChildEnded) => self.processes().for_each(Process::look),
                Ok(Event::Server(run, heard)) => {
                    if let Some(happened) = self.hear(run, heard) {
                        return happened;
                    }
                }
                Err(_) => {
                    self.processes().for_each(Process::look);
                    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Happened::Deadline;
                    }
                }
            }
        }
    }

    fn hear(&mut self, run: Run, heard: Heard) -> Option<Happened> {
        let slot = &mut self.slots[run.server];
        // What an earlier run said last is still worth showing, but changes nothing.
        let mut process = slot.process.as_mut().filter(|process| process.run == run);
        match heard {
            Heard::Ready(address) => {
                process?.address = Some(address);
                return Some(Happened::Ready(run.server));
            }
            Heard::Line(line) => {
                self.screen.err(&format!("{}: {line}", slot.name));
                if let Some(process) = &mut process {
                    process.last_line = Some(line);
                }
            }
            Heard::Silence => process?.is_silent = true,
        }
        None
    }

    fn take_death(&mut self) -> Option<Death> {
        let now = Instant::now();
        self.slots.iter_mut().find_map(|slot| {
            let death = slot.process.as_ref()?.death(now)?;
            slot.process = None;
            Some(death)
        })
    }

    fn start_one(&mut self, server: usize) -> Result<(), String> {
        let slot = &mut self.slots[server];
        slot.starts += 1;
        let run = Run { server, number: slot.starts };
        let process = Process::start(run, slot.name, (self.serve)(slot.name), &self.events)
            .map_err(|e| format!("cannot start {}: {e}", slot.name))?;
        slot.process = Some(process);
        Ok(())
    }

    fn restart_due(&mut self) {
        let now = Instant::now();
        for server in 0..self.slots.len() {
            if self.slots[server].restart_at.is_some_and(|at| at <= now) {
                self.slots[server].restart_at = None;
                if let Err(why) = self.start_one(server) {
                    let slot = &mut self.slots[server];
                    let wait = slot.back_off.after(Duration::ZERO);
                    slot.restart_at = Some(now + wait);
                    self.screen.err(&format!("{why}; trying again in {wait:?}"));
                }
            }
        }
    }

    fn say_ready(&self, server: usize) {
        let slot = &self.slots[server];
        if let Some(Process { address: Some(address), pid, .. }) = &slot.process {
            self.screen.err(&format!("{} is ready again on {address} (pid {pid})", slot.name));
        }
    }

    fn did_not_start(&self, death: &Death) -> CommandError {
        let how = describe(self.slots[death.server].name, death);
        let why = match &death.last_line {
            Some(line) => format!("{how}: {line}"),
            None => how,
        };
        match death.status.code() {
            Some(code) if code == Exit::Conf as i32 => CommandError::Conf(why),
            Some(code) if code == Exit::CannotListen as i32 => CommandError::CannotListen(why),
            _ => CommandError::RunTime(why),
        }
    }

    fn kill_all(&mut self) {
        for slot in &mut self.slots {
            if let Some(process) = &mut slot.process {
                self.screen.err(&format!("Killing {} (pid {})", slot.name, process.pid));
                process.kill();
            }
        }
    }

    fn alive(&self) -> usize {
        self.slots.iter().filter(|slot| slot.process.is_some()).count()
    }

    fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        self.slots.iter_mut().filter_map(|slot| slot.process.as_mut())
    }
}

impl Slot<'_> {
    fn is_ready(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.address.is_some())
    }
}

/// `Alford (pid 4711) exited with code 4 before it was ready`
fn describe(name: &ServerName, death: &Death) -> String {
    let when = if death.was_ready { "" } else { " before it was ready" };
    format!("{name} (pid {}) {}{when}", death.pid, how(death.status))
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("unknown");
            format!("was killed by signal {signal} ({name})")
        }
        (None, None) => format!("ended: {status}"),
    }
}
