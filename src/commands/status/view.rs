//! What was seen of a herd, as people read it, and whether it is well. Pure.

use std::fmt;
use std::time::Duration;

use herd::admin::Status;
use herd::admin::status::LinkStatus;
use herd::protocol::ServerName;

use crate::commands::table::table;

/// A herd with different records is well as long as nothing waits for longer than this.
const MOST_LAG: Duration = Duration::from_secs(5);

/// Digits of a digest that are shown: enough to see a difference.
const DIGITS: usize = 8;

/// What was seen of one server.
pub(super) struct Seen {
    pub(super) name: ServerName,
    pub(super) sight: Sight,
}

/// What became of asking it.
pub(super) enum Sight {
    /// It answered.
    Up(Box<Status>),
    /// It did not, and why.
    Down(String),
    /// It cannot be asked, and why.
    Unknown(String),
}

/// A whole herd at one time.
pub(super) struct View {
    seen: Vec<Seen>,
    /// Neighbors that are dialed for each update, and so have no link that could be up.
    one_shot: Vec<ServerName>,
}

/// What all of it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// All are up and hold the same.
    Equal,
    /// All are up, and what differs is on its way.
    CatchingUp,
    /// All are up, and hold different records for longer than they should.
    Differ,
    /// Some are not up, or cannot be asked.
    NotAllUp,
}

impl View {
    /// `one_shot` are the servers of the conf that take an update a connection.
    pub(super) fn new(seen: Vec<Seen>, one_shot: Vec<ServerName>) -> Self {
        Self { seen, one_shot }
    }

    /// True if all servers are up and equal, or catching up with every lag under 5 s.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.verdict(), Verdict::Equal | Verdict::CatchingUp)
    }

    fn verdict(&self) -> Verdict {
        let up: Vec<_> = self.up().collect();
        if up.len() < self.seen.len() {
            Verdict::NotAllUp
        } else if self.groups().len() < 2 {
            Verdict::Equal
        } else if up.iter().all(|status| {
            // The outbox of a link that is down is empty, so its lag says nothing.
            worst_lag(status) < MOST_LAG && self.links(status).all(|link| link.state == "up")
        }) {
            Verdict::CatchingUp
        } else {
            Verdict::Differ
        }
    }

    fn up(&self) -> impl Iterator<Item = &Status> {
        self.seen.iter().filter_map(|seen| match &seen.sight {
            Sight::Up(status) => Some(&**status),
            Sight::Down(_) | Sight::Unknown(_) => None,
        })
    }

    /// The links of a server that can be up.
    fn links<'a>(&'a self, status: &'a Status) -> impl Iterator<Item = &'a LinkStatus> {
        let is_one_shot =
            |link: &LinkStatus| self.one_shot.iter().any(|name| name.as_str() == link.neighbor);
        status.links.iter().filter(move |link| !is_one_shot(link))
    }

    /// Who holds the same records; the largest group first.
    fn groups(&self) -> Vec<Vec<&Status>> {
        let mut groups: Vec<Vec<&Status>> = Vec::new();
        for status in self.up() {
            match groups.iter_mut().find(|group| group[0].digest == status.digest) {
                Some(group) => group.push(status),
                None => groups.push(vec![status]),
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
        groups
    }

    fn row(&self, seen: &Seen) -> [String; 7] {
        let name = seen.name.to_string();
        let without = |state: &str, why: &str| {
            let [records, digest, links, lag] = ["-"; 4].map(str::to_owned);
            [name.clone(), state.to_owned(), records, digest, links, lag, why.to_owned()]
        };
        let status = match &seen.sight {
            Sight::Down(why) => return without("down", why),
            Sight::Unknown(why) => return without("unknown", why),
            Sight::Up(status) => status,
        };
        let links: Vec<_> = self.links(status).collect();
        let up = links.iter().filter(|link| link.state == "up").count();
        let remarks: Vec<_> =
            links.iter().filter(|link| link.state != "up").map(|link| remark(link)).collect();
        [
            name,
            "up".to_owned(),
            status.records.to_string(),
            status.digest.chars().take(DIGITS).collect(),
            format!("{up}/{}", links.len()),
            format!("{:.1} s", worst_lag(status).as_secs_f64()),
            remarks.join("; "),
        ]
    }

    fn summary(&self) -> String {
        let groups = self.groups();
        let said: Vec<_> = groups.iter().map(|group| names(group)).collect();
        match self.verdict() {
            Verdict::Equal => "All servers are up and hold the same records.".to_owned(),
            Verdict::CatchingUp => format!(
                "All servers are up; their records differ ({}), and are catching up.",
                said.join(" | ")
            ),
            Verdict::Differ => format!(
                "All servers are up, but their records differ: {}. See links and lag.",
                said.join(" | ")
            ),
            Verdict::NotAllUp => {
                let (up, all) = (self.up().count(), self.seen.len());
                let equal = match groups.len() {
                    0 => String::new(),
                    1 => ", and hold the same records".to_owned(),
                    _ => format!(", and their records differ: {}", said.join(" | ")),
                };
                format!("{up} of {all} servers are known to be up{equal}.")
            }
        }
    }
}

/// The table, and a sentence.
impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["name", "state", "records", "digest", "links", "lag", ""].map(str::to_owned);
        let rows: Vec<_> =
            std::iter::once(head).chain(self.seen.iter().map(|seen| self.row(seen))).collect();
        writeln!(f, "{}\n{}", table(&rows), self.summary())
    }
}

