//! Signals as events.

use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use herd::threads;
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::{Handle, Signals};

use super::Event;

/// The thread that waits for signals.
pub(super) struct Watch {
    handle: Handle,
    thread: JoinHandle<()>,
}

/// Turns the stopping signals into [`Event::Stop`], and SIGCHLD into [`Event::ChildEnded`].
/// SIGHUP is left as it is: it ends `up` unless `nohup` says otherwise, and the servers with it.
pub(super) fn watch(stopping: &[i32], events: Sender<Event>) -> io::Result<Watch> {
    let mut signals = Signals::new(stopping.iter().chain(&[SIGCHLD]))?;
    let handle = signals.handle();
    let thread = threads::spawn("signals", "", move || {
        for signal in signals.forever() {
            let event = if signal == SIGCHLD { Event::ChildEnded } else { Event::Stop };
            if events.send(event).is_err() {
                return;
            }
        }
    })?;
    Ok(Watch { handle, thread })
}

impl Watch {
    /// Ends the thread. Nobody may be left who holds the channel and does not read it.
    pub(super) fn close(self) {
        self.handle.close();
        // It sends and nothing else, so it has nothing to panic of.
        let _ = self.thread.join();
    }
}
