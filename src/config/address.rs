//! `HOST:PORT`, as people write it in a conf file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6};

/// A host and a port. Nothing is looked up: a host name is only checked for its shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    /// A host name, an IPv4 address, or an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// True if nobody but this machine can reach the host: 127/8, `::1`, `::ffff:127/104` or
/// `localhost`; an IPv6 address with or without brackets. Nothing is looked up.
pub fn is_loopback(host: &str) -> bool {
    match ip(host) {
        Some(ip) => ip.to_canonical().is_loopback(),
        None => host.eq_ignore_ascii_case("localhost"),
    }
}

impl Address {
    /// Reads `HOST:PORT` or `[IPV6]:PORT`; the error says what is wrong and what to write.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: String| format!("\"{text}\" {what}; write HOST:PORT or [IPV6]:PORT");
        if text.parse::<Ipv6Addr>().is_ok() || bare_ipv6_and_port(text) {
            return Err(format!(
                "\"{text}\" is an IPv6 address without brackets; write [IPV6]:PORT, such as [::1]:12000"
            ));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("has no port".to_string()))?;
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong(format!("has no port number after the colon but \"{port}\"")));
        }
        let port = port
            .parse()
            .map_err(|_| wrong(format!("has port {port}, and the highest is 65535")))?;
        let host = if host.starts_with('[') {
            match text.parse::<SocketAddrV6>() {
                Ok(_) => host[1..host.len() - 1].to_string(),
                Err(_) => return Err(wrong(format!("has {host}, which is no IPv6 address"))),
            }
        } else if is_host(host) {
            host.to_string()
        } else {
            return Err(wrong(format!("has \"{host}\", which is no host name or IPv4 address")));
        };
        Ok(Self { host, port })
    }

    /// The same for two spellings of one address, as far as can be told without a look-up.
    pub(super) fn canonical(&self) -> Self {
        let host = if self.host.eq_ignore_ascii_case("localhost") {
            Ipv4Addr::LOCALHOST.to_string()
        } else {
            match ip(&self.host) {
                Some(ip) => ip.to_canonical().to_string(),
                None => self.host.to_ascii_lowercase(),
            }
        };
        Self { host, port: self.port }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn ip(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// `fe80::1:12000`: an address, then a colon and a port, as far as anyone can tell.
fn bare_ipv6_and_port(text: &str) -> bool {
    !text.starts_with('[') && text.matches(':').count() > 1
}

/// A host name by the letters that it may have, or an IPv4 address. `127.1` and `999.0.0.1` are
/// neither, though some resolvers take them.
fn is_host(host: &str) -> bool {
    let like_ipv4 = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if like_ipv4 {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    host.len() <= 253
        && host.split('.').all(|label| !label.is_empty())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_be_a_name_an_ipv4_address_or_an_ipv6_address_in_brackets() {
        for (text, host, port) in [
            ("127.0.0.1:12000", "127.0.0.1", 12000),
            ("localhost:0", "localhost", 0),
            ("alford.example.com:65535", "alford.example.com", 65535),
            ("my_host-2:1", "my_host-2", 1),
            ("[::1]:12000", "::1", 12000),
            ("[fe80::1%2]:12000", "fe80::1%2", 12000),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for (text, what) in [
            ("", "has no port"),
            ("localhost", "has no port"),
            ("localhost:", "no port number"),
            ("localhost:+80", "no port number"),
            ("localhost:http", "no port number"),
            ("localhost:65536", "the highest is 65535"),
            ("localhost:99999999999999999999", "the highest is 65535"),
            (":12000", "no host name"),
            ("a b:12000", "no host name"),
            ("999.0.0.1:12000", "no host name or IPv4"),
            ("127.1:12000", "no host name or IPv4"),
            ("a..b:12000", "no host name"),
            ("[::1:12000", "no IPv6 address"),
            ("[alford]:12000", "no IPv6 address"),
            ("::1", "without brackets"),
            ("::1:12000", "without brackets"),
            ("fe80::1:12000", "without brackets"),
        ] {
            let said = Address::parse(text).unwrap_err();
            assert!(said.contains(what), "{text}: {said}");
            assert!(said.contains("write"), "{text}: {said}");
        }
    }

    #[test]
    fn loopback_is_what_only_this_machine_can_reach() {
        for host in
            ["127.0.0.1", "127.255.3.4", "::1", "[::1]", "::ffff:127.0.0.9", "LocalHost", "0:0::1"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "0.0.0.0",
            "::",
            "10.0.0.1",
            "128.0.0.1",
            "::ffff:10.0.0.1",
            "example.com",
            "localhost.example.com",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn spellings_of_one_address_are_one() {
        let canonical = |text| Address::parse(text).unwrap().canonical();
        assert_eq!(canonical("LOCALHOST:1"), canonical("127.0.0.1:1"));
        assert_eq!(canonical("[0:0::1]:1"), canonical("[::1]:1"));
        assert_eq!(canonical("[::ffff:10.0.0.1]:1"), canonical("10.0.0.1:1"));
        assert_eq!(canonical("Alford.example.com:1"), canonical("alford.EXAMPLE.com:1"));
        assert_ne!(canonical("127.0.0.1:1"), canonical("127.0.0.1:2"));
    }
}
