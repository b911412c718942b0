//! Load generator and measurements for herd, and for what it is compared with.

use std::io::Write as _;
use std::process::ExitCode;

mod cli;
mod echo;
mod figures;
mod load;
mod process;

use cli::{Command, HerdBench};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match cli::parse(&words) {
        Ok(HerdBench { command: Command::Load(args) }) => load(&args),
        Ok(HerdBench { command: Command::Echo(args) }) => {
            echo::run(&args.listen).map_err(|e| format!("{}: {e}", args.listen))
        }
        Ok(HerdBench { command: Command::Figures(args) }) => {
            figures::run(&args).map_err(|e| e.to_string())
        }
        Err(help) if help.status.is_ok() => {
            print(help.output.trim_end());
            Ok(())
        }
        Err(wrong) => {
            eprintln!(
                "herd-bench: {}\nRun herd-bench --help for more information.",
                wrong.output.trim_end()
            );
            return ExitCode::from(1);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("herd-bench: {error}");
            ExitCode::from(4)
        }
    }
}

fn load(args: &cli::Load) -> Result<(), String> {
    let outcome = load::run(&load::Load::from(args)).map_err(|e| e.to_string())?;
    let text = if args.json { outcome.json() } else { outcome.table() };
    print(text.trim_end());
    Ok(())
}

/// Who closes the pipe early (`| head`) has read what they wanted.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
