//! A bare line echo on tokio, one task a connection: the work of a server without the work.

use std::io::{self, Write as _};
use std::time::Duration;

use herd::listening;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime;

/// Room of a connection's buffer at the start, in bytes: 64 reports of 71 bytes fit.
const ROOM_BYTES: usize = 8 * 1024;

/// Longest line that is echoed.
const LONGEST_LINE: usize = 1 << 20;

/// Wait after a failed accept: descriptors come free when connections end.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Says `ready echo ADDRESS`, and echoes until the process is ended.
///
/// # Errors
///
/// When the address can't be listened on.
pub(crate) fn run(listen: &str) -> io::Result<()> {
    // Else 1,024 connections are the most, as a rule.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // As the herd does it: with a backlog of 4,096, and host names too.
    let listener = listening::bind(listen)?;
    listener.set_nonblocking(true)?;
    runtime::Builder::new_multi_thread().enable_io().build()?.block_on(serve(listener))
}

async fn serve(listener: std::net::TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut stdout = io::stdout();
    let ready = writeln!(stdout, "ready echo {}", listener.local_addr()?);
    // Who started it may have closed its end.
    let _ = ready.and_then(|()| stdout.flush());
    loop {
        match listener.accept().await {
            // A connection that fails is its client's loss alone.
            Ok((stream, _)) => drop(tokio::spawn(async move { echo(stream).await })),
            Err(error) => {
                eprintln!("herd-bench: cannot accept: {error}");
                // It is this thread alone that accepts; the connections have threads of their own.
                std::thread::sleep(BACK_OFF);
            }
        }
    }
}

/// Sends whole lines back as they came, those of one read in one write.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; ROOM_BYTES];
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            if filled >= LONGEST_LINE {
                return Ok(());
            }
            buffer.resize(2 * filled, 0);
        }
        let length = stream.read(&mut buffer[filled..]).await?;
        if length == 0 {
            return Ok(());
        }
        filled += length;
        if let Some(last) = memchr::memrchr(b'\n', &buffer[..filled]) {
            stream.write_all(&buffer[..=last]).await?;
            buffer.copy_within(last + 1..filled, 0);
            filled -= last + 1;
        }
    }
}
