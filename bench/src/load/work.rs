//! What the generator asks of a server.

use std::fmt;
use std::str::FromStr;

use super::replies::Expected;
use super::requests::Template;

/// The kinds of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Reports of locations, each newer than the one before.
    Iamat,
    /// Questions for places near clients that were reported before.
    Whatsat,
    /// So many percent WHATSAT, the rest IAMAT.
    Mix(u8),
    /// Redis: one set of all clients by location.
    Geoadd,
    /// Redis: location and time as a string per client.
    Set,
    /// Redis: questions for places near locations as clients have them.
    Geosearch,
    /// memcached: location and time as a value per client.
    MemcachedSet,
}

impl Work {
    /// True if clients have to be reported before they are asked for.
    pub(crate) fn asks(self) -> bool {
        matches!(self, Self::Whatsat | Self::Mix(_))
    }

    /// Of a hundred requests, how many are WHATSAT.
    pub(crate) fn whatsat_percent(self) -> u8 {
        match self {
            Self::Whatsat => 100,
            Self::Mix(percent) => percent,
            _ => 0,
        }
    }

    /// The request that is no WHATSAT, and its reply.
    pub(crate) fn report(self) -> (Template, Expected) {
        match self {
            Self::Iamat | Self::Whatsat | Self::Mix(_) => (Template::iamat(), Expected::At),
            Self::Geoadd => (Template::geoadd(), Expected::Integer),
            Self::Set => (Template::set(), Expected::Ok),
            Self::Geosearch => (Template::geosearch(), Expected::Array),
            Self::MemcachedSet => (Template::memcached_set(), Expected::Stored),
        }
    }
}

impl FromStr for Work {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text.strip_prefix("mix:").and_then(|percent| percent.parse().ok());
        match (text, percent) {
            ("iamat", _) => Ok(Self::Iamat),
            ("whatsat", _) => Ok(Self::Whatsat),
            ("geoadd", _) => Ok(Self::Geoadd),
            ("set", _) => Ok(Self::Set),
            ("geosearch", _) => Ok(Self::Geosearch),
            ("memcached-set", _) => Ok(Self::MemcachedSet),
            (_, Some(percent @ 0..=100)) => Ok(Self::Mix(percent)),
            _ => Err("write iamat, whatsat, mix:PERCENT (0 to 100), geoadd, set, geosearch or \
                      memcached-set"
                .to_string()),
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iamat => f.write_str("iamat"),
            Self::Whatsat => f.write_str("whatsat"),
            Self::Mix(percent) => write!(f, "mix:{percent}"),
            Self::Geoadd => f.write_str("geoadd"),
            Self::Set => f.write_str("set"),
            Self::Geosearch => f.write_str("geosearch"),
            Self::MemcachedSet => f.write_str("memcached-set"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_read_as_it_is_written() {
        for text in [
            "iamat",
            "whatsat",
            "mix:0",
            "mix:10",
            "mix:100",
            "geoadd",
            "set",
            "geosearch",
            "memcached-set",
        ] {
            assert_eq!(text.parse::<Work>().unwrap().to_string(), text);
        }
        for wrong in ["", "IAMAT", "mix", "mix:", "mix:101", "mix:-1"] {
            assert!(wrong.parse::<Work>().is_err(), "{wrong}");
        }
    }
}
