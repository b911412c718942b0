//! Whose a port is that cannot be listened on.

use std::io;

use listeners::Protocol;

/// What to add to the message of a failed bind: who holds the port, if that is the reason and if
/// the system tells, and what to do.
pub(crate) fn describe(address: &str, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::AddrInUse {
        return String::new();
    }
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
    let owner = port.and_then(|port| listeners::get_process_by_port(port, Protocol::TCP).ok());
    match owner {
        Some(owner) => format!(
            "; {} (pid {}) listens there: stop it, or change the address in the conf",
            owner.name, owner.pid
        ),
        None => {
            "; another process listens there: stop it, or change the address in the conf".into()
        }
    }
}
