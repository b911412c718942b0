//! Listening: binding with a long backlog, and accepting for ever.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use ::log::Level;
use socket2::{Domain, SockRef, Socket, Type};

use crate::log::Log;

/// Connections that the kernel completes before they are accepted. With std's 128 a burst of
/// clients waits a second for its SYN to be sent again.
const BACKLOG: i32 = 4096;

/// First and last wait after a failed accept.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// Binds the first address of `HOST:PORT` that this machine has, and listens. One that is in use is
/// not passed over for another of the host's: its clients would reach somebody else there.
///
/// # Errors
///
/// The last address's error, or that of the name look-up.
pub fn bind(address: &str) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in address.to_socket_addrs()? {
        match bind_to(address) {
            Err(error) if error.kind() != ErrorKind::AddrInUse => failed = error,
            bound_or_taken => return bound_or_taken,
        }
    }
    Err(failed)
}

fn bind_to(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart may bind while old connections linger; two listeners on a port it does not allow.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until `is_stopping`, which is looked at after every accept ([`wake`] causes one). A
/// failure (no descriptor left, say) is logged once a minute, and waited out for 5 ms to 1 s: the
/// listener never dies.
pub fn accept_all(
    listener: &TcpListener,
    log: &Log,
    is_stopping: impl Fn() -> bool,
    mut on_connection: impl FnMut(TcpStream, SocketAddr),
) {
    let mut back_off = BACK_OFF.0;
    let mut said: Option<Instant> = None;
    loop {
        let accepted = listener.accept();
        if is_stopping() {
            return;
        }
        match accepted {
            Ok((stream, address)) => {
                back_off = BACK_OFF.0;
                on_connection(stream, address);
            }
            // The client was gone before it was accepted.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted
                ) => {}
            Err(error) => {
                if said.is_none_or(|when| when.elapsed() > Duration::from_secs(60)) {
                    said = Some(Instant::now());
                    log.event(
                        Level::Error,
                        format_args!("cannot accept connections: {error}; trying on (raise the limit of open files if that is it)"),
                    );
                }
                std::thread::sleep(back_off);
                back_off = (back_off * 2).min(BACK_OFF.1);
            }
        }
    }
}

/// Frees a thread that waits in accept, without needing a descriptor for it: on Linux shutting a
/// listening socket down ends accept; elsewhere that fails, and connecting to it does.
pub fn wake(listener: &TcpListener) {
    if SockRef::from(listener).shutdown(Shutdown::Both).is_err()
        && let Ok(address) = listener.local_addr()
    {
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_of_a_host_is_not_passed_over_for_another_one() {
        let addresses: Vec<_> = ("localhost", 0).to_socket_addrs().expect("a host").collect();
        let held = bind_to(addresses[0]).expect("a port");
        let port = held.local_addr().expect("bound").port();
        let error = bind(&format!("localhost:{port}")).expect_err("the port is taken");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
}
