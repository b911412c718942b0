//! Who is here from where: connections per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// What limits per address count together: an IPv4 address, or the /64 that an IPv6 address lies in,
/// since whoever has one address of it has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

/// How many connections each address has open. What is kept is bounded by `max_connections`: an
/// address goes with its last connection.
#[derive(Debug, Default)]
pub struct Addresses {
    open: Mutex<HashMap<ClientAddress, usize>>,
}

/// One connection of an address, for as long as this lives.
#[derive(Debug)]
pub struct Present {
    addresses: Arc<Addresses>,
    address: ClientAddress,
}

impl ClientAddress {
    /// What a client counts as; `None` for one of this machine, which no limit per address counts. An
    /// IPv4 address that comes as IPv6 (`::ffff:192.0.2.1`) is that IPv4 address.
    pub fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V6(address) => {
                let network = address.to_bits() & !u128::from(u64::MAX);
                Some(Self(Ipv6Addr::from_bits(network).into()))
            }
            address => Some(Self(address)),
        }
    }
}

impl Addresses {
    /// Counts one more connection, unless the address has `most` already.
    pub fn enter(self: &Arc<Self>, address: ClientAddress, most: usize) -> Option<Present> {
        let mut open = self.open.lock();
        let count = open.entry(address).or_default();
        // With `most` at least 1 an entry of 0 does not stay.
        (*count < most).then(|| {
            *count += 1;
            Present { addresses: Arc::clone(self), address }
        })
    }

    /// Addresses that have a connection open.
    pub fn len(&self) -> usize {
        self.open.lock().len()
    }

    /// True if nobody is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<ClientAddress> {
        ClientAddress::of(text.parse().unwrap())
    }

    #[test]
    fn clients_of_this_machine_count_for_no_address() {
        for text in ["127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn an_ipv4_address_is_one_address_however_it_is_written() {
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_ne!(address("::192.0.2.1"), address("192.0.2.1"));
    }

    #[test]
    fn the_ipv6_addresses_of_a_64_are_one_address() {
        assert_eq!(address("2001:db8:1:2::1"), address("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert!(address("2001:db8:1:2::1").is_some());
    }

    #[test]
    fn over_its_limit_an_address_gets_no_more_until_one_of_its_connections_ends() {
        let addresses = Arc::<Addresses>::default();
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| address(text).unwrap());
        let first = addresses.enter(one, 2);
        let second = addresses.enter(one, 2);
        assert!(first.is_some() && second.is_some());
        assert!(addresses.enter(one, 2).is_none());
        assert!(addresses.enter(other, 2).is_some());
        drop(first);
        assert!(addresses.enter(one, 2).is_some());
        drop(second);
    }

    #[test]
    fn an_address_is_forgotten_with_its_last_connection() {
        let addresses = Arc::<Addresses>::default();
        let held: Vec<_> = (0..100_u8)
            .flat_map(|last| [last, last])
            .map(|last| addresses.enter(ClientAddress(IpAddr::from([192, 0, 2, last])), 2))
            .collect();
        assert!(held.iter().all(Option::is_some));
        assert!(addresses.enter(ClientAddress(IpAddr::from([192, 0, 2, 0])), 2).is_none());
        assert_eq!(addresses.len(), 100);
        drop(held);
        assert!(addresses.is_empty());
    }
}
