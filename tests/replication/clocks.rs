//! Servers whose clocks are wrong, jump back or jump forth: what is kept follows from the times of the
//! reports, and clocks say only the skew and whether a report is too far ahead of its origin.
//!
//! The clock of a process is set with libfaketime; where that is not, only the tests that do without it run.

use std::path::PathBuf;
use std::time::Duration;

use crate::load::{Walkers, newest, shared_clients, times_load};
use crate::servers::{Herd, Plan, Server, eventually};

const HOUR: i64 = 3600;

/// Where Debian's package libfaketime and others have it.
const PLACES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// A line A - B - C in which the clock of B can be set; says so and is `None` without libfaketime.
fn herd_with_a_clock(conf: &str) -> Option<Herd> {
    let Some(faketime) = PLACES.iter().map(PathBuf::from).find(|path| path.is_file()) else {
        println!("skipped: no libfaketime (apt-get install libfaketime)");
        return None;
    };
    Some(line(conf).clock("B", &faketime).start())
}

/// `conf` starts in `[log]`.
fn line(conf: &str) -> Plan {
    // So long that no link goes down while the machine is busy.
    let links = "[links]\ntimeout = \"60s\"\nsync_interval = \"1s\"";
    Plan::new(&[("A", "B"), ("B", "C")]).conf(&format!("{conf}\n{links}"))
}

/// This machine's clock, in whole seconds.
fn now() -> i64 {
    herd::client::now().0 / 1_000_000_000
}

/// Waits until the clock of a server is about so many seconds off, as the skews of its reports tell.
#[track_caller]
fn set_clock(server: &Server, seconds: i64) {
    server.set_clock(seconds);
    let mut number = 0;
    eventually("a server goes by its new clock", || {
        number += 1;
        let at =
            server.report(&format!("clock-probe-{seconds}-{number}"), "+1-2", &now().to_string());
        (skew_seconds(&at) - seconds).abs() < HOUR / 2
    });
}

/// `AT B -7199.9 ...`
#[track_caller]
fn skew_seconds(at: &[u8]) -> i64 {
    let line = String::from_utf8_lossy(at);
    let skew: f64 = line.split(' ').nth(2).unwrap().parse().unwrap();
    skew as i64
}

#[test]
fn a_clock_that_jumps_decides_the_skew_and_not_who_wins() {
    let Some(herd) = herd_with_a_clock("") else { return };
    let second = now();
    let first = herd["B"].report("kiwi", "+1-2", &format!("{second}.1"));
    herd.agree_on("kiwi", |at| at == first);

    // Back: B is before the report's time, and still the later report wins.
    set_clock(&herd["B"], -2 * HOUR);
    let back = herd["B"].report("kiwi", "+1-2", &format!("{second}.2"));
    assert!(skew_seconds(&back) < -HOUR, "{}", back.escape_ascii());
    herd.agree_on("kiwi", |at| at == back);

    // Forth: the same report is not stamped anew, and an older one does not win for being heard later.
    set_clock(&herd["B"], 20 * HOUR);
    assert_eq!(herd["B"].report("kiwi", "+1-2", &format!("{second}.2")), back);
    assert_eq!(herd["B"].report("kiwi", "+9-9", &format!("{second}.1")), back);
    let forth = herd["B"].report("kiwi", "+3-4", &format!("{second}.3"));
    assert!(skew_seconds(&forth) > 19 * HOUR, "{}", forth.escape_ascii());
    herd.agree_on("kiwi", |at| at == forth);

    // A, whose clock is right, is told of something later, and it wins over what B stamped in its future.
    let later = herd["A"].report("kiwi", "+5-6", &format!("{second}.4"));
    herd.agree_on("kiwi", |at| at == later);
    set_clock(&herd["B"], 0);
    assert_eq!(herd["B"].report("kiwi", "+5-6", &format!("{second}.4")), later);
    herd.agree_on("kiwi", |at| at == later);
    for name in ["A", "C"] {
        assert_eq!(herd[name].logged(&["link B down"]), 0, "a link went down with the clock");
    }
}

