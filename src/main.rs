//! Command line to command to exit code.

use std::io::Write as _;
use std::process::ExitCode;

mod cli;
mod commands;

use commands::{CommandError, Exit};

fn main() -> ExitCode {
    let exit = match cli::parse(std::env::args_os().skip(1)) {
        Ok(cli::Herd { version: true, .. }) => {
            print(concat!("herd ", env!("CARGO_PKG_VERSION")));
            Exit::Ok
        }
        Ok(cli::Herd { command: Some(command), .. }) => run(&command).unwrap_or_else(|error| {
            eprintln!("herd: {error}");
            error.exit()
        }),
        Ok(cli::Herd { command: None, .. }) => {
            eprintln!("{}", cli::help().trim_end());
            Exit::Usage
        }
        Err(help) if help.status.is_ok() => {
            print(help.output.trim_end());
            Exit::Ok
        }
        Err(wrong) => {
            eprintln!("herd: {}\nRun herd --help for more information.", wrong.output.trim_end());
            Exit::Usage
        }
    };
    exit.into()
}

fn run(command: &cli::Command) -> Result<Exit, CommandError> {
    match command {
        cli::Command::Up(args) => commands::up::run(args),
        cli::Command::Serve(args) => commands::serve::run(args),
        cli::Command::Send(args) => commands::send::run(args),
        cli::Command::Status(args) => commands::status::run(args),
        cli::Command::CheckConf(args) => commands::check_conf::run(args),
        cli::Command::Keygen(args) => commands::keygen::run(args),
        cli::Command::Check(args) => commands::check::run(args),
    }
}

/// Who closes the pipe early (`| head`) has read what they wanted.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
