//! `herd send`: commands to one server, its replies to standard output.

use std::io::{self, BufWriter, Cursor, Read, Write};
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::bounded;
use herd::client::{Client, ClientError, MAX_COMMAND_BYTES, Receiver, Sender};
use herd::config::Config;
use herd::threads;

use super::{CommandError, Exit};
use crate::cli::Send;

/// Room for one read of the input, in bytes. What one read brings is sent in one go.
const READ_BYTES: usize = 64 << 10;

/// How long an input that is about to end may take to do so when the server has ended the
/// connection with nothing due, as one does that takes a single command a connection. Longer
/// makes a person at a terminal wait to be told.
const INPUT_END: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &Send) -> Result<Exit, CommandError> {
    let address = address(&args.target, &args.conf)?;
    let input: Box<dyn Read + std::marker::Send> = match args.command.is_empty() {
        true => Box::new(io::stdin()),
        false => Box::new(Cursor::new(format!("{}\n", args.command.join(" ")))),
    };
    let output = BufWriter::new(io::stdout().lock());
    exchange(&address, input, output, args.timeout)
}

/// Sends every line of the input to the address and writes the replies to the output as they
/// come. Memory is bounded whatever the input.
fn exchange(
    address: &str,
    input: impl Read + std::marker::Send + 'static,
    output: impl Write,
    timeout: Duration,
) -> Result<Exit, CommandError> {
    let client = Client::connect(address, timeout)
        .map_err(|e| CommandError::RunTime(at(address, &e.to_string())))?;
    let (sender, receiver) = client.split();
    // Not joined: it may be in a read of the terminal, which nothing ends but the terminal.
    let (done, sent) = bounded(1);
    threads::spawn("send-input", "", move || done.send(send_lines(input, sender)))
        .map_err(|e| CommandError::RunTime(format!("cannot start a thread: {e}")))?;
    let mut replies = Replies { receiver, output, any_invalid: false };
    let ended = replies.write_all();
    match replies.judge(ended, &sent) {
        // Who closes the pipe early (`| head`) has read what they wanted.
        Err(Failure::Output(e)) if e.kind() == io::ErrorKind::BrokenPipe => Ok(replies.exit()),
        Ok(()) => Ok(replies.exit()),
        Err(failure) => {
            let (answered, asked) = (replies.receiver.answered(), replies.receiver.asked());
            Err(CommandError::RunTime(format!(
                "{address}: {failure} ({answered} of the {asked} commands sent were answered)"
            )))
        }
    }
}

/// The message with the address in it, once.
fn at(address: &str, message: &str) -> String {
    if message.contains(address) {
        return message.to_string();
    }
    format!("{address}: {message}")
}

/// `HOST:PORT` as it is, else the address of the server of that name.
fn address(target: &str, conf: &Path) -> Result<String, CommandError> {
    if target.contains(':') {
        return Ok(target.to_string());
    }
    let config = Config::load(conf)?;
    let server = config.server_named(target);
    let server = server.map_err(|e| CommandError::Usage(format!("{e}; or give HOST:PORT")))?;
    Ok(server.listen.clone())
}

/// Why not everything was sent and answered.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot read the commands: {0}")]
    Input(io::Error),
    #[error("cannot write the replies: {0}")]
    Output(io::Error),
}

/// Brings how it went with the input, once.
type Sent = crossbeam_channel::Receiver<Result<(), Failure>>;

struct Replies<W> {
    receiver: Receiver,
    output: W,
    any_invalid: bool,
}

impl<W: Write> Replies<W> {
    /// Writes replies until the server ends the connection.
    fn write_all(&mut self) -> Result<(), Failure> {
        loop {
            let reply = match self.receiver.buffered_raw()? {
                Some(reply) => Some(reply),
                None => {
                    // Nothing is held back while we wait.
                    self.output.flush().map_err(Failure::Output)?;
                    self.receiver.receive_raw()?
                }
            };
            let Some(reply) = reply else { return Ok(()) };
            self.any_invalid |= reply.is_invalid();
            self.output.write_all(reply.as_bytes()).map_err(Failure::Output)?;
        }
    }

    /// What an end means, given what became of the input.
    fn judge(&self, ended: Result<(), Failure>, sent: &Sent) -> Result<(), Failure> {
        match ended {
            // The sender has finished or failed by now, and is about to say so.
            Ok(()) => sent.recv().unwrap_or_else(|_| {
                Err(Failure::Input(io::Error::other("the thread that read them is gone")))
            }),
            // Some servers end the connection after a number of replies. That is all right if
            // the input ends there too.
            Err(Failure::Client(ClientError::EndedEarly { unanswered: 0 }))
                if matches!(sent.recv_timeout(INPUT_END), Ok(Ok(())))
                    && self.receiver.asked() == self.receiver.answered() =>
            {
                Ok(())
            }
            failed => failed,
        }
    }

    fn exit(&self) -> Exit {
        if self.any_invalid { Exit::WrongAnswer } else { Exit::Ok }
    }
}

/// Sends every line of the input. A last line without an LF is sent as it is.
fn send_lines(mut input: impl Read, mut sender: Sender) -> Result<(), Failure> {
    let mut chunk = vec![0; READ_BYTES];
    let mut line = Vec::new();
    loop {
        let count = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(Failure::Input(e)),
        };
        for piece in chunk[..count].split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") {
                sender.send(&line)?;
                line.clear();
            } else if line.len() > MAX_COMMAND_BYTES {
                return Err(ClientError::CommandTooLong(line.len()).into());
            }
        }
        // Nothing is held back while we wait for more input.
        sender.flush()?;
    }
    Ok(sender.finish_with(line)?)
}