#[test]
fn of_two_reports_of_one_time_the_one_that_a_clock_before_the_other_stamped_wins() {
    let Some(herd) = herd_with_a_clock("") else { return };
    set_clock(&herd["B"], -2 * HOUR);
    let second = now();
    let right = herd["A"].report("kiwi", "+1-2", &format!("{second}.5"));
    herd.agree_on("kiwi", |at| at == right);
    // The lower skew wins, and that is all that the clock is for.
    let lower = herd["B"].report("kiwi", "+3-4", &format!("{second}.5"));
    assert!(lower.starts_with(b"AT B -"), "{}", lower.escape_ascii());
    herd.agree_on("kiwi", |at| at == lower);
}

#[test]
fn a_server_whose_clock_is_days_behind_takes_from_neighbors_what_it_takes_from_no_client() {
    let Some(mut herd) = herd_with_a_clock("") else { return };
    herd["B"].set_clock(-72 * HOUR);
    eventually("B refuses what is far ahead of its clock", || is_refused(&herd["B"], now()));
    // By UPDATE, through it to C, and after a new start by sync.
    let by_update = herd["A"].report("kiwi", "+1-2", &now().to_string());
    herd.agree_on("kiwi", |at| at == by_update);
    herd.kill("B");
    let by_sync = herd["A"].report("owl", "+1-2", &now().to_string());
    herd.start("B");
    assert!(is_refused(&herd["B"], now()));
    herd.agree_on("kiwi", |at| at == by_update);
    herd.agree_on("owl", |at| at == by_sync);
}

#[test]
fn a_clock_that_jumps_all_the_time_under_load_keeps_nobody_from_agreeing() {
    let Some(herd) = herd_with_a_clock("traffic = false") else { return };
    let mut walkers = Walkers::new();
    for server in herd.servers() {
        for _ in 0..2 {
            walkers.pipeline(server.addr, usize::MAX);
        }
    }
    for jump in [-2, 20, -23, 3] {
        herd["B"].set_clock(jump * HOUR);
        walkers.more(times_load(1000));
    }
    let answers = walkers.stop();
    let newest = newest(&answers);
    let clients = shared_clients();
    let expected: Vec<_> = clients.iter().map(|client| newest.get(client).cloned()).collect();
    eventually("all servers hold the newest", || herd.agree_on_all(&clients) == expected);
}

#[test]
fn a_clock_that_jumps_past_the_end_of_records_empties_nobody_else() {
    let Some(herd) = herd_with_a_clock("[data]\nexpire_after = \"4h\"") else { return };
    let second = now();
    let kept = herd["A"].report("kiwi", "+1-2", &second.to_string());
    herd.agree_on("kiwi", |at| at == kept);
    herd["B"].set_clock(6 * HOUR);
    eventually("B has let it expire", || herd["B"].at("kiwi").is_none());
    assert!(is_refused(&herd["B"], second));
    // Two comparisons later the others still have it. What has to go through B waits for B's clock.
    let waits = herd["A"].report("owl", "+1-2", &second.to_string());
    std::thread::sleep(Duration::from_secs(2));
    for name in ["A", "C"] {
        assert_eq!(herd[name].at("kiwi").as_ref(), Some(&kept), "{name}");
    }
    herd["B"].set_clock(0);
    herd.agree_on("kiwi", |at| at == kept);
    herd.agree_on("owl", |at| at == waits);
}

#[test]
fn how_far_ahead_a_report_may_be_is_judged_by_its_origin_alone() {
    // The same with no clock set: to a server that takes nothing ahead, a neighbor that does is in the future.
    let mut herd = line("[limits]\nmax_ahead = \"3650d\"").but_in("B", "3650d", "0s").start();
    let ahead = now() + 1000 * HOUR;
    assert!(is_refused(&herd["B"], ahead));
    let by_update = herd["A"].report("kiwi", "+1-2", &ahead.to_string());
    assert!(skew_seconds(&by_update) < -999 * HOUR);
    herd.agree_on("kiwi", |at| at == by_update);
    herd.kill("B");
    let by_sync = herd["C"].report("owl", "+1-2", &ahead.to_string());
    herd.start("B");
    herd.agree_on("kiwi", |at| at == by_update);
    herd.agree_on("owl", |at| at == by_sync);
    // It is the newest for B's clients too.
    assert_eq!(herd["B"].report("owl", "+3-4", &(now() - HOUR).to_string()), by_sync);
}

/// True if a report of that second is answered with `? `.
#[track_caller]
fn is_refused(server: &Server, second: i64) -> bool {
    let answer = server.client().request(format!("IAMAT refused +1-2 {second}")).unwrap().unwrap();
    matches!(answer, herd::client::Reply::Invalid(_))
}
