//! `[[server]]`: names, addresses, and the graph that the neighbors make.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use toml::{Spanned, Value};

use super::address::{Address, is_loopback};
use super::error::{ConfigError, Source, with_commas};
use super::file;
use super::values::{Table, one_of, shown};
use super::{Config, LinkKind, Server};
use crate::protocol::ServerName;

/// How far a server's `links` lies above its `listen` by default, in ports.
const LINKS_PORT_OFFSET: u16 = 1000;

/// Reads the servers and holds them against each other.
pub(super) fn servers(
    source: Source<'_>,
    raw: &[Spanned<file::Server>],
) -> Result<Vec<Server>, ConfigError> {
    if raw.is_empty() {
        return Err(source.refuse(
            0..0,
            "no server; add a table [[server]] with name = \"Alford\" and listen = \"127.0.0.1:12000\"",
        ));
    }
    let mut drafts =
        raw.iter().map(|raw| Draft::read(source, raw)).collect::<Result<Vec<_>, _>>()?;
    refuse_duplicate_names(&drafts)?;
    join_neighbors(&mut drafts)?;
    for draft in &mut drafts {
        draft.settle_links()?;
    }
    refuse_duplicate_addresses(&drafts)?;
    refuse_pieces(&drafts)?;
    Ok(drafts.into_iter().map(|draft| draft.server).collect())
}

/// A server as far as it is known while the others are not.
struct Draft<'a> {
    server: Server,
    raw: &'a file::Server,
    table: Table<'a>,
    /// Where its table starts.
    at: Range<usize>,
    listen: Address,
    links: Option<Address>,
    admin: Option<Address>,
    /// True for a herd server that other herd servers dial.
    opens_links: bool,
}

impl<'a> Draft<'a> {
    fn read(source: Source<'a>, raw: &'a Spanned<file::Server>) -> Result<Self, ConfigError> {
        let at = raw.span();
        let raw = raw.get_ref();
        let mut table = Table { source, label: "[[server]] ".to_string() };
        let name = table.read("name", &raw.name, server_name)?.ok_or_else(|| {
            source
                .refuse(at.clone(), "[[server]] name: missing; write one, as in name = \"Alford\"")
        })?;
        table.label = format!("server \"{name}\": ");
        let listen = table.read("listen", &raw.listen, address)?.ok_or_else(|| {
            let example = "listen: missing; write HOST:PORT, as in listen = \"127.0.0.1:12000\"";
            source.refuse(at.clone(), format!("{}{example}", table.label))
        })?;
        let links = table.read("links", &raw.links, address)?;
        let admin = table.read("admin", &raw.admin, address)?;
        let kinds = &[
            ("herd", LinkKind::Herd),
            ("plain", LinkKind::Plain),
            ("one-shot", LinkKind::OneShot),
        ];
        let link = table.read("link", &raw.link, one_of(kinds))?.unwrap_or_default();
        let server = Server {
            name,
            listen: listen.to_string(),
            links: String::new(),
            admin: admin.as_ref().map(Address::to_string),
            neighbors: Vec::new(),
            link,
        };
        Ok(Self { server, raw, table, at, listen, links, admin, opens_links: false })
    }

    /// Decides where neighbors dial.
    fn settle_links(&mut self) -> Result<(), ConfigError> {
        if self.server.link != LinkKind::Herd {
            if self.links.is_some() {
                return Err(self.refuse_links(
                    "a plain or one-shot server is dialed at listen; leave links out".to_string(),
                ));
            }
            self.server.links = self.server.listen.clone();
            return Ok(());
        }
        let links = match &self.links {
            Some(links) => links.clone(),
            None => self.default_links()?,
        };
        self.server.links = links.to_string();
        self.links = Some(links);
        Ok(())
    }

    /// The port of `listen` + 1000. Port 0 stays 0: the system picks both.
    fn default_links(&self) -> Result<Address, ConfigError> {
        let Address { host, port } = self.listen.clone();
        let above = match port {
            0 => Some(0),
            port => port.checked_add(LINKS_PORT_OFFSET),
        };
        match above {
            Some(port) => Ok(Address { host, port }),
            // Not opened, so it need not exist.
            None if !self.opens_links => Ok(Address { host, port: 0 }),
            None => Err(self.refuse_links(format!(
                "the default is the port of listen + {LINKS_PORT_OFFSET}, and {} is over 65535; \
                 set links",
                u32::from(port) + u32::from(LINKS_PORT_OFFSET)
            ))),
        }
    }