fn worst_lag(status: &Status) -> Duration {
    status.links.iter().map(|link| link.lag).max().unwrap_or_default()
}

fn remark(link: &LinkStatus) -> String {
    let why = link.last_error.as_ref().map(|error| format!(" ({error})")).unwrap_or_default();
    format!("link to {} {}{why}", link.neighbor, link.state)
}

fn names(group: &[&Status]) -> String {
    group.iter().map(|status| status.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::admin::status::{Connections, Moment, Places, Pool};
    use std::time::SystemTime;

    fn name(name: &str) -> ServerName {
        ServerName::parse(name.as_bytes()).unwrap()
    }

    fn link(neighbor: &str, state: &str, lag_seconds: u64) -> LinkStatus {
        LinkStatus {
            neighbor: neighbor.to_owned(),
            state: state.to_owned(),
            since: Moment(SystemTime::UNIX_EPOCH),
            last_error: (state != "up").then(|| "it closed".to_owned()),
            outbox: 0,
            lag: Duration::from_secs(lag_seconds),
            sent: 0,
            received: 0,
            last_sync: None,
        }
    }

    fn up(server: &str, digest: &str, links: &[LinkStatus]) -> Seen {
        let status = Status {
            name: server.to_owned(),
            version: String::new(),
            uptime: Duration::ZERO,
            records: 7,
            digest: digest.repeat(32),
            links: links.to_vec(),
            connections: Connections {
                open: 0,
                served: 0,
                waiting_for_places: 0,
                waiting_for_worker: 0,
            },
            pool: Pool { mode: String::new(), lots: 0, workers: 0, busy: 0, queued: 0 },
            places: Places { calls: 0, queued: 0 },
        };
        Seen { name: name(server), sight: Sight::Up(Box::new(status)) }
    }

    fn not_up(server: &str, sight: fn(String) -> Sight) -> Seen {
        Seen { name: name(server), sight: sight("why".to_owned()) }
    }

    #[track_caller]
    fn check(seen: Vec<Seen>, verdict: Verdict, is_well: bool) -> String {
        let view = View::new(seen, vec![name("Shot")]);
        assert_eq!((view.verdict(), view.is_well()), (verdict, is_well), "{view}");
        view.to_string()
    }

    #[test]
    fn a_herd_that_is_up_and_equal_is_well_whatever_its_links_do() {
        let seen = || vec![up("A", "a", &[link("B", "down", 0)]), up("B", "a", &[])];
        let text = check(seen(), Verdict::Equal, true);
        assert!(
            text.contains(
                "A     up     7        aaaaaaaa  0/1    0.0 s  link to B down (it closed)\n"
            ),
            "{text}"
        );
        assert!(text.contains("B     up     7        aaaaaaaa  0/0    0.0 s\n"), "{text}");
        assert!(text.ends_with("\nAll servers are up and hold the same records.\n"), "{text}");
    }

    #[test]
    fn a_herd_that_differs_is_well_while_every_link_is_up_and_every_lag_short() {
        let seen = |state, lag| vec![up("A", "a", &[link("B", state, lag)]), up("B", "b", &[])];
        let text = check(seen("up", 4), Verdict::CatchingUp, true);
        assert!(text.contains("differ (A | B), and are catching up"), "{text}");
        check(seen("up", 5), Verdict::Differ, false);
        let text = check(seen("down", 0), Verdict::Differ, false);
        assert!(text.contains("their records differ: A | B. "), "{text}");
    }

    #[test]
    fn a_neighbor_that_takes_an_update_a_connection_has_no_link_to_be_up() {
        let seen = vec![up("A", "a", &[link("Shot", "down", 0)]), up("B", "b", &[])];
        assert!(check(seen, Verdict::CatchingUp, true).contains("  0/0  "));
    }

    #[test]
    fn a_server_that_is_down_or_cannot_be_asked_is_said_with_its_reason() {
        let (a, b) = (|| up("A", "a", &[]), || up("B", "a", &[]));
        let text = check(vec![a(), b(), not_up("C", Sight::Down)], Verdict::NotAllUp, false);
        assert!(text.contains("C     down   -        -         -      -      why\n"), "{text}");
        assert!(text.contains("2 of 3 servers are known to be up, and hold the same"), "{text}");
        let unknown = vec![a(), up("B", "b", &[]), not_up("C", Sight::Unknown)];
        let text = check(unknown, Verdict::NotAllUp, false);
        assert!(text.contains("C     unknown  -"), "{text}");
        assert!(text.contains("and their records differ: A | B."), "{text}");
        let text = check(vec![not_up("C", Sight::Down)], Verdict::NotAllUp, false);
        assert!(text.ends_with("0 of 1 servers are known to be up.\n"), "{text}");
    }

    #[test]
    fn those_who_agree_are_named_together_the_most_first() {
        let seen = vec![up("A", "a", &[]), up("B", "b", &[]), up("C", "b", &[])];
        assert!(check(seen, Verdict::CatchingUp, true).contains("(B, C | A)"));
    }
}
