//! `herd keygen`: a new key for the links of a herd.

use std::io::{ErrorKind, Write as _};

use herd::flood::key;

use super::{CommandError, Exit};
use crate::cli::Keygen;

pub(crate) fn run(args: &Keygen) -> Result<Exit, CommandError> {
    let path = args.file.display();
    key::write_new(&args.file).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CommandError::RunTime(format!(
            "{path} is there already, and a key is never overwritten; write the new one to another file"
        )),
        _ => CommandError::RunTime(format!("cannot write {path}: {error}")),
    })?;
    // Who closes the pipe early has read what they wanted.
    let _ = writeln!(
        std::io::stdout(),
        "\
wrote a new key to {path}, which only you can read
next: bring it to every server, over a way that nobody else can read (scp -p), as a file of the user that
runs the server; set [links] key_file = \"{path}\" in the conf file; and start the servers again"
    );
    Ok(Exit::Ok)
}
