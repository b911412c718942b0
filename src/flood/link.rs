//! The state of the link to one neighbor: up when both directions are.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::handshake::Instance;
use super::outbox::Outbox;
use super::repair::Repair;
use super::status::{History, LinkStatus};
use crate::config::LinkKind;
use crate::protocol::ServerName;
use crate::waits::{Condvar, Mutex};

/// Whom a link leads to.
#[derive(Clone, Debug)]
pub struct Neighbor {
    /// Its name.
    pub name: ServerName,
    /// How it takes updates.
    pub kind: LinkKind,
    /// Where it is dialed, `HOST:PORT`.
    pub address: String,
}

/// The link to one neighbor. One thread dials and writes ([`super::dial`]); threads of accepted
/// connections ([`super::peer`]) report theirs here.
#[derive(Debug)]
pub struct Link {
    /// Whom it leads to.
    pub neighbor: Neighbor,
    /// What waits to be sent.
    pub outbox: Outbox,
    /// Updates sent since the start.
    pub sent: AtomicU64,
    /// Updates received since the start.
    pub received: AtomicU64,
    /// Bytes that a plain or one-shot neighbor sent back, and that were dropped.
    pub discarded_bytes: AtomicU64,
    /// What is to be repaired between its two ends.
    pub repair: Repair,
    /// What has become of it.
    pub history: History,
    state: Mutex<State>,
    /// Signalled at every change of the state.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_stopping: bool,
    dialed: Option<Arc<TcpStream>>,
    accepted: Option<Heard>,
    /// How many connections were accepted from this neighbor: the number of the newest.
    accepted_count: u64,
    last_instance: Option<Instance>,
    instance_before: Option<Instance>,
}

/// A connection that the neighbor dialed.
#[derive(Debug)]
struct Heard {
    number: u64,
    instance: Instance,
    stream: Arc<TcpStream>,
}

/// How the two directions stand, seen by the dialing side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Both directions are up.
    Up,
    /// The neighbor has not dialed us, or its connection is gone.
    NotHeard,
    /// The neighbor that dials us is another run of the server than the one that we dialed.
    Replaced,
    /// The server stops.
    Stopping,
}

/// What a new connection from a neighbor found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// To tell it from later ones.
    pub number: u64,
    /// Two runs of the server come by turns: two servers have one name.
    pub alternates: bool,
}

