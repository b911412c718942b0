//! Where a worker serves connections: a few share a turn, so that what they report is merged together, and handed
//! over at once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use smallvec::SmallVec;

use super::connection::{Connection, READ_BYTES, Step};
use super::exchange::Exchange;
use super::session::Next;
use super::shared::{LOST, Shared};
use super::turn::Turn;
use crate::records::TOGETHER;

/// What a worker has at hand for turns.
#[derive(Debug)]
pub struct Desk {
    turn: Turn,
    /// For each connection that may have a part in a turn, what it sends.
    inputs: Vec<Vec<u8>>,
    /// And what comes of it.
    exchanges: Vec<Exchange>,
    /// Connections in this turn, in the order of their inputs and exchanges.
    parts: SmallVec<[Part; TOGETHER]>,
}

/// A connection in a turn.
#[derive(Debug)]
struct Part {
    /// In its lot.
    key: usize,
    connection: Box<Connection>,
    /// How far it has come; an error is what it needs after the turn, in which there is nothing else for it to do.
    stage: Result<Next, Step>,
}

impl Desk {
    /// Buffers for lines of up to `max_line` bytes.
    pub fn new(max_line: usize) -> Self {
        Self {
            turn: Turn::default(),
            inputs: (0..TOGETHER).map(|_| vec![0; READ_BYTES + max_line + 1]).collect(),
            exchanges: (0..TOGETHER).map(|_| Exchange::default()).collect(),
            parts: SmallVec::new(),
        }
    }

    /// Gives a connection a part in the turn, which must not be full: reads from it, and handles its lines. Does not
    /// block.
    pub fn begin(&mut self, shared: &Shared, key: usize, mut connection: Box<Connection>) {
        let Self { turn, inputs, exchanges, parts } = self;
        let at = parts.len();
        let begun = guarded(shared, turn, &mut exchanges[at..=at], |turn, exchanges| {
            connection.begin_turn(shared, &mut inputs[at], turn, &mut exchanges[0])
        });
        parts.push(Part { key, connection, stage: begun.flatten() });
    }

    /// True if the turn has to end before another connection has a part in it: as many reports wait to be merged as may
    /// be merged together, or the last connection does not wait for that alone.
    pub fn is_full(&self) -> bool {
        let Some(last) = self.parts.last() else { return false };
        let exchanges = &self.exchanges[..self.parts.len()];
        let may_go_on = matches!(last.stage, Ok(Next::NeedInput) | Err(Step::Wait(_)))
            && exchanges.iter().all(|exchange| exchange.replies.is_empty());
        let reports: usize = exchanges.iter().map(|exchange| exchange.reports.len()).sum();
        !may_go_on || exchanges.len() == TOGETHER || reports >= TOGETHER
    }

    /// Ends the turn: merges what was reported, hands over what is to be flooded and logged, and sends the replies.
    /// Returns each connection and what it needs next; only the last may need places. Blocks at most as
    /// [`Turn::hand_over`] does.
    pub fn end(
        &mut self,
        shared: &Shared,
    ) -> impl Iterator<Item = (usize, Box<Connection>, Step)> + use<> {
        let mut parts = std::mem::take(&mut self.parts);
        let Self { turn, inputs, exchanges, .. } = self;
        let exchanges = &mut exchanges[..parts.len()];
        let merged = guarded(shared, turn, exchanges, |turn, exchanges| {
            turn.merge(shared, exchanges);
        });
        for (at, part) in parts.iter_mut().enumerate() {
            let Ok(next) = part.stage else { continue };
            let exchanges = &mut exchanges[at..=at];
            part.stage = match merged {
                Ok(()) => guarded(shared, turn, exchanges, |turn, exchanges| {
                    part.connection.reply(shared, &inputs[at], turn, &mut exchanges[0]);
                    next
                }),
                Err(_) => Err(Step::Gone(LOST)),
            };
        }
        turn.hand_over(shared);
        for (at, part) in parts.iter_mut().enumerate() {
            let Ok(next) = part.stage else { continue };
            let sent = guarded(shared, turn, &mut exchanges[at..=at], |_, exchanges| {
                part.connection.send(shared, &mut exchanges[0], next)
            });
            part.stage = Err(sent.unwrap_or_else(|lost| lost));
        }
        parts.into_iter().map(|part| {
            (part.key, part.connection, part.stage.expect_err("all that are not lost have sent"))
        })
    }

    /// Does something with one connection that has no part in the turn.
    pub fn act(
        &mut self,
        shared: &Shared,
        connection: &mut Connection,
        act: impl FnOnce(&mut Connection, &mut Turn, &mut Exchange) -> Step,
    ) -> Step {
        let acted = guarded(shared, &mut self.turn, &mut self.exchanges[..1], |turn, exchanges| {
            act(connection, turn, &mut exchanges[0])
        });
        acted.unwrap_or_else(|lost| lost)
    }
}

