//! `herd check-conf`: what a conf file says, or what is wrong with it.

use std::io::Write as _;
use std::path::absolute;

use herd::config::{Config, Log, Places, Pool, PoolMode, Server};

use super::table::table;
use super::{CommandError, Exit, check_keys};
use crate::cli::CheckConf;

pub(crate) fn run(args: &CheckConf) -> Result<Exit, CommandError> {
    let config = Config::load(&args.conf)?;
    check_keys(&config)?;
    let report = format!(
        "{}\n{}\n{} is valid\n",
        table(&servers(&config)),
        table(&sections(&config)),
        args.conf.display()
    );
    // Who closes the pipe early (`| head`) has read what they wanted.
    let _ = std::io::stdout().write_all(report.as_bytes());
    Ok(Exit::Ok)
}

fn servers(config: &Config) -> Vec<[String; 5]> {
    let head = ["server", "listen", "links", "link", "neighbors"].map(str::to_string);
    let row = |server: &Server| {
        let names: Vec<_> = server.neighbors.iter().map(|name| name.as_str()).collect();
        [
            server.name.to_string(),
            server.listen.clone(),
            if config.opens_links(server) { server.links.clone() } else { "-".to_string() },
            server.link.to_string(),
            if names.is_empty() { "-".to_string() } else { names.join(", ") },
        ]
    };
    std::iter::once(head).chain(config.servers.iter().map(row)).collect()
}

fn sections(config: &Config) -> [[String; 2]; 3] {
    let Config { pool, places, log, .. } = config;
    [
        ["pool".to_string(), pool_said(pool)],
        ["places".to_string(), places_said(places)],
        ["log".to_string(), log_said(log)],
    ]
}

fn pool_said(pool: &Pool) -> String {
    let workers = match pool.mode {
        PoolMode::Lots => String::new(),
        PoolMode::Pinned => format!(", {} workers", pool.workers),
    };
    format!("{}{workers}, at most {} connections", pool.mode, pool.max_connections)
}

fn places_said(places: &Places) -> String {
    match &places.base_url {
        Some(url) => format!("{} at {url}", places.provider),
        None => places.provider.to_string(),
    }
}

/// The directory whole, since it counts from where the command is run.
fn log_said(log: &Log) -> String {
    let dir = absolute(&log.dir).unwrap_or_else(|_| log.dir.clone());
    let traffic = if log.traffic { "with" } else { "without" };
    format!(
        "{} (level {}, {traffic} traffic)",
        dir.display(),
        log.level.to_string().to_ascii_lowercase()
    )
}
