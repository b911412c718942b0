//! A server without descriptors left.

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
