//! A scripted HTTP/1.1 server that plays a places service.

#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// An answer of Overpass that finds nothing.
pub(crate) const NOTHING: &str = r#"{"elements": []}"#;

/// What a server is asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// `POST /v1/places:searchNearby HTTP/1.1`
    pub(crate) line: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    /// The value of a header that is there once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.iter().filter(|(key, _)| key == name).collect();
        assert_eq!(values.len(), 1, "{name} in {self:?}");
        &values[0].1
    }
}

/// A server on a port of its own: each connection has one request, is answered with whatever bytes
/// the script makes of it, and is closed.
pub(crate) struct PlacesService {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
}

impl PlacesService {
    pub(crate) fn start(script: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let is_over = Arc::<AtomicBool>::default();
        let script = Arc::new(script);
        let service = Self { address, requests, is_over };
        let (requests, is_over) = (Arc::clone(&service.requests), Arc::clone(&service.is_over));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let (requests, script) = (Arc::clone(&requests), Arc::clone(&script));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read(&stream) else { return };
                    requests.lock().unwrap().push(request.clone());
                    // Who asked may have given up.
                    let _ = stream.write_all(&script(&request));
                });
            }
        });
        service
    }

    /// `base_url` under `[places]`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl Drop for PlacesService {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Frees the thread in accept.
        let _ = TcpStream::connect(self.address);
    }
}

/// `None` if the connection ends before the request does.
fn read(stream: &TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut input = BufReader::new(stream);
    let mut next = || {
        let mut line = String::new();
        input.read_line(&mut line).ok().filter(|&length| length > 0)?;
        Some(line.trim_end().to_owned())
    };
    let line = next()?;
    let mut headers = Vec::new();
    loop {
        let header = next()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().unwrap())];
    input.read_exact(&mut body).ok()?;
    Some(Request { line, headers, body: String::from_utf8(body).unwrap() })
}

/// A whole answer. `status` is like `200 OK`, `headers` end with CR LF each.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// An answer with status 200.
pub(crate) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    answer("200 OK", "Content-Type: application/json\r\n", body)
}

/// Something to wait at until it opens.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

/// Opens its gate at the end of a test, also of one that fails.
pub(crate) struct Keeper(Gate);

impl Gate {
    pub(crate) fn new() -> (Self, Keeper) {
        let gate = Self::default();
        (gate.clone(), Keeper(gate))
    }

    /// Waits for the gate to open, for a minute at most.
    pub(crate) fn pass(&self) {
        let (is_open, changed) = &*self.0;
        let guard = is_open.lock().unwrap();
        let limit = Duration::from_secs(60);
        drop(changed.wait_timeout_while(guard, limit, |is_open| !*is_open).unwrap());
    }
}

impl Keeper {
    pub(crate) fn open(&self) {
        *self.0.0.0.lock().unwrap() = true;
        self.0.0.1.notify_all();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.open();
    }
}
