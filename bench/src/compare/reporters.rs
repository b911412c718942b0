//! Clients that report to all servers of a herd, and look whether all servers know.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use herd::client::{Client, ClientError, Reply, now};
use herd::protocol::Nanos;

use super::CompareError;

/// Longest wait for one reply.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Between two looks whether all is equal, so that looking does not slow the herd.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Connections to all servers of a herd.
pub(super) struct Watchers<'a> {
    addresses: &'a [String],
    clients: Vec<Option<Client>>,
    /// The servers end a connection after each reply.
    is_one_shot: bool,
}

/// How a client is named that was reported as the `number`th at a server.
pub(super) fn client(server: usize, number: usize) -> String {
    format!("new-{server}-{number:010}")
}

/// One report of a client, with a time that no other report of it has.
pub(super) fn report(name: &str) -> String {
    let time = now().0;
    let place = time.unsigned_abs() / 1_000 % 1_000_000;
    format!(
        "IAMAT {name} +34.{place:06}-118.445127 {}.{:09}",
        time / 1_000_000_000,
        time % 1_000_000_000
    )
}

impl<'a> Watchers<'a> {
    pub(super) fn new(addresses: &'a [String], is_one_shot: bool) -> Self {
        Self { addresses, clients: addresses.iter().map(|_| None).collect(), is_one_shot }
    }

    /// One exchange with a server.
    pub(super) fn ask(&mut self, server: usize, line: &str) -> Result<Reply, ClientError> {
        let mut client = match self.clients[server].take() {
            Some(client) => client,
            None => Client::connect(&self.addresses[server], TIMEOUT)?,
        };
        let reply = client
            .request(line)?
            .ok_or(ClientError::Unexpected("no reply, though it was no UPDATE".into()))?;
        if !self.is_one_shot {
            self.clients[server] = Some(client);
        }
        Ok(reply)
    }

    /// Reports a client at one server, and waits until all others answer with exactly that.
    ///
    /// # Errors
    ///
    /// When one does not within the limit.
    pub(super) fn time_to_all(
        &mut self,
        origin: usize,
        name: &str,
        limit: Duration,
    ) -> Result<Duration, CompareError> {
        let begun = Instant::now();
        let Reply::At(at) = self.ask(origin, &report(name))? else {
            return Err(CompareError::NotEqual(format!("{name} was refused")));
        };
        let mut waiting: Vec<usize> =
            (0..self.addresses.len()).filter(|&server| server != origin).collect();
        while let Some(&server) = waiting.last() {
            if self.holds(server, name)?.as_ref() == Some(&at.time) {
                waiting.pop();
            } else if begun.elapsed() > limit {
                let address = &self.addresses[server];
                let what = format!("{name} did not reach {address} within {limit:?}");
                return Err(CompareError::NotEqual(what));
            }
        }
        Ok(begun.elapsed())
    }

    /// The time of what a server holds of a client.
    fn holds(&mut self, server: usize, name: &str) -> Result<Option<Nanos>, ClientError> {
        Ok(match self.ask(server, &format!("WHATSAT {name} 0 0"))? {
            Reply::Nearby(nearby) => Some(nearby.at.time),
            _ => None,
        })
    }
}

/// Reports ever new clients at every server at once, each as fast as it answers, for a time; how many
/// at each.
pub(super) fn report_new(
    addresses: &[String],
    duration: Duration,
    is_one_shot: bool,
) -> Result<Vec<usize>, CompareError> {
    let until = Instant::now() + duration;
    at_each(addresses, |server| {
        let mut count = 0;
        if is_one_shot {
            let mut watchers = Watchers::new(addresses, true);
            while Instant::now() < until {
                watchers.ask(server, &report(&client(server, count)))?;
                count += 1;
            }
        } else {
            let mut number = 0;
            let lines = std::iter::from_fn(|| {
                number += 1;
                (Instant::now() < until).then(|| report(&client(server, number - 1)))
            });
            Client::connect(&addresses[server], TIMEOUT)?.pipeline(lines, |_| count += 1)?;
        }
        Ok(count)
    })
}

/// Reports new clients at the given servers in turn, evenly spaced, until told to stop; their names.
pub(super) fn report_steadily(
    addresses: &[String],
    servers: &[usize],
    per_second: f64,
    is_one_shot: bool,
    is_over: &AtomicBool,
) -> Result<Vec<String>, CompareError> {
    let mut watchers = Watchers::new(addresses, is_one_shot);
    let begun = Instant::now();
    let mut names = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let due = begun + Duration::from_secs_f64(names.len() as f64 / per_second);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let server = servers[names.len() % servers.len()];
        let name = client(server, names.len());
        watchers.ask(server, &report(&name))?;
        names.push(name);
    }
    Ok(names)
}

/// The clients of `names` that a server does not know.
fn unknown(address: &str, names: &[String], is_one_shot: bool) -> Result<Vec<String>, ClientError> {
    let question = |name: &String| format!("WHATSAT {name} 0 0");
    let mut replies = Vec::with_capacity(names.len());
    if is_one_shot {
        let addresses = [address.to_string()];
        let mut watchers = Watchers::new(&addresses, true);
        for name in names {
            replies.push(watchers.ask(0, &question(name))?);
        }
    } else {
        let lines = names.iter().map(question);
        Client::connect(address, TIMEOUT)?.pipeline(lines, |reply| replies.push(reply))?;
    }
    let pairs = names.iter().zip(replies);
    let unknown = pairs.filter(|(_, reply)| !matches!(reply, Reply::Nearby(_)));
    Ok(unknown.map(|(name, _)| name.clone()).collect())
}

/// Waits until a server knows all these clients; those that it does not when the limit has passed.
pub(super) fn wait_until_known(
    address: &str,
    names: &[String],
    is_one_shot: bool,
    limit: Duration,
) -> Result<Vec<String>, ClientError> {
    let begun = Instant::now();
    let mut left = unknown(address, names, is_one_shot)?;
    while !left.is_empty() && begun.elapsed() < limit {
        thread::sleep(LOOK_AGAIN);
        left = unknown(address, &left, is_one_shot)?;
    }
    Ok(left)
}

/// The same of all servers at once: how many clients each lacks at the end.
pub(super) fn wait_until_all_know(
    addresses: &[String],
    names: &[String],
    is_one_shot: bool,
    limit: Duration,
) -> Result<Vec<usize>, CompareError> {
    at_each(addresses, |server| {
        Ok(wait_until_known(&addresses[server], names, is_one_shot, limit)?.len())
    })
}

/// Does something with every server, in threads.
fn at_each<T: Send>(
    addresses: &[String],
    act: impl Fn(usize) -> Result<T, ClientError> + Sync,
) -> Result<Vec<T>, CompareError> {
    thread::scope(|scope| {
        let act = &act;
        let acting: Vec<_> =
            (0..addresses.len()).map(|server| scope.spawn(move || act(server))).collect();
        acting
            .into_iter()
            .map(|acted| acted.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .map(|result| result.map_err(CompareError::from))
            .collect()
    })
}
