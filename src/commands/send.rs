//! `herd send`.

use super::{CommandError, Exit};
use crate::cli::Send;

pub(crate) fn run(_args: &Send) -> Result<Exit, CommandError> {
    Err(CommandError::RunTime("not built into this version".to_string()))
}
