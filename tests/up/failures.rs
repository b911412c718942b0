//! A herd to which things happen: servers are killed, `up` is, its reader goes away.

use herd::Client;
use rustix::process::{Pid, Signal, kill_process};

use crate::herd_up::*;

#[test]
fn a_server_that_is_killed_comes_back_at_its_address_and_gets_its_records_from_its_neighbor() {
    let up = Up::start(&["Alford", "Ball"], "");
    let ball = &up.rows[1];
    let mut client = Client::connect(ball.address, PATIENCE).unwrap();
    let said = client.report_now("kiwi", "+34.068930-118.445127").unwrap().unwrap();
    eventually("Alford knows kiwi", || knows(up.rows[0].address, "kiwi"));

    let pid = ball.pid.as_raw_nonzero();
    kill_process(ball.pid, Signal::KILL).unwrap();
    let line = up.line_with("starting it again in ");
    let killed = format!("Ball (pid {pid}) was killed by signal 9 (SIGKILL); ");
    assert!(line.starts_with(&killed), "{line}");
    let line = up.line_with("is ready again");
    let again = format!("Ball is ready again on {} (pid ", ball.address);
    assert!(line.starts_with(&again), "{line}");

    eventually("Ball knows kiwi again", || knows(ball.address, "kiwi"));
    let mut client = Client::connect(ball.address, PATIENCE).unwrap();
    let held = client.report("kiwi", "+1+1", herd::protocol::Nanos(1)).unwrap().unwrap();
    assert_eq!(held, said);
}

#[test]
fn servers_stop_when_up_is_killed() {
    let mut up = Up::start(&["Alford", "Ball"], "");
    up.signal(Signal::KILL);
    assert_eq!(up.ended().code(), None);
    eventually("the servers are gone", || up.rows.iter().all(|row| is_gone(row.pid)));
    assert!(up.conf.is_free());
    for row in &up.rows {
        // They were not cut off: they stopped.
        let log = std::fs::read_to_string(&row.log).unwrap();
        assert!(log.contains("stopping: "), "{log}");
        assert!(log.ends_with(&format!("server {} stopped\n", row.name)), "{log}");
    }
}

#[test]
fn a_herd_runs_on_when_nobody_reads_what_it_says() {
    // Not if a port was taken meanwhile, or if Alford was killed before all were said to be ready.
    eventually("a herd that starts", run_unread);
}

/// False if the herd did not get to run.
fn run_unread() -> bool {
    let conf = Conf::new(&["Alford", "Ball"], "");
    let mut child = conf.command().spawn().unwrap();
    // The table goes nowhere, nor does it get out that Alford died and is back.
    drop((child.stdout.take(), child.stderr.take()));
    let mut holds_or_ends = |holds: &dyn Fn() -> bool| {
        let mut ended = None;
        eventually("the herd serves", || {
            ended = child.try_wait().unwrap();
            ended.is_some() || holds()
        });
        ended
    };
    let [alford, ball] = conf.listen[..] else { unreachable!("two servers") };
    let mut ended = holds_or_ends(&|| reports(ball, "kiwi") && knows(alford, "kiwi"));
    if ended.is_none() {
        let alfords = listeners::get_process_by_port(alford.port(), listeners::Protocol::TCP);
        let pid = Pid::from_raw(alfords.unwrap().pid as i32).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        ended = holds_or_ends(&|| is_gone(pid) && knows(alford, "kiwi"));
    }
    if let Some(status) = ended {
        assert!(matches!(status.code(), Some(3 | 4)), "{status}");
        return false;
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(crate::herd_up::ended(&mut child).code(), Some(0));
    assert!(conf.is_free());
    true
}
