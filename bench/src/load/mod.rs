//! The load generator: many connections, each with so many requests in flight, from few threads.
//!
//! Reading order: [`Work`] and [`requests`] (what is asked), [`replies`] (what has to come back),
//! [`connection`], [`schedule`], [`generator`] (one thread of it), [`tally`] (what it counts),
//! [`Outcome`] (what is said of it); [`Abusers`] are beside all that.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use herd::client::{Client, ClientError, Reply};

use crate::cli;
use crate::process::{self, CpuTime, Pid};

mod abuse;
mod alarm;
mod connection;
mod generator;
mod outcome;
mod replies;
mod requests;
mod resp;
mod schedule;
mod tally;
mod work;

pub(crate) use abuse::{Abuse, Abusers};
use generator::Generator;
pub(crate) use outcome::{LATENESS_IS_LIMIT, Outcome};
use replies::Splitter;
pub(crate) use requests::PLACES_KEY;
use requests::Requests;
use schedule::Schedule;
pub(crate) use tally::histogram;
use tally::{Tally, Window};
pub(crate) use work::Work;

/// Longest wait for a connection, and for what is reported before.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long replies that are missing at the end are waited for, as a rule.
pub(crate) const LAST_REPLIES: Duration = Duration::from_secs(5);

/// Connections that are opened between two pauses of a millisecond, so that a server's backlog
/// holds them: Redis has one of 511.
const CONNECTED_AT_ONCE: usize = 128;

/// Descriptors for all but connections.
const OTHER_FILES: usize = 64;

/// What is put on a server.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) address: String,
    pub(crate) connections: usize,
    pub(crate) outstanding: usize,
    pub(crate) idle: usize,
    pub(crate) duration: Duration,
    pub(crate) warm_up: Duration,
    /// How long replies that are missing at the end are waited for.
    pub(crate) last_replies: Duration,
    /// Requests a second over all; `None`: closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) work: Work,
    /// A connection for each request, which the server ends.
    pub(crate) one_shot: bool,
    pub(crate) expects_echo: bool,
    pub(crate) clients: u32,
    /// They were reported before; else those that are asked for are reported first.
    pub(crate) are_known: bool,
    pub(crate) pid: Option<Pid>,
    pub(crate) threads: usize,
    pub(crate) seed: u64,
}

/// What is in use at a moment, in bytes.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Memory {
    /// By the server's process.
    pub(crate) resident: u64,
    /// By the kernel, for all processes.
    pub(crate) kernel: u64,
}

impl Memory {
    pub(crate) fn of(pid: Pid) -> io::Result<Self> {
        Ok(Self { resident: pid.resident_bytes()?, kernel: process::kernel_bytes()? })
    }
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("{0}: cannot connect: {1}; is the server running there?")]
    Connect(String, io::Error),
    #[error(
        "{wanted} connections do not fit the limit of {limit} open files; raise it (ulimit -Hn)"
    )]
    Files { wanted: usize, limit: u64 },
    #[error("{0}: cannot report the clients that are asked for: {1}")]
    Report(String, ClientError),
    #[error("{0}: refuses the reports of the clients that are asked for: {1:?}")]
    Refused(String, String),
    #[error("{0}: does not answer a first request: {1}")]
    Probe(String, io::Error),
    #[error("cannot read what the server's process uses: {0}")]
    Process(io::Error),
    #[error("the generator failed: {0}")]
    Generator(#[from] io::Error),
}

impl From<&cli::Load> for Load {
    fn from(args: &cli::Load) -> Self {
        Self {
            address: args.address.clone(),
            connections: args.connections,
            outstanding: args.outstanding,
            idle: args.idle,
            duration: args.duration,
            warm_up: args.warm_up,
            last_replies: LAST_REPLIES,
            rate: args.rate,
            work: args.work,
            one_shot: args.one_shot,
            expects_echo: args.expect.is_some(),
            clients: args.clients,
            are_known: false,
            pid: args.pid.map(Pid),
            threads: args.threads,
            seed: args.seed,
        }
    }
}

/// Puts the load on the server. Blocks for warm-up and duration, and for as long as connecting,
/// reporting and the last replies take: each bounded.
///
/// # Errors
///
/// [`LoadError`]. Wrong and missing replies are no error: the outcome counts them.
pub(crate) fn run(load: &Load) -> Result<Outcome, LoadError> {
    if load.work.asks() && !load.are_known {
        report_all(load)?;
    }
    let address = resolve(&load.address)?;
    let (idle, [memory_before_idle, memory_after_idle]) = hold_idle(load)?;
    let streams = connect(load, address, load.connections)?;
    let (mut tally, server_cpu) = generate(load, address, streams)?;
    tally.idle_ended = idle.iter().filter(|stream| has_ended(stream)).count() as u64;
    Ok(Outcome::new(
        load,
        tally,
        server_cpu,
        [memory_before_idle, memory_after_idle, memory(load)?],
    ))
}

/// Opens the idle connections, and says what is in use before, and when the server has accepted them.
///
/// # Errors
///
/// [`LoadError`].
pub(crate) fn hold_idle(load: &Load) -> Result<(Vec<TcpStream>, [Option<Memory>; 2]), LoadError> {
    let wanted = load.connections + load.idle + OTHER_FILES;
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    if limit < wanted as u64 {
        return Err(LoadError::Files { wanted, limit });
    }
    let address = resolve(&load.address)?;
    if load.idle > 0 {
        // What a first request makes the server allocate is not for the idle ones.
        wait_until_accepted(load, address)?;
    }
    let before = memory(load)?;
    let idle = connect(load, address, load.idle)?;
    if load.idle > 0 {
        wait_until_accepted(load, address)?;
    }
    Ok((idle, [before, memory(load)?]))
}

