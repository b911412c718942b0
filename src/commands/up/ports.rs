//! Are the addresses that the servers need free, and if not, whose are they?

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;

use herd::config::Server;
use listeners::{Listener, Protocol, SocketState};

/// Binds every address that the servers will listen on, all at once, and lets go of them again.
///
/// # Errors
///
/// One line for each address that can't be had: which, why, and what to do.
pub(super) fn check(servers: &[&Server], conf: &Path) -> Result<(), String> {
    let mut held = Vec::new();
    let mut problems = Vec::new();
    for server in servers {
        let links = (!server.neighbors.is_empty()).then_some(("links", &server.links));
        for (key, address) in [("listen", &server.listen)].into_iter().chain(links) {
            match TcpListener::bind(address) {
                Ok(listener) => held.push(listener),
                Err(e) => problems.push(format!(
                    "{} cannot listen on {address}: {}, or change its `{key}` in {}",
                    server.name,
                    problem(address, &e),
                    conf.display()
                )),
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n      ")) }
}

/// Why the address can't be had, and what can be done about that.
fn problem(address: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let owner = owner(address);
            format!("the port is in use by {owner}; stop that")
        }
        io::ErrorKind::AddrNotAvailable => {
            "that is no address of this machine; run `herd serve` where it is".to_string()
        }
        io::ErrorKind::PermissionDenied => {
            "ports under 1024 need more rights than you have; get them".to_string()
        }
        _ => format!("{error}; mend that"),
    }
}

/// The process that listens on the address: `python3 (pid 4711)`.
fn owner(address: &str) -> String {
    let wanted: Vec<SocketAddr> = address.to_socket_addrs().into_iter().flatten().collect();
    let listening = listeners::get_all().unwrap_or_default();
    let owner = listening.iter().find(|listener| wanted.iter().any(|at| overlaps(listener, at)));
    match owner.map(|listener| &listener.process) {
        Some(process) => format!("{} (pid {})", process.name, process.pid),
        // Only root sees the processes of other users.
        None => "a process of another user".to_string(),
    }
}

fn overlaps(listener: &Listener, wanted: &SocketAddr) -> bool {
    let (taken, wanted_ip) = (listener.socket, wanted.ip());
    listener.protocol == Protocol::TCP
        && listener.state == SocketState::Listen
        && taken.port() == wanted.port()
        && (taken.ip() == wanted_ip || taken.ip().is_unspecified() || wanted_ip.is_unspecified())
}
