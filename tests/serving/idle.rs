//! Connections that say nothing cost no thread.

use crate::served::Served;
use crate::talk::Talk;

/// 2,000, which most limits of open files allow; 10,000 with `HERD_TEST_LOAD` set.
fn idle_connections() -> usize {
    if std::env::var_os("HERD_TEST_LOAD").is_some() { 10_000 } else { 2_000 }
}

#[test]
fn idle_connections_cost_no_thread_and_active_ones_are_answered() {
    let wanted = idle_connections();
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    assert!(limit > wanted as u64 + 500, "raise the limit of open files: {limit}");
    let server = Served::start("", "");
    let mut active: Vec<_> = (0..8).map(|_| Talk::to(server.address)).collect();
    active.iter_mut().for_each(|talk| talk.report("active"));
    let threads = server.threads();
    let before = server.resident_kib();
    let connect = || std::net::TcpStream::connect(server.address).unwrap();
    let idle: Vec<_> = (0..wanted).map(|_| connect()).collect();
    // Accepted in order, so that all are in once this one is answered.
    Talk::to(server.address).report("last");
    for _ in 0..10 {
        active.iter_mut().for_each(|talk| talk.report("active"));
    }
    assert_eq!(server.threads(), threads);
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 8 * wanted, "{grown} KiB for {wanted} connections");
    drop(idle);
    active.iter_mut().for_each(|talk| talk.report("active"));
}