impl Link {
    /// A link that is down.
    pub fn new(neighbor: Neighbor) -> Self {
        Self {
            neighbor,
            outbox: Outbox::default(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            discarded_bytes: AtomicU64::new(0),
            repair: Repair::default(),
            history: History::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits until the neighbor, as the given run of it, has dialed us too, for `wait` at most.
    pub fn wait_heard(&self, instance: Instance, wait: Duration) -> Standing {
        let mut state = self.state.lock();
        if state.standing(instance) == Standing::NotHeard {
            self.changed.wait_for(&mut state, wait);
        }
        state.standing(instance)
    }

    /// How the two directions stand now.
    pub fn standing(&self, instance: Instance) -> Standing {
        self.state.lock().standing(instance)
    }

    /// Waits, for `wait` at most; true if the server stops.
    pub fn pause(&self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        let mut state = self.state.lock();
        while !state.is_stopping {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.is_stopping
    }

    /// True once the server stops.
    pub fn is_stopping(&self) -> bool {
        self.state.lock().is_stopping
    }

    /// How often the neighbor has dialed us.
    pub fn times_heard(&self) -> u64 {
        self.state.lock().accepted_count
    }

    /// Waits before the next dial, for `wait` at most; only for `if_heard` once the neighbor has
    /// dialed us more often than `times`. True if it has.
    pub fn pause_unless_heard(&self, wait: Duration, times: u64, if_heard: Duration) -> bool {
        let begun = Instant::now();
        let mut state = self.state.lock();
        loop {
            let is_heard = state.accepted_count > times;
            let deadline = begun + if is_heard { wait.min(if_heard) } else { wait };
            if state.is_stopping || Instant::now() >= deadline {
                return is_heard;
            }
            self.changed.wait_until(&mut state, deadline);
        }
    }

    /// Takes note of the connection that we dialed, so that it can be cut.
    pub fn set_dialed(&self, stream: Option<Arc<TcpStream>>) {
        self.state.lock().dialed = stream;
    }

    /// True if we have a connection to the neighbor, and have not given it up ([`Link::lost`]).
    pub fn is_dialed(&self) -> bool {
        self.state.lock().dialed.is_some()
    }

    /// Takes note of a connection that the neighbor dialed; an older one is cut.
    pub fn heard(&self, instance: Instance, stream: Arc<TcpStream>) -> Registered {
        let mut state = self.state.lock();
        state.accepted_count += 1;
        let number = state.accepted_count;
        let older = state.accepted.replace(Heard { number, instance, stream });
        let mut alternates = false;
        if state.last_instance != Some(instance) {
            alternates = state.instance_before == Some(instance);
            state.instance_before = state.last_instance.replace(instance);
        }
        drop(state);
        if let Some(older) = older {
            // Its reader ends; an error means that it has ended already.
            let _ = older.stream.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
        Registered { number, alternates }
    }

    /// Takes note that a connection from the neighbor is gone. If it was silent rather than
    /// closed, ours is likely as dead: `was_silent` cuts that too, so that it is dialed anew.
    /// True if it was the newest one, so that the link is down now.
    pub fn lost(&self, number: u64, was_silent: bool) -> bool {
        let mut state = self.state.lock();
        let is_newest = state.accepted.as_ref().is_some_and(|heard| heard.number == number);
        let mut dialed = None;
        if is_newest {
            state.accepted = None;
            dialed = state.dialed.take_if(|_| was_silent);
        }
        drop(state);
        if is_newest {
            if let Some(dialed) = dialed {
                let _ = dialed.shutdown(Shutdown::Both);
            }
            self.outbox.close();
            self.changed.notify_all();
        }
        is_newest
    }

    /// Lets the writer send what waits, and end: at once if the link is not up.
    pub fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.changed.notify_all();
        if !self.outbox.finish() {
            self.cut();
        }
    }

    /// Frees a thread that hangs on the connection that we dialed.
    pub fn cut(&self) {
        let dialed = self.state.lock().dialed.clone();
        if let Some(dialed) = dialed {
            let _ = dialed.shutdown(Shutdown::Both);
        }
    }

    /// How it stands, for who watches.
    pub fn status(&self) -> LinkStatus {
        let told = self.history.told();
        LinkStatus {
            state: if told.is_up { "up" } else { "down" },
            since: told.since,
            last_error: told.last_error,
            outbox: self.outbox.len(),
            lag: self.outbox.lag(),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            last_sync: told.last_sync,
        }
    }

    /// Counts updates that went out.
    pub fn count_sent(&self, updates: usize) {
        self.sent.fetch_add(updates as u64, Ordering::Relaxed);
    }
}

impl State {
    fn standing(&self, dialed: Instance) -> Standing {
        match &self.accepted {
            _ if self.is_stopping => Standing::Stopping,
            None => Standing::NotHeard,
            Some(heard) if heard.instance == dialed => Standing::Up,
            Some(_) => Standing::Replaced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const FIRST: Instance = Instance(1);
    const SECOND: Instance = Instance(2);

    fn link() -> Link {
        let name = ServerName::parse(b"Ball").expect("a name");
        Link::new(Neighbor { name, kind: LinkKind::Herd, address: String::new() })
    }

    fn stream() -> Arc<TcpStream> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        Arc::new(TcpStream::connect(address).expect("listening"))
    }

    #[test]
    fn a_link_is_up_only_while_the_run_that_we_dialed_is_heard() {
        let link = link();
        assert_eq!(link.wait_heard(FIRST, Duration::ZERO), Standing::NotHeard);
        let heard = link.heard(FIRST, stream());
        assert_eq!(link.standing(FIRST), Standing::Up);
        assert_eq!(link.standing(SECOND), Standing::Replaced);
        assert!(link.lost(heard.number, false));
        assert_eq!(link.standing(FIRST), Standing::NotHeard);
    }

    #[test]
    fn losing_an_older_connection_leaves_the_newer_one_up() {
        let link = link();
        let older = link.heard(FIRST, stream());
        let newer = link.heard(FIRST, stream());
        assert!(!link.lost(older.number, true));
        assert_eq!(link.standing(FIRST), Standing::Up);
        link.set_dialed(Some(stream()));
        assert!(link.lost(newer.number, true));
        assert!(!link.is_dialed(), "to who is silent it is given up");
    }

    #[test]
    fn two_runs_that_come_by_turns_are_noticed_and_a_restart_is_not() {
        let link = link();
        let alternates =
            [FIRST, FIRST, SECOND, SECOND, FIRST].map(|run| link.heard(run, stream()).alternates);
        assert_eq!(alternates, [false, false, false, false, true]);
    }

    #[test]
    fn a_neighbor_that_is_heard_is_dialed_soon_also_if_it_was_heard_before_the_wait() {
        let link = link();
        let soon = Duration::from_millis(1);
        assert!(!link.pause_unless_heard(soon, link.times_heard(), Duration::ZERO));
        let before = link.times_heard();
        link.heard(FIRST, stream());
        assert!(link.pause_unless_heard(Duration::MAX / 4, before, soon));
        std::thread::scope(|scope| {
            let before = link.times_heard();
            let link = &link;
            let dialer =
                scope.spawn(move || link.pause_unless_heard(Duration::MAX / 4, before, soon));
            link.heard(FIRST, stream());
            assert!(dialer.join().expect("the dialer goes on"));
        });
    }

    #[test]
    fn a_stop_cuts_a_connection_that_is_not_up_and_leaves_one_that_is() {
        for (is_up, reads) in [(false, Some(0)), (true, None)] {
            let link = link();
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("bound");
            let dialed = Arc::new(TcpStream::connect(address).expect("listening"));
            link.set_dialed(Some(Arc::clone(&dialed)));
            if is_up {
                link.outbox.open();
            }
            link.stop();
            dialed.set_nonblocking(true).expect("a socket");
            let read = std::io::Read::read(&mut &*dialed, &mut [0]);
            assert_eq!(read.ok(), reads);
        }
    }

    #[test]
    fn losing_the_neighbor_closes_the_outbox_and_stopping_lets_it_drain() {
        let link = link();
        let heard = link.heard(FIRST, stream());
        link.set_dialed(Some(stream()));
        link.outbox.open();
        link.lost(heard.number, false);
        assert_eq!(
            link.outbox.take(1, Duration::MAX / 4),
            super::super::outbox::Taken::Closed,
            "a closed outbox does not make its writer wait"
        );
        link.stop();
        assert_eq!(link.standing(FIRST), Standing::Stopping);
        assert!(link.pause(Duration::MAX / 4), "a stopping link does not wait");
    }
}
