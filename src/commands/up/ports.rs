//! Are the addresses that the servers need free?

use herd::config::{Config, Server};
use herd::listening;

use crate::commands::port_owner;

/// Binds every address that the servers will listen on, all at once, and lets go of them again.
///
/// # Errors
///
/// One line for each address that can't be had: which, why, and what to do.
pub(super) fn check(servers: &[&Server], config: &Config) -> Result<(), String> {
    let mut held = Vec::new();
    let mut problems = Vec::new();
    for server in servers {
        let links = config.opens_links(server).then_some(&server.links);
        for address in [&server.listen].into_iter().chain(links).chain(&server.admin) {
            match listening::bind(address) {
                Ok(listener) => held.push(listener),
                Err(e) => problems.push(port_owner::describe(server, address, &e, &config.path)),
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n      ")) }
}
