//! How many open files a server may need.

use super::listener::REFUSED;
use super::pool;
use crate::config::{Config, PoolMode, ProviderKind, Server};
use crate::flood::peer::SPARE_PEERS;

/// Of a lot: its epoll, and what wakes it.
const EACH_LOT: usize = 2;

/// Of a call of a provider: its connection, and the name look-up before.
const EACH_CALL: usize = 2;

/// Of a neighbor: the link that we dial, that which it dials.
const EACH_NEIGHBOR: usize = 2;

/// Listeners, log, signals, standard streams, the store and whoever watches over HTTP.
const REST: usize = 128;

/// Open files of a server when as many clients are connected as it allows, and everything else is at
/// its bound too.
pub fn needed(config: &Config, server: &Server) -> usize {
    let lots = match config.pool.mode {
        PoolMode::Lots => EACH_LOT * pool::lots().0,
        PoolMode::Pinned => 0,
    };
    let calls = match config.places.provider {
        ProviderKind::Gazetteer => 0,
        _ => EACH_CALL * config.places.workers,
    };
    let spare_peers = if config.opens_links(server) { SPARE_PEERS } else { 0 };
    let links = EACH_NEIGHBOR * server.neighbors.len() + spare_peers;
    config.pool.max_connections + REFUSED + lots + calls + links + REST
}
