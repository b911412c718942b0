//! A stand-in for a server of another kind that speaks UPDATE, as its neighbors see it.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::ports;

/// How it treats connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Reads lines for as long as there are any.
    Keeps,
    /// The same, and answers each connection and each line with what nobody asked for.
    TalksBack,
    /// Reads one line and closes.
    OneShot,
}

/// A listener that records what it is told. While it is down its port refuses.
pub(crate) struct Neighbor {
    pub(crate) addr: SocketAddr,
    manner: Manner,
    heard: Arc<Mutex<Heard>>,
    listening: Option<Listening>,
}

/// What it was told, over all its outages.
#[derive(Default)]
struct Heard {
    connections: usize,
    open: usize,
    most_open: usize,
    lines: Vec<Line>,
    /// Bytes behind the last LF of a connection.
    rests: usize,
}

/// A line without its LF, and the number of its connection, from 1.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) connection: usize,
    pub(crate) text: String,
}

struct Listening {
    listener: Arc<TcpListener>,
    streams: Arc<Mutex<Option<Vec<Arc<TcpStream>>>>>,
    thread: JoinHandle<()>,
}

impl Neighbor {
    /// One that listens.
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = ports::listener();
        let addr = listener.local_addr().unwrap();
        let mut neighbor = Self { addr, manner, heard: Arc::default(), listening: None };
        neighbor.listen(listener);
        neighbor
    }

    /// Ends its connections and refuses new ones.
    pub(crate) fn down(&mut self) {
        let Some(Listening { listener, streams, thread }) = self.listening.take() else { return };
        for stream in streams.lock().unwrap().take().into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Its accept ends with an error.
        let _ = socket2::SockRef::from(&*listener).shutdown(Shutdown::Both);
        let _ = thread.join();
    }

    /// Listens again.
    pub(crate) fn up(&mut self) {
        self.listen(herd::listening::bind(&self.addr.to_string()).unwrap());
    }

    /// The lines that it was told since the start.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.heard.lock().unwrap().lines.clone()
    }

    /// How many lines about a client it was told.
    pub(crate) fn told_of(&self, client: &str) -> usize {
        let about = format!("UPDATE {client} ");
        self.lines().iter().filter(|line| line.text.starts_with(&about)).count()
    }

    /// Connections that it accepted since the start.
    pub(crate) fn connections(&self) -> usize {
        self.heard.lock().unwrap().connections
    }

    /// Connections that were open at one time, at most.
    pub(crate) fn most_open(&self) -> usize {
        self.heard.lock().unwrap().most_open
    }

    /// Connections that ended in the middle of a line.
    pub(crate) fn cut_short(&self) -> usize {
        self.heard.lock().unwrap().rests
    }

    fn listen(&mut self, listener: TcpListener) {
        let (listener, streams) = (Arc::new(listener), Arc::new(Mutex::new(Some(Vec::new()))));
        let thread = {
            let (listener, streams) = (Arc::clone(&listener), Arc::clone(&streams));
            let (manner, heard) = (self.manner, Arc::clone(&self.heard));
            thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    let stream = Arc::new(stream);
                    match &mut *streams.lock().unwrap() {
                        Some(streams) => streams.push(Arc::clone(&stream)),
                        None => return,
                    }
                    let number = heard.lock().unwrap().opened();
                    let heard = Arc::clone(&heard);
                    thread::spawn(move || listen_to(&stream, number, manner, &heard));
                }
            })
        };
        self.listening = Some(Listening { listener, streams, thread });
    }
}

impl Drop for Neighbor {
    fn drop(&mut self) {
        self.down();
    }
}

impl Heard {
    fn opened(&mut self) -> usize {
        self.connections += 1;
        self.open += 1;
        self.most_open = self.most_open.max(self.open);
        self.connections
    }
}

fn listen_to(stream: &TcpStream, number: usize, manner: Manner, heard: &Mutex<Heard>) {
    let talk_back = || {
        if manner == Manner::TalksBack {
            let _ = (&*stream).write_all(b"? what is that\nAT Nobody +1 x\n\xff\0");
        }
    };
    talk_back();
    let mut input = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = input.read_until(b'\n', &mut line) {
        let mut heard = heard.lock().unwrap();
        match line.strip_suffix(b"\n") {
            Some(line) => {
                let text = String::from_utf8(line.to_vec()).unwrap();
                heard.lines.push(Line { connection: number, text });
            }
            None => heard.rests += 1,
        }
        drop(heard);
        line.clear();
        talk_back();
        if manner == Manner::OneShot {
            break;
        }
    }
    // Counted before it is closed, since its end can bring the next one about.
    heard.lock().unwrap().open -= 1;
    let _ = stream.shutdown(Shutdown::Both);
}
