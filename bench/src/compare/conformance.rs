//! Who may take part: who starts, and whom `herd check` finds nothing against.

use std::process::Command;

use super::CompareError;
use super::herd::{Herd, PLAYED, Setup};
use super::rivals::{Kind, Programs, Rival};
use crate::launch;

/// Whether a rival takes part.
pub(super) enum Standing {
    /// It does; how many rules `herd check` says that it holds.
    Conforms(String),
    /// It does not start here, for want of a runtime.
    Missing(String),
    /// It starts, and `herd check` found something.
    Fails(String),
}

/// Starts a rival and runs `herd check` against it, with a neighbor that it plays.
///
/// # Errors
///
/// When `herd check` can't be run.
pub(super) fn examine(rival: Rival, programs: &Programs) -> Result<Standing, CompareError> {
    let port = launch::free_ports(1).map_err(CompareError::Files)?[0];
    let neighbor = format!("127.0.0.1:{port}");
    let places = launch::places(std::time::Duration::ZERO)?;
    let setup = Setup {
        commands_per_connection: rival.is_one_shot().then_some(1),
        places: Some(format!("http://{}", places.address)),
        // The report's own server sends nothing again, so it can't be held to what a link heals.
        played_neighbor: (!rival.is_one_shot()).then(|| neighbor.clone()),
        // One connection for each case that is under way.
        ..Setup::of(64)
    };
    let herd = match Herd::lone(rival, programs, &setup) {
        Ok(herd) => herd,
        // The herd itself is built, or nothing is measured.
        Err(error) if !matches!(rival.kind, Kind::Herd { .. }) => {
            return Ok(Standing::Missing(error.to_string()));
        }
        Err(error) => return Err(error),
    };
    let mut command = Command::new(&programs.herd);
    command.args(["check", herd.address(0)]);
    if rival.is_one_shot() {
        command.args(["--commands-per-connection", "1"]);
    } else {
        command.args(["--neighbor", &format!("{PLAYED}={neighbor}")]);
    }
    let output = command.output().map_err(CompareError::Files)?;
    let said = String::from_utf8_lossy(&output.stdout).trim_end().to_string();
    let held: Vec<&str> = said.lines().filter(|line| line.contains("rules hold")).collect();
    Ok(match output.status.code() {
        Some(0) => Standing::Conforms(held.join("; ")),
        _ => Standing::Fails(format!("{said}\n{}", String::from_utf8_lossy(&output.stderr))),
    })
}