    fn refuse_links(&self, what: String) -> ConfigError {
        // The default follows from `listen`, so that is the line to look at.
        let setting = self.raw.links.as_ref().or(self.raw.listen.as_ref());
        self.refuse(setting.map(Spanned::span), &format!("links: {what}"))
    }

    fn refuse(&self, span: Option<Range<usize>>, what: &str) -> ConfigError {
        let span = span.unwrap_or_else(|| self.at.clone());
        self.table.source.refuse(span, format!("{}{what}", self.table.label))
    }
}

/// The one place that decides who may open links where. Without a key links are not encrypted and nobody on
/// them proves who they are, so who reaches the port could forge every record: only this machine may.
/// With a key everyone on a link has to have it, which servers of other kinds cannot.
pub(super) fn check_links(
    source: Source<'_>,
    raw: &file::File,
    config: &Config,
) -> Result<(), ConfigError> {
    for (server, raw) in config.servers.iter().zip(&raw.server) {
        let raw = raw.get_ref();
        let refuse = |at: &file::Setting, what: &str| {
            let span = at.as_ref().map_or(0..0, Spanned::span);
            Err(source.refuse(span, format!("server \"{}\": {what}", server.name)))
        };
        if config.links.key_file.is_some() {
            if server.link != LinkKind::Herd {
                return refuse(
                    &raw.link,
                    &format!(
                        "link: a server with link = \"{}\" has no key, and [links] key_file is set; take \
                         either away",
                        server.link
                    ),
                );
            }
            continue;
        }
        let links = Address::parse(&server.links).map_err(|what| source.refuse(0..0, what))?;
        if config.opens_links(server) && !is_loopback(&links.host) {
            // The default follows from `listen`, so that is the line to look at.
            let at = if raw.links.is_some() { &raw.links } else { &raw.listen };
            return refuse(
                at,
                &format!(
                    "links: {links} can be reached from other machines, and links are in clear; make a key \
                     with `herd keygen herd.key`, bring it to every server, and set [links] key_file = \
                     \"herd.key\"; or set links to a loopback address, as in links = \"127.0.0.1:{}\"",
                    links.port
                ),
            );
        }
    }
    Ok(())
}

/// What a server tells whoever watches it is for nobody else, unless the conf says so.
pub(super) fn check_admin(
    source: Source<'_>,
    raw: &file::File,
    config: &Config,
) -> Result<(), ConfigError> {
    if config.admin.beyond_loopback {
        return Ok(());
    }
    for (server, raw) in config.servers.iter().zip(&raw.server) {
        let Some(text) = &server.admin else { continue };
        let span = raw.get_ref().admin.as_ref().map_or(0..0, Spanned::span);
        let admin = Address::parse(text).map_err(|what| source.refuse(span.clone(), what))?;
        if !is_loopback(&admin.host) {
            let what = format!(
                "server \"{}\": admin: {admin} can be reached from other machines, without a password; \
                 set a loopback address, as in admin = \"127.0.0.1:{}\", or [admin] beyond_loopback = true",
                server.name, admin.port
            );
            return Err(source.refuse(span, what));
        }
    }
    Ok(())
}