fn memory(load: &Load) -> Result<Option<Memory>, LoadError> {
    load.pid.map(Memory::of).transpose().map_err(LoadError::Process)
}

fn connect(load: &Load, address: SocketAddr, count: usize) -> Result<Vec<TcpStream>, LoadError> {
    (1..=count)
        .map(|number| {
            if number.is_multiple_of(CONNECTED_AT_ONCE) {
                thread::sleep(Duration::from_millis(1));
            }
            let stream = TcpStream::connect_timeout(&address, TIMEOUT)
                .map_err(|error| LoadError::Connect(load.address.clone(), error))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
        .collect()
}

/// Waits until the server has accepted the connections made so far: it takes them in order, so it
/// has when it answers on one that comes after them.
fn wait_until_accepted(load: &Load, address: SocketAddr) -> Result<(), LoadError> {
    let failed = |error: io::Error| {
        // What a read timeout is called.
        let is_late = error.kind() == ErrorKind::WouldBlock;
        let error = if is_late { ErrorKind::TimedOut.into() } else { error };
        LoadError::Probe(load.address.clone(), error)
    };
    let mut requests = Requests::new(load.work, load.clients, load.seed, load.expects_echo);
    let mut request = Vec::new();
    requests.read_clock();
    let expected = requests.write(&mut request);
    let answered = |mut stream: TcpStream| {
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(&request)?;
        let (mut splitter, mut buffer) = (Splitter::default(), [0; 4096]);
        loop {
            let length = match stream.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => length,
            };
            if let (_, Some(_)) = splitter.take(&buffer[..length], expected) {
                return Ok(());
            }
        }
    };
    connect(load, address, 1)?.into_iter().try_for_each(answered).map_err(failed)
}

/// True if the server has ended a connection that nothing was sent on, or said something on it,
/// which can only be why.
fn has_ended(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    !peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn resolve(address: &str) -> Result<SocketAddr, LoadError> {
    let mut found = address.to_socket_addrs().map_err(|error| (address.to_string(), error));
    let first = found.as_mut().ok().and_then(Iterator::next);
    match (first, found) {
        (Some(first), _) => Ok(first),
        (None, Err((address, error))) => Err(LoadError::Connect(address, error)),
        (None, Ok(_)) => {
            Err(LoadError::Connect(address.to_string(), io::ErrorKind::NotFound.into()))
        }
    }
}

/// Reports every client once, so that it can be asked for.
pub(crate) fn report_all(load: &Load) -> Result<(), LoadError> {
    let failed = |error| LoadError::Report(load.address.clone(), error);
    let mut requests = Requests::new(Work::Iamat, load.clients, load.seed, false);
    let mut refused = None;
    Client::connect(&load.address, TIMEOUT)
        .and_then(|client| {
            client.pipeline(requests.one_report_each(), |reply| {
                if let Reply::Invalid(invalid) = reply {
                    refused.get_or_insert(invalid.to_string());
                }
            })
        })
        .map_err(failed)?;
    match refused {
        Some(refused) => Err(LoadError::Refused(load.address.clone(), refused)),
        None => Ok(()),
    }
}

/// The load itself, and the CPU time of the server in the measured time.
fn generate(
    load: &Load,
    address: SocketAddr,
    streams: Vec<TcpStream>,
) -> Result<(Tally, Option<Duration>), LoadError> {
    let threads = load.threads.min(streams.len());
    let until = load.warm_up + load.duration;
    let window = Window {
        from: load.warm_up.as_nanos() as u64,
        until: until.as_nanos() as u64,
        give_up: (until + load.last_replies).as_nanos() as u64,
    };
    let mut shares: Vec<Vec<TcpStream>> = (0..threads).map(|_| Vec::new()).collect();
    for (index, stream) in streams.into_iter().enumerate() {
        shares[index % threads].push(stream);
    }
    let generators = shares.into_iter().enumerate().map(|(index, streams)| {
        let seed = load.seed.wrapping_mul(threads as u64).wrapping_add(index as u64);
        let requests = Requests::new(load.work, load.clients, seed, load.expects_echo);
        let schedule = load.rate.map(|rate| Schedule::share(rate, index, threads));
        let one_shot = load.one_shot.then_some(address);
        Generator::new(streams, load.outstanding, requests, schedule, one_shot, window)
    });
    let generators = generators.collect::<io::Result<Vec<_>>>()?;
    let start = Instant::now();
    thread::scope(|scope| {
        let running: Vec<_> = generators
            .into_iter()
            .map(|generator| scope.spawn(move || generator.run(start)))
            .collect();
        let cpu = server_cpu(load.pid, start + load.warm_up, start + until);
        let mut all = Tally::new();
        for thread in running {
            let tally = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.add(tally);
        }
        Ok((all, cpu?))
    })
}

/// What the process uses between two moments; waits for both.
fn server_cpu(
    pid: Option<Pid>,
    from: Instant,
    until: Instant,
) -> Result<Option<Duration>, LoadError> {
    let Some(pid) = pid else { return Ok(None) };
    let at = |moment: Instant| -> Result<CpuTime, LoadError> {
        thread::sleep(moment.saturating_duration_since(Instant::now()));
        pid.cpu_time().map_err(LoadError::Process)
    };
    let before = at(from)?;
    Ok(Some(at(until)?.since(before)))
}

#[cfg(test)]
mod tests;
