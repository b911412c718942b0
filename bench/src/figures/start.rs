//! How soon a server is ready that has many records on disk.

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use herd::client::{Client, Reply};
use tempfile::TempDir;

use super::contender::HerdConf;
use super::scenarios::{LOTS_WITHOUT_LOG, load};
use super::{Bench, Contender, FiguresError, Scenario, Values};
use crate::launch::Running;
use crate::load::{Load, Work, report_all};

const RECORDS: u32 = 1_000_000;

/// Of so many records one is asked for, to see that they are there.
const LOOK_AT_EACH: usize = 1_000;

/// Longest wait for a reply.
const TIMEOUT: Duration = Duration::from_secs(10);

const CONF: HerdConf = HerdConf { durability: Some("interval"), ..LOTS_WITHOUT_LOG };

pub(super) fn scenario() -> Scenario {
    // Filled before the first round, and removed with the scenario.
    let data = OnceCell::new();
    let run = move |bench: &Bench| {
        let data = match data.get() {
            Some(data) => data,
            None => {
                let filled = filled(bench)?;
                data.get_or_init(|| filled)
            }
        };
        sample(bench, data)
    };
    Scenario {
        name: "start",
        about:
            "1,000,000 records in [data], from before the program is started until it says that it \
                is ready; stopped in good order before, files in the page cache"
                .to_string(),
        reference: None,
        contenders: vec![Contender { name: "herd, lots", run: Box::new(run) }],
    }
}

fn filled(bench: &Bench) -> Result<TempDir, FiguresError> {
    let data = tempfile::tempdir()?;
    let server = bench.programs.herd_on(data.path(), CONF)?;
    report_all(&Load { clients: RECORDS, ..load(bench, &server, Work::Iamat, 1, 1) })?;
    server.stop()?;
    Ok(data)
}

fn sample(bench: &Bench, data: &TempDir) -> Result<Values, FiguresError> {
    let begun = Instant::now();
    let server = bench.programs.herd_on(data.path(), CONF)?;
    let ready = begun.elapsed();
    look_at_some(&server)?;
    // As the next one is to find it.
    server.stop()?;
    Ok(vec![("s until ready", ready.as_secs_f64())])
}

fn look_at_some(server: &Running) -> Result<(), FiguresError> {
    let questions =
        (0..RECORDS).step_by(LOOK_AT_EACH).map(|client| format!("WHATSAT client-{client:013} 0 0"));
    let mut missing = 0;
    Client::connect(&server.address, TIMEOUT)?.pipeline(questions, |reply| {
        missing += usize::from(!matches!(reply, Reply::Nearby(_)));
    })?;
    if missing == 0 {
        return Ok(());
    }
    let looked_at = RECORDS as usize / LOOK_AT_EACH;
    Err(FiguresError::NotSeen(format!(
        "{missing} of {looked_at} clients are not known after a start"
    )))
}
