//! Stand-ins with the interfaces of the real ones, as far as they are used, over shuttle's.
//!
//! Time does not pass for them. A wait of under [`SHORTEST_ENDLESS`] is over as soon as others have
//! had their turn; a longer one never ends by itself, so that a wake-up that is lost is seen as a
//! deadlock and not hidden by a timeout.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::sync::{Arc, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use shuttle::rand::Rng as _;

use super::poller::{self, Awaits, Ready};
pub use shuttle::sync::{RwLockReadGuard, RwLockWriteGuard, atomic};

/// The shortest wait that never ends by itself.
const SHORTEST_ENDLESS: Duration = Duration::from_millis(500);

/// As `parking_lot::Mutex`.
#[derive(Debug, Default)]
pub struct Mutex<T>(shuttle::sync::Mutex<T>);

/// As `parking_lot::MutexGuard`.
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// `None` only while its holder waits.
    held: Option<shuttle::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// Unlocked.
    pub fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    /// Blocks until it is free.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, held: Some(self.held()) }
    }

    /// `None` if somebody has it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let held = match self.0.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(MutexGuard { mutex: self, held: Some(held) })
    }

    fn held(&self) -> shuttle::sync::MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("its holder does not wait now")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("its holder does not wait now")
    }
}

/// As `parking_lot::RwLock`.
#[derive(Debug, Default)]
pub struct RwLock<T>(shuttle::sync::RwLock<T>);

impl<T> RwLock<T> {
    /// Unlocked.
    pub fn new(value: T) -> Self {
        Self(shuttle::sync::RwLock::new(value))
    }

    /// Blocks until nobody writes.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until nobody else has it.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if somebody has it.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        match self.0.try_write() {
            Ok(held) => Some(held),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// As `parking_lot::Condvar`.
#[derive(Debug, Default)]
pub struct Condvar(shuttle::sync::Condvar);

/// As `parking_lot::WaitTimeoutResult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the time was over first.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// Nobody waits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }

    /// Wakes one of those who wait.
    pub fn notify_one(&self) -> bool {
        self.0.notify_one();
        true
    }

    /// Unlocks, and blocks until it is notified.
    pub fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.held.take().expect("its holder does not wait now");
        guard.held = Some(self.0.wait(held).unwrap_or_else(PoisonError::into_inner));
    }

    /// The same, for `wait` at most.
    pub fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, wait: Duration) -> WaitTimeoutResult {
        let is_short = wait < SHORTEST_ENDLESS;
        if is_short {
            guard.held = None;
            shuttle::thread::yield_now();
            guard.held = Some(guard.mutex.held());
        } else {
            self.wait(guard);
        }
        WaitTimeoutResult(is_short)
    }

    /// The same, until `deadline`.
    pub fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        self.wait_for(guard, deadline.saturating_duration_since(Instant::now()))
    }
}

/// Drawn, as is all else that the real time would say.
pub fn is_over(_began: Instant, _limit: Duration) -> bool {
    shuttle::rand::thread_rng().r#gen()
}

/// A channel without a bound, as `crossbeam_channel::unbounded`.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

/// A channel for `room` messages, 1 at least, as `crossbeam_channel::bounded`.
pub fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { queue: VecDeque::new(), room, senders: 1, receivers: 1 };
    let channel = Arc::new(Channel { state: Mutex::new(state), changed: Condvar::new() });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

struct Channel<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    queue: VecDeque<T>,
    room: usize,
    senders: usize,
    receivers: usize,
}

/// As `crossbeam_channel::Sender`.
pub struct Sender<T>(Arc<Channel<T>>);

/// As `crossbeam_channel::Receiver`.
pub struct Receiver<T>(Arc<Channel<T>>);

