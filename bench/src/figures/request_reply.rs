//! One request outstanding, on one connection to ten thousand.

use super::Scenario;
use super::contender::{Kind, Programs};
use super::scenarios::{
    CLIENTS, HERD, HERD_WITHOUT_LOG, LOTS, LOTS_ECHO, LOTS_WITHOUT_LOG, TOKIO, TOKIO_ECHO,
    closed_loops,
};
use crate::echo::Model;

const CONNECTIONS: [(&str, usize); 5] = [
    ("request-reply-1", 1),
    ("request-reply-16", 16),
    ("request-reply-256", 256),
    ("request-reply-2000", 2_000),
    ("request-reply-10000", 10_000),
];

const KINDS: [(&str, Kind); 5] = [
    (HERD, Kind::Herd(LOTS)),
    (HERD_WITHOUT_LOG, Kind::Herd(LOTS_WITHOUT_LOG)),
    (TOKIO, Kind::Tokio(LOTS)),
    (LOTS_ECHO, Kind::Echo(Model::Lots)),
    (TOKIO_ECHO, Kind::Echo(Model::Tokio)),
];

pub(super) fn scenarios(programs: &Programs) -> impl Iterator<Item = Scenario> {
    CONNECTIONS.into_iter().map(|(name, connections)| Scenario {
        name,
        about: format!("{connections} connections x 1 outstanding IAMAT, {CLIENTS} clients"),
        reference: Some(HERD),
        contenders: closed_loops(programs, &KINDS, connections, 1),
    })
}