fn refuse_duplicate_names(drafts: &[Draft<'_>]) -> Result<(), ConfigError> {
    let mut seen = BTreeSet::new();
    for draft in drafts {
        if !seen.insert(&draft.server.name) {
            return Err(draft.refuse(
                draft.raw.name.as_ref().map(Spanned::span),
                "name: another server has it already; give each its own",
            ));
        }
    }
    Ok(())
}

/// Fills in who is whose neighbor: listed on one side counts for both.
fn join_neighbors(drafts: &mut [Draft<'_>]) -> Result<(), ConfigError> {
    let places: HashMap<ServerName, usize> =
        drafts.iter().enumerate().map(|(at, draft)| (draft.server.name.clone(), at)).collect();
    let mut joined = vec![BTreeSet::new(); drafts.len()];
    for (here, draft) in drafts.iter().enumerate() {
        for neighbor in &draft.raw.neighbors {
            let refuse =
                |what: String| draft.refuse(Some(neighbor.span()), &format!("neighbors: {what}"));
            let name = neighbor.get_ref().as_str().ok_or_else(|| {
                let value = shown(neighbor.get_ref());
                refuse(format!("{value} is no name; write names in quotes, as in [\"Alford\"]"))
            })?;
            let there = ServerName::parse(name.as_bytes())
                .and_then(|name| places.get(&name).copied())
                .ok_or_else(|| {
                    let servers = with_commas(drafts.iter().map(|draft| &draft.server.name));
                    let name = shown(neighbor.get_ref());
                    refuse(format!("no server is named {name}; servers are {servers}"))
                })?;
            if there == here {
                return Err(refuse(format!("\"{name}\" is itself; name other servers only")));
            }
            joined[here].insert(drafts[there].server.name.clone());
            joined[there].insert(draft.server.name.clone());
        }
    }
    let herd: BTreeSet<ServerName> = drafts
        .iter()
        .filter(|draft| draft.server.link == LinkKind::Herd)
        .map(|draft| draft.server.name.clone())
        .collect();
    for (draft, neighbors) in drafts.iter_mut().zip(joined) {
        draft.opens_links = herd.contains(&draft.server.name) && !herd.is_disjoint(&neighbors);
        draft.server.neighbors = neighbors.into_iter().collect();
    }
    Ok(())
}

/// Refuses two sockets on one address. Port 0 is a new port each time.
fn refuse_duplicate_addresses(drafts: &[Draft<'_>]) -> Result<(), ConfigError> {
    let mut taken: HashMap<Address, String> = HashMap::new();
    for draft in drafts {
        let links = draft.links.as_ref().filter(|_| draft.opens_links);
        let sockets =
            [("listen", Some(&draft.listen)), ("links", links), ("admin", draft.admin.as_ref())];
        for (key, address) in sockets {
            let Some(address) = address.filter(|address| address.port != 0) else { continue };
            let owner = format!("{key} of server \"{}\"", draft.server.name);
            let Some(first) = taken.insert(address.canonical(), owner) else { continue };
            let what = format!("{address} is {first} too; use another port");
            return Err(match key {
                "links" => draft.refuse_links(what),
                _ => {
                    let raw = if key == "admin" { &draft.raw.admin } else { &draft.raw.listen };
                    draft.refuse(raw.as_ref().map(Spanned::span), &format!("{key}: {what}"))
                }
            });
        }
    }
    Ok(())
}

/// Refuses a herd in which an update could not reach everyone. One server alone is a herd.
fn refuse_pieces(drafts: &[Draft<'_>]) -> Result<(), ConfigError> {
    let mut pieces: Vec<BTreeSet<&ServerName>> = Vec::new();
    for draft in drafts {
        let joined = std::iter::once(&draft.server.name).chain(&draft.server.neighbors);
        let mut piece: BTreeSet<_> = joined.collect();
        // A piece takes its place in the file's order, so that the message reads as the file does.
        let mut apart = Vec::new();
        for other in pieces {
            if other.is_disjoint(&piece) {
                apart.push(other);
            } else {
                piece.extend(other);
            }
        }
        apart.push(piece);
        pieces = apart;
    }
    if pieces.len() < 2 {
        return Ok(());
    }
    let place = |piece: &BTreeSet<&ServerName>| {
        drafts.iter().position(|draft| piece.contains(&draft.server.name))
    };
    pieces.sort_by_key(place);
    let mut shown: Vec<String> =
        pieces.iter().map(|piece| format!("{{{}}}", with_commas(piece))).collect();
    let last = shown.pop().unwrap_or_default();
    let outsider = &drafts[place(&pieces[1]).expect("a piece is made of servers of the file")];
    Err(outsider.refuse(
        outsider.raw.neighbors.first().map(Spanned::span),
        &format!(
            "neighbors: the herd falls apart into {} and {last}, and no update would pass between \
             them; name a neighbor in the other piece",
            shown.join(", ")
        ),
    ))
}

fn server_name(value: &Value) -> Result<ServerName, String> {
    value.as_str().and_then(|name| ServerName::parse(name.as_bytes())).ok_or_else(|| {
        format!(
            "{} is no server name; write 1 to 32 letters, digits, \".\", \"_\" or \"-\" in quotes, \
             not starting with \".\"",
            shown(value)
        )
    })
}

fn address(value: &Value) -> Result<Address, String> {
    match value.as_str() {
        Some(text) => Address::parse(text),
        None => Err(format!("{} is no address; write \"HOST:PORT\" in quotes", shown(value))),
    }
}
