//! A network namespace for each server, joined by a bridge: packets between two of them can be dropped
//! without anybody being told, as a real network does. Needs root, and `ip` of iproute2.

use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use fastrand::Rng;

use super::holding::ServerId;

/// A hardware address that nobody has: what is sent there is gone.
const NOWHERE: &str = "02:00:00:00:00:fe";

/// The namespaces of one herd; removed when this is dropped.
pub(super) struct Namespaces {
    /// What all names start with: a bridge `TAG`, namespaces `TAG-0`, interfaces `TAGv0`.
    tag: String,
    /// The first two bytes behind the 10 of the addresses.
    subnet: [u8; 2],
    count: usize,
}

impl Namespaces {
    /// # Errors
    ///
    /// What `ip` says, for one if this is not root.
    pub(super) fn new(count: usize) -> Result<Self, String> {
        // Not of the seed: several campaigns may run.
        let mut rng = Rng::new();
        let tag = format!("hb{:04x}", rng.u16(..));
        let namespaces = Self { tag, subnet: [rng.u8(100..250), rng.u8(..)], count };
        let Self { tag, .. } = &namespaces;
        ip(&format!("link add {tag} type bridge"))?;
        ip(&format!("addr add {}/24 dev {tag}", namespaces.host(254)))?;
        ip(&format!("link set {tag} up"))?;
        for at in 0..count {
            let id = ServerId(at);
            let (name, address) = (namespaces.name(id), namespaces.address(id));
            ip(&format!("netns add {name}"))?;
            ip(&format!("link add {tag}v{at} type veth peer name eth0 netns {name}"))?;
            ip(&format!("link set {tag}v{at} master {tag} up"))?;
            ip(&format!("-n {name} addr add {address}/24 dev eth0"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link set eth0 up"))?;
        }
        Ok(namespaces)
    }

    pub(super) fn address(&self, id: ServerId) -> IpAddr {
        self.host(u8::try_from(id.0 + 1).unwrap_or(u8::MAX)).into()
    }

    /// The words before a program that make it run in a server's namespace, in the same process.
    pub(super) fn runs_in(&self, id: ServerId) -> Vec<String> {
        ["ip".into(), "netns".into(), "exec".into(), self.name(id)].into()
    }

    /// Whether what one sends the other vanishes.
    pub(super) fn drop_packets(
        &self,
        from: ServerId,
        to: ServerId,
        are_dropped: bool,
    ) -> Result<(), String> {
        let (name, to) = (self.name(from), self.address(to));
        if are_dropped {
            return ip(&format!(
                "-n {name} neigh replace {to} lladdr {NOWHERE} dev eth0 nud permanent"
            ));
        }
        // There may be none, when nothing was dropped.
        let _ = ip(&format!("-n {name} neigh del {to} dev eth0"));
        Ok(())
    }

    fn host(&self, last: u8) -> Ipv4Addr {
        let [second, third] = self.subnet;
        Ipv4Addr::new(10, second, third, last)
    }

    fn name(&self, id: ServerId) -> String {
        format!("{}-{}", self.tag, id.0)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for at in 0..self.count {
            // Its end in the namespace goes with it. Some may not have been made.
            let _ = ip(&format!("link del {}v{at}", self.tag));
            let _ = ip(&format!("netns del {}", self.name(ServerId(at))));
        }
        let _ = ip(&format!("link del {}", self.tag));
    }
}

fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
