//! Ports of this machine that nobody else in this process gets.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// Ports that were given out. A server that is down keeps its ports so: another test of this
/// process does not get them from the system meanwhile.
static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A listener on a free port that is given to nobody else. Dropped, it leaves the port to whom it
/// is meant for.
pub(crate) fn listener() -> TcpListener {
    // Held until a new one is found, so that the system does not offer them again.
    let mut offered = Vec::new();
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if GIVEN.lock().unwrap().get_or_insert_default().insert(port) {
            return listener;
        }
        offered.push(listener);
    }
}
