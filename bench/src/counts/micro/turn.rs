//! Turns of a session, in a whole server: 64 IAMAT that come together are cut, parsed, merged, answered and
//! logged. What the sockets cost is not in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;

use herd::config::Config;
use herd::protocol::ServerName;
use herd::server::Server;

use super::inputs::{SECOND, iamat as iamat_line};

/// `Session::handle`, as either mangling of names has it.
pub(super) const COUNTED: &str = "*Session*::handle";

/// Commands that come together.
const LINES: usize = 64;

/// So many commands, by the same clients in each turn.
pub(super) fn iamat(operations: usize) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let conf = format!(
        "[[server]]\nname = \"Alford\"\nlisten = \"127.0.0.1:0\"\n[log]\ndir = '{}'\n",
        directory.path().display()
    );
    let config = Config::parse(Path::new("herd.toml"), &conf).expect("the conf above is right");
    let name = ServerName::parse(b"Alford").expect("a name");
    let server = Server::bind(&config, &name).expect("the loopback has a free port");
    let server = server.start(&config).expect("it needs a log and threads only");
    let stream = TcpStream::connect(server.address()).expect("it listens");
    let mut client = BufReader::new(stream);
    let commands: Vec<_> = (0..operations)
        .map(|at| {
            let turn = u32::try_from(at / LINES).expect("the seconds of some turns");
            [&iamat_line(at % LINES, SECOND + turn)[..], b"\n"].concat()
        })
        .collect();
    for turn in commands.chunks(LINES) {
        client.get_mut().write_all(&turn.concat()).expect("it reads");
        for _ in turn {
            let mut reply = String::new();
            client.read_line(&mut reply).expect("it replies");
            assert!(reply.starts_with("AT Alford "), "{reply:?}");
        }
    }
    server.stop();
}
