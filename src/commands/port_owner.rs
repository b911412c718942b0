//! What to say of an address that cannot be listened on: which setting it is, whose the port is, and
//! what to do.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;

use herd::config::Server;
use listeners::{Listener, Protocol, SocketState};

/// `Ball cannot listen on 127.0.0.1:12001: the port is in use by python3 (pid 4711); stop that, or
/// change its `listen` in conf/herd.toml`. The address is one of the server's.
pub(super) fn describe(server: &Server, address: &str, error: &io::Error, conf: &Path) -> String {
    let key = match address {
        _ if address == server.listen => "listen",
        _ if server.admin.as_deref() == Some(address) => "admin",
        _ => "links",
    };
    format!(
        "{} cannot listen on {address}: {}, or change its `{key}` in {}",
        server.name,
        problem(address, error),
        conf.display()
    )
}

/// Why the address can't be had, and what can be done about that.
fn problem(address: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("the port is in use by {}; stop that", owner(address))
        }
        io::ErrorKind::AddrNotAvailable => {
            "that is no address of this machine; run `herd serve` where it is".to_string()
        }
        io::ErrorKind::PermissionDenied => {
            "ports under 1024 need more rights than you have; get them".to_string()
        }
        _ => match address.to_socket_addrs() {
            Ok(_) => format!("{error}; mend that"),
            Err(e) => format!("its host cannot be looked up ({e}); mend the look-up"),
        },
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
