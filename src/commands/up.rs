//! `herd up`.

use super::{CommandError, Exit};
use crate::cli::Up;

pub(crate) fn run(_args: &Up) -> Result<Exit, CommandError> {
    Err(CommandError::RunTime("not built into this version".to_string()))
}
