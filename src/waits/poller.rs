//! Waiting for many sockets at once: epoll, edge-triggered, and a way to end the wait from elsewhere.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};

/// The key of what ends a wait; no socket's.
const NOTIFIED: u64 = u64::MAX;

/// Sockets that are told of at once, at most.
const AT_ONCE: usize = 64;

/// The readiness of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// Input, or its end.
    Readable,
    /// Room for output.
    Writable,
}

/// Sockets that are waited for together, by one thread at a time. What became ready is told **once**: a socket is
/// told of again only when more has come, so whoever is told has to read until there is less than asked for, or
/// to remember that there may be more.
///
/// A socket that is closed is gone from it.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    notifier: OwnedFd,
}

/// What became ready in one wait.
pub struct Ready(Vec<epoll::Event>);

/// A socket that became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// As it was added.
    pub key: usize,
    /// The other end sends no more, or the connection failed: behind what can be read stands the end.
    pub has_ended: bool,
}

impl Poller {
    /// Waits for nothing.
    ///
    /// # Errors
    ///
    /// When the kernel has no descriptor left for it.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let notifier = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Level-triggered: it stands until it is read.
        epoll::add(&epoll, &notifier, EventData::new_u64(NOTIFIED), EventFlags::IN)?;
        Ok(Self { epoll, notifier })
    }

    /// Waits for a socket too. If it is ready already, that is told.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn add(&self, socket: impl AsFd, key: usize, awaits: Awaits) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key as u64), flags(awaits))?)
    }

    /// Changes what a socket is waited for. If it is ready already, that is told.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn modify(&self, socket: impl AsFd, key: usize, awaits: Awaits) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(key as u64), flags(awaits))?)
    }

    /// Waits for a socket no more.
    ///
    /// # Errors
    ///
    /// When it is not waited for.
    pub fn delete(&self, socket: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Ends the wait of now, or else the next one.
    ///
    /// # Errors
    ///
    /// None, but for a defect of the kernel.
    pub fn notify(&self) -> io::Result<()> {
        rustix::io::write(&self.notifier, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    /// Blocks until a socket is ready, it is notified, or for `timeout`, rounded up to milliseconds.
    /// False if nothing happened.
    ///
    /// # Errors
    ///
    /// When the kernel cannot tell.
    pub fn wait(&self, ready: &mut Ready, timeout: Duration) -> io::Result<bool> {
        ready.0.clear();
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        let timeout = Duration::from_millis(millis.try_into().unwrap_or(u64::MAX));
        let timeout = Timespec::try_from(timeout).ok();
        match epoll::wait(&self.epoll, spare_capacity(&mut ready.0), timeout.as_ref()) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if ready.is_notified() {
            rustix::io::read(&self.notifier, &mut [0; 8])?;
        }
        Ok(!ready.0.is_empty())
    }
}

impl Default for Ready {
    fn default() -> Self {
        Self(Vec::with_capacity(AT_ONCE))
    }
}

impl Ready {
    fn is_notified(&self) -> bool {
        self.0.iter().any(|event| event.data.u64() == NOTIFIED)
    }

    /// The sockets.
    pub fn iter(&self) -> impl Iterator<Item = Event> {
        let ended = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        self.0.iter().filter(|event| event.data.u64() != NOTIFIED).map(move |event| {
            let flags = event.flags;
            Event { key: event.data.u64() as usize, has_ended: flags.intersects(ended) }
        })
    }
}

fn flags(awaits: Awaits) -> EventFlags {
    let ready = match awaits {
        Awaits::Readable => EventFlags::IN | EventFlags::RDHUP,
        Awaits::Writable => EventFlags::OUT,
    };
    ready | EventFlags::ET
}
