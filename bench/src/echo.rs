//! A bare line echo on tokio, one task a connection: the work of a server without the work.

use std::io::{self, Write as _};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;

/// Room of a connection's buffer at the start, in bytes: 64 reports of 71 bytes fit.
const ROOM_BYTES: usize = 8 * 1024;

/// Longest line that is echoed.
const LONGEST_LINE: usize = 1 << 20;

/// Connections that the kernel completes before they are accepted: as the herd has.
const BACKLOG: u32 = 4096;

/// Says `ready echo ADDRESS`, and echoes until the process is ended.
///
/// # Errors
///
/// When the address can't be listened on.
pub(crate) fn run(listen: &str) -> io::Result<()> {
    runtime::Builder::new_multi_thread().enable_io().build()?.block_on(serve(listen))
}

async fn serve(listen: &str) -> io::Result<()> {
    let address = listen.parse().map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, "no address: write IP:PORT, as in 127.0.0.1:0")
    })?;
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener: TcpListener = socket.listen(BACKLOG)?;
    println!("ready echo {}", listener.local_addr()?);
    io::stdout().flush()?;
    loop {
        match listener.accept().await {
            // A connection that fails is its client's loss alone.
            Ok((stream, _)) => drop(tokio::spawn(async move { echo(stream).await })),
            Err(error) => eprintln!("herd-bench: cannot accept: {error}"),
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
