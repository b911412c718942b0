//! A server without descriptors left.

use std::io::Read;
use std::net::TcpStream;

use crate::embedded::MODES;
use crate::served::Served;
use crate::talk::{Talk, eventually};

#[test]
fn a_server_that_runs_out_of_descriptors_lives_on_and_serves_again() {
    for mode in MODES {
        let server = Served::start_with_files(48, &mode.pool(""), "");
        let mut early = Talk::to(server.address);
        early.report("early");
        // The kernel completes them; the server can't accept them all.
        let many: Vec<_> = (0..80).map(|_| TcpStream::connect(server.address).unwrap()).collect();
        eventually("it says so", || server.log().contains("cannot accept connections"));
        early.report("early");
        drop(many);
        Talk::to(server.address).report("late");
        early.report("early");
    }
}

#[test]
fn connections_that_do_not_fit_the_open_files_are_said_at_start_with_the_limit_that_does() {
    const MOST: usize = 100;
    for mode in MODES {
        let pool = mode.pool(&format!("max_connections = {MOST}"));
        let server = Served::start_with_files(200, &pool, "");
        let said = format!(
            "[pool] max_connections = {MOST} does not fit the limit of 200 open files; lower it, or \
             raise the limit to "
        );
        let stderr = server.stderr();
        assert!(stderr.contains(&said), "{mode:?}: {stderr}");
        eventually("the log has it too", || server.log().contains(&said));
        let fits = stderr.split_once(&said).unwrap().1.split_once(' ').unwrap().0.parse().unwrap();

        let server = Served::start_with_files(fits, &pool, "");
        assert_eq!(server.stderr(), "", "{mode:?}");
        let mut first = Talk::to(server.address);
        first.report("first");
        let connect = || TcpStream::connect(server.address).unwrap();
        let _others: Vec<_> = (1..MOST).map(|_| connect()).collect();
        let mut refused: Vec<_> = (0..700).map(|_| connect()).collect();
        eventually("the last is refused", || refused.last_mut().unwrap().read(&mut [0]).is_ok());
        first.report("first");
        assert!(!server.log().contains("cannot accept connections"), "{mode:?}");
    }
}