/// Does something for the connections of some exchanges. A panic costs these connections and nothing else: the error is
/// what each of them needs then.
fn guarded<T>(
    shared: &Shared,
    turn: &mut Turn,
    exchanges: &mut [Exchange],
    act: impl FnOnce(&mut Turn, &mut [Exchange]) -> T,
) -> Result<T, Step> {
    catch_unwind(AssertUnwindSafe(|| act(turn, exchanges))).map_err(|_| {
        shared.counters.panics.add(1);
        exchanges.fill_with(Exchange::default);
        turn.drop_half_a_line();
        Step::Gone(LOST)
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpStream;
    use std::sync::Arc;

    use super::super::tests::{connected, lone};
    use super::*;

    /// A connection, and its client, which has sent something that has arrived.
    fn sent(text: &str) -> (Box<Connection>, TcpStream) {
        let (connection, mut client) = connected(&Arc::default());
        client.write_all(text.as_bytes()).unwrap();
        while connection.stream().peek(&mut vec![0; READ_BYTES]).unwrap_or(0) < text.len() {
            std::thread::yield_now();
        }
        (connection, client)
    }

    fn lines(client: TcpStream, count: usize) -> Vec<String> {
        BufReader::new(client).lines().take(count).map(Result::unwrap).collect()
    }

    #[test]
    fn connections_that_only_report_share_a_turn_and_are_replied_to_each_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let server = lone(dir.path());
        let mut desk = Desk::new(server.shared.limits.max_line);
        let texts = ["IAMAT a +1+1 1\n", "IAMAT b +2+2 2\nIAMAT a +3+3 3\n", "IAMAT"];
        let (connections, mut clients): (Vec<_>, Vec<_>) = texts.map(sent).into_iter().unzip();
        for (key, connection) in connections.into_iter().enumerate() {
            assert!(!desk.is_full());
            desk.begin(&server.shared, key, connection);
        }
        assert!(!desk.is_full());
        assert!(server.records().is_empty());
        let ended: Vec<_> = desk.end(&server.shared).collect();
        for (at, (key, _, step)) in ended.iter().enumerate() {
            assert_eq!((*key, step), (at, &Step::Wait(crate::waits::Awaits::Readable)));
        }
        assert_eq!(server.records().len(), 2);
        clients.truncate(2);
        let replies: Vec<_> = clients.into_iter().zip([1, 2]).map(|(it, n)| lines(it, n)).collect();
        assert!(replies[0][0].ends_with(" a +1+1 1"), "{replies:?}");
        assert!(replies[1][0].ends_with(" b +2+2 2"), "{replies:?}");
        assert!(replies[1][1].ends_with(" a +3+3 3"), "{replies:?}");
        server.stop();
    }

    #[test]
    fn a_turn_ends_with_who_has_replies_or_with_as_many_reports_as_are_merged_together() {
        let dir = tempfile::tempdir().unwrap();
        let server = lone(dir.path());
        let mut desk = Desk::new(server.shared.limits.max_line);
        let report = "IAMAT a +1+1 1\n";
        for last in ["x\n", "WHATSAT nobody 1 1\n", &report.repeat(TOGETHER - 1)] {
            let (first, _first_client) = sent(report);
            let (second, _second_client) = sent(last);
            desk.begin(&server.shared, 1, first);
            assert!(!desk.is_full());
            desk.begin(&server.shared, 2, second);
            assert!(desk.is_full(), "{last}");
            assert_eq!(desk.end(&server.shared).count(), 2);
            assert!(!desk.is_full());
        }
        server.stop();
    }

    #[test]
    fn a_panic_costs_those_of_its_exchanges_and_leaves_no_half_line_in_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let server = lone(dir.path());
        let mut desk = Desk::new(server.shared.limits.max_line);
        let (connection, client) = sent("x\n");
        desk.begin(&server.shared, 1, connection);
        let (turn, exchanges) = (&mut desk.turn, &mut desk.exchanges[1..]);
        let lost = guarded(&server.shared, turn, exchanges, |turn, exchanges| {
            exchanges[0].replies.extend_from_slice(b"half a re");
            turn.begin_line("peer");
            panic!("meant");
        });
        assert_eq!(lost, Err::<(), _>(Step::Gone(LOST)));
        assert!(desk.exchanges[1].replies.is_empty());
        assert_eq!(server.shared.counters.panics.get(), 1);
        assert_eq!(desk.end(&server.shared).count(), 1);
        assert_eq!(lines(client, 1), ["? x"]);
        server.stop();
        let log = std::fs::read_to_string(dir.path().join("Ball.log")).unwrap();
        assert!(log.contains("x -> ? x\n") && !log.contains("peer"), "{log}");
    }
}
