//! An address of this machine that is not loopback: who connects to it comes from it.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The machine's address towards others, with this port; `None`, said on standard error, if it has
/// none. Nothing is sent.
pub(crate) fn address(port: u16) -> Option<SocketAddr> {
    let towards = || {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        // Of those that are for documentation.
        socket.connect("198.51.100.1:9").ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip: &IpAddr| !ip.is_loopback())
    };
    let ip = towards();
    if ip.is_none() {
        eprintln!("skipped: this machine has no address but loopback");
    }
    ip.map(|ip| SocketAddr::new(ip, port))
}
