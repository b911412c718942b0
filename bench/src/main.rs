//! Load generator, measurements and fault campaign for herd, and for what it is compared with.

use std::io::Write as _;
use std::process::ExitCode;

mod cli;
mod compare;
mod counts;
mod echo;
mod faults;
mod figures;
mod launch;
mod load;
mod machine;
mod places;
mod process;
mod repair;
mod spread;

use cli::{Command, HerdBench};

/// How the program ends; the numbers mean what they mean for `herd`.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Exit {
    /// All went well.
    Ok = 0,
    /// The command line is wrong.
    Usage = 1,
    /// An address cannot be listened on.
    CannotListen = 3,
    /// Something failed at run time.
    RunTime = 4,
    /// A reply was wrong or missing, so the figures are not to be used; or a promise was not kept; or
    /// instructions are more than recorded.
    NotClean = 5,
}

fn main() -> ExitCode {
    let exit = match cli::parse(std::env::args_os().skip(1)) {
        Ok(HerdBench { version: true, .. }) => {
            print(concat!("herd-bench ", env!("CARGO_PKG_VERSION")));
            Exit::Ok
        }
        Ok(HerdBench { command: Some(command), .. }) => run(&command).unwrap_or_else(|failure| {
            let (exit, message) = failure;
            eprintln!("herd-bench: {message}");
            exit
        }),
        Ok(HerdBench { command: None, .. }) => {
            eprintln!("{}", cli::help().trim_end());
            Exit::Usage
        }
        Err(help) if help.status.is_ok() => {
            print(help.output.trim_end());
            Exit::Ok
        }
        Err(wrong) => {
            let wrong = wrong.output.trim_end();
            eprintln!("herd-bench: {wrong}\nRun herd-bench --help for more information.");
            Exit::Usage
        }
    };
    ExitCode::from(exit as u8)
}

fn run(command: &Command) -> Result<Exit, (Exit, String)> {
    match command {
        Command::Load(args) => load(args),
        Command::Echo(args) => echo::run(&args.listen, args.model)
            .map(|()| Exit::Ok)
            .map_err(|error| (Exit::CannotListen, format!("{}: {error}", args.listen))),
        Command::Places(args) => places::run(&args.listen, args.delay)
            .map(|()| Exit::Ok)
            .map_err(|error| (Exit::CannotListen, format!("{}: {error}", args.listen))),
        Command::Repair(args) => {
            let table = repair::run(args).map_err(|error| (Exit::RunTime, error.to_string()))?;
            print(table.trim_end());
            Ok(Exit::Ok)
        }
        Command::Compare(args) => {
            compare::run(args).map(|()| Exit::Ok).map_err(|error| (error.exit(), error.to_string()))
        }
        Command::Figures(args) => {
            figures::run(args).map(|()| Exit::Ok).map_err(|error| (error.exit(), error.to_string()))
        }
        Command::Counts(args) => {
            counts::run(args).map(|()| Exit::Ok).map_err(|error| (error.exit(), error.to_string()))
        }
        Command::Faults(args) => {
            faults::run(args).map(|()| Exit::Ok).map_err(|error| (error.exit(), error.to_string()))
        }
    }
}

fn load(args: &cli::Load) -> Result<Exit, (Exit, String)> {
    let outcome = load::run(&load::Load::from(args));
    let outcome = outcome.map_err(|error| (Exit::RunTime, error.to_string()))?;
    let text = if args.json { outcome.json() } else { outcome.table() };
    print(text.trim_end());
    match outcome.fault() {
        None => Ok(Exit::Ok),
        Some(fault) => Err((Exit::NotClean, format!("do not use these figures: {fault}"))),
    }
}

/// Who closes the pipe early (`| head`) has read what they wanted.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