impl<T> Sender<T> {
    /// Blocks until there is room.
    ///
    /// # Errors
    ///
    /// When all receivers are gone.
    pub fn send(&self, message: T) -> Result<(), crossbeam_channel::SendError<T>> {
        let mut state = self.0.state.lock();
        while state.receivers > 0 && state.queue.len() >= state.room {
            self.0.changed.wait(&mut state);
        }
        if state.receivers == 0 {
            return Err(crossbeam_channel::SendError(message));
        }
        state.queue.push_back(message);
        drop(state);
        self.0.changed.notify_all();
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.0.state.lock().queue.len()
    }

    /// True if none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Blocks until there is a message.
    ///
    /// # Errors
    ///
    /// When all senders are gone.
    pub fn recv(&self) -> Result<T, crossbeam_channel::RecvError> {
        let mut state = self.0.state.lock();
        while state.senders > 0 && state.queue.is_empty() {
            self.0.changed.wait(&mut state);
        }
        let message = state.queue.pop_front();
        drop(state);
        self.0.changed.notify_all();
        message.ok_or(crossbeam_channel::RecvError)
    }

    /// Takes a message if there is one.
    ///
    /// # Errors
    ///
    /// When there is none, or all senders are gone.
    pub fn try_recv(&self) -> Result<T, crossbeam_channel::TryRecvError> {
        let mut state = self.0.state.lock();
        let message = state.queue.pop_front();
        let is_connected = state.senders > 0;
        drop(state);
        self.0.changed.notify_all();
        message.ok_or(if is_connected {
            crossbeam_channel::TryRecvError::Empty
        } else {
            crossbeam_channel::TryRecvError::Disconnected
        })
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().senders -= 1;
        self.0.changed.notify_all();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.receivers -= 1;
        let lost =
            if state.receivers == 0 { std::mem::take(&mut state.queue) } else { VecDeque::new() };
        drop(state);
        drop(lost);
        self.0.changed.notify_all();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

/// As the real one, but for waiting. Sockets are the kernel's: what is to be read of them
/// should have come before the test's threads start.
#[derive(Debug)]
pub struct Poller {
    kernel: poller::Poller,
    is_notified: Mutex<bool>,
    changed: Condvar,
}

impl Poller {
    /// Watches nothing.
    ///
    /// # Errors
    ///
    /// When the kernel has no descriptor left for it.
    pub fn new() -> io::Result<Self> {
        let kernel = poller::Poller::new()?;
        Ok(Self { kernel, is_notified: Mutex::new(false), changed: Condvar::new() })
    }

    /// As the real one: whoever waits now is told of it too.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn add(&self, socket: impl AsFd, key: usize, awaits: Awaits) -> io::Result<()> {
        let added = self.kernel.add(socket, key, awaits);
        self.changes();
        added
    }

    /// As the real one: whoever waits now is told of it too.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn modify(&self, socket: impl AsFd, key: usize, awaits: Awaits) -> io::Result<()> {
        let modified = self.kernel.modify(socket, key, awaits);
        self.changes();
        modified
    }

    fn changes(&self) {
        // Under the lock, between two looks of who waits.
        let is_notified = self.is_notified.lock();
        self.changed.notify_all();
        drop(is_notified);
    }

    /// Ends the wait of now, or else the next one.
    ///
    /// # Errors
    ///
    /// None.
    pub fn notify(&self) -> io::Result<()> {
        *self.is_notified.lock() = true;
        self.changed.notify_all();
        Ok(())
    }

    /// Blocks until a socket is ready or it is notified.
    ///
    /// # Errors
    ///
    /// When the kernel cannot tell.
    pub fn wait(&self, ready: &mut Ready, timeout: Duration) -> io::Result<bool> {
        let mut is_notified = self.is_notified.lock();
        loop {
            let is_ready = self.kernel.wait(ready, Duration::ZERO)?;
            if is_ready || std::mem::take(&mut *is_notified) {
                *is_notified = false;
                return Ok(true);
            }
            if timeout.is_zero() || self.changed.wait_for(&mut is_notified, timeout).timed_out() {
                return Ok(false);
            }
        }
    }
}

/// What needs no waiting is the kernel's.
impl Deref for Poller {
    type Target = poller::Poller;

    fn deref(&self) -> &poller::Poller {
        &self.kernel
    }
}
