//! Ports of this machine that nobody else in this process gets.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// Ports that were given out. A server that is down keeps its ports so: another test of this
/// process does not get them from the system meanwhile.
static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// Below what systems give to those who ask for any port and to outgoing connections: nobody gets
/// one of these by chance while who it is meant for is down.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A listener on a free port, drawn at random, that is given to nobody else. Dropped, it leaves the
/// port to whom it is meant for.
pub(crate) fn listener() -> TcpListener {
    for _ in 0..PORTS.len() {
        let port = fastrand::u16(PORTS);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            && GIVEN.lock().unwrap().get_or_insert_default().insert(port)
        {
            return listener;
        }
    }
    panic!("no port of {PORTS:?} is free");
}
