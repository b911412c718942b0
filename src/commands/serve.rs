//! `herd serve`.

use super::{CommandError, Exit};
use crate::cli::Serve;

pub(crate) fn run(_args: &Serve) -> Result<Exit, CommandError> {
    Err(CommandError::RunTime("not built into this version".to_string()))
}
