//! On tokio, one task a connection.

use std::io;
use std::net::TcpListener;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime;

use super::{say_not_accepted, say_ready};

/// Room of a connection's buffer at the start, in bytes: 64 reports of 71 bytes fit.
const ROOM_BYTES: usize = 8 * 1024;

/// Longest line that is echoed.
const LONGEST_LINE: usize = 1 << 20;

pub(super) fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    runtime::Builder::new_multi_thread().enable_io().build()?.block_on(accept(listener))
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    say_ready(&listener)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            // A connection that fails is its client's loss alone.
            Ok((stream, _)) => drop(tokio::spawn(async move { echo(stream).await })),
            // It is this thread alone that accepts; the connections have threads of their own.
            Err(error) => say_not_accepted(&error),
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
