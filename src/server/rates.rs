//! How often WHATSAT may ask a provider that costs: in all, and for each address.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::addresses::ClientAddress;
use super::exceeded::Limit;
use crate::config;

/// Addresses that are kept beside those that `whatsat_per_second` has room for.
const SPARE_ADDRESSES: usize = 4096;

/// The rates of `[places]`. A rate of n a second allows n at once after a second without.
pub struct WhatsatRates<C: Clock = DefaultClock> {
    all: Limiter<NotKeyed, InMemoryState, C>,
    each: Limiter<ClientAddress, HashMapStateStore<ClientAddress>, C>,
    /// Entries of `each`, at most (and one more for each thread that asks at that moment).
    most_addresses: usize,
}

type Limiter<K, S, C> = RateLimiter<K, S, C, NoOpMiddleware<<C as Clock>::Instant>>;

impl WhatsatRates {
    /// Nobody has asked yet.
    pub fn new(places: &config::Places) -> Self {
        Self::with_clock(places, DefaultClock::default())
    }
}

impl<C: Clock + Clone> WhatsatRates<C> {
    fn with_clock(places: &config::Places, clock: C) -> Self {
        let quota = |rate| Quota::per_second(NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN));
        Self {
            all: RateLimiter::direct_with_clock(quota(places.whatsat_per_second), clock.clone()),
            each: RateLimiter::hashmap_with_clock(
                quota(places.whatsat_per_second_per_address),
                clock,
            ),
            most_addresses: 2 * places.whatsat_per_second as usize + SPARE_ADDRESSES,
        }
    }
}

impl<C: Clock> WhatsatRates<C> {
    /// Takes one WHATSAT of this address (`None`: of this machine, which counts in all only). First
    /// for the address, so that one that asks too often takes nothing from others.
    ///
    /// # Errors
    ///
    /// The rate that is used up.
    pub fn take(&self, address: Option<ClientAddress>) -> Result<(), Limit> {
        if let Some(address) = address {
            if !self.has_room() {
                return Err(Limit::Whatsat);
            }
            self.each.check_key(&address).map_err(|_| Limit::WhatsatPerAddress)?;
        }
        self.all.check().map_err(|_| Limit::Whatsat)
    }

    /// Forgets addresses that have their whole rate again once there are too many. If there still are,
    /// more than all may ask have asked within a second.
    fn has_room(&self) -> bool {
        if self.each.len() < self.most_addresses {
            return true;
        }
        self.each.retain_recent();
        self.each.len() < self.most_addresses
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rates(all: u32, each: u32) -> (WhatsatRates<FakeRelativeClock>, FakeRelativeClock) {
        let places = config::Places {
            whatsat_per_second: all,
            whatsat_per_second_per_address: each,
            ..config::Places::default()
        };
        let clock = FakeRelativeClock::default();
        (WhatsatRates::with_clock(&places, clock.clone()), clock)
    }

    fn address(number: u32) -> Option<ClientAddress> {
        ClientAddress::of(Ipv4Addr::from_bits(0x0a00_0000 + number).into())
    }

    #[test]
    fn an_address_over_its_rate_is_refused_and_takes_nothing_from_others() {
        let (rates, clock) = rates(4, 2);
        assert_eq!([(); 2].map(|()| rates.take(address(1))), [Ok(()); 2]);
        assert_eq!([(); 9].map(|()| rates.take(address(1))), [Err(Limit::WhatsatPerAddress); 9]);
        assert_eq!([(); 2].map(|()| rates.take(address(2))), [Ok(()); 2]);
        clock.advance(Duration::from_millis(500));
        assert_eq!(rates.take(address(1)), Ok(()));
        assert_eq!(rates.take(address(1)), Err(Limit::WhatsatPerAddress));
    }

    #[test]
    fn over_the_rate_in_all_everyone_is_refused() {
        let (rates, clock) = rates(3, 2);
        assert_eq!([1, 1, 2].map(|number| rates.take(address(number))), [Ok(()); 3]);
        assert_eq!([2, 3].map(|number| rates.take(address(number))), [Err(Limit::Whatsat); 2]);
        assert_eq!(rates.take(None), Err(Limit::Whatsat));
        clock.advance(Duration::from_secs(1));
        assert_eq!(rates.take(address(3)), Ok(()));
    }

    #[test]
    fn clients_of_this_machine_count_in_all_and_for_no_address() {
        let (rates, _clock) = rates(5, 1);
        assert_eq!([(); 5].map(|()| rates.take(None)), [Ok(()); 5]);
        assert_eq!(rates.take(None), Err(Limit::Whatsat));
        assert_eq!(rates.take(address(1)), Err(Limit::Whatsat));
    }

    #[test]
    fn addresses_that_ask_no_more_are_forgotten_and_those_kept_are_bounded() {
        let (rates, clock) = rates(50, 5);
        let asked = 3 * rates.most_addresses as u32;
        for number in 0..asked {
            if number % 1000 == 0 {
                clock.advance(Duration::from_secs(2));
            }
            let _ = rates.take(address(number));
            assert!(rates.each.len() <= rates.most_addresses);
        }
        clock.advance(Duration::from_secs(2));
        assert_eq!(rates.take(address(asked)), Ok(()));
    }

    #[test]
    fn more_addresses_within_a_second_than_all_may_ask_are_refused_until_it_is_over() {
        let (rates, clock) = rates(50, 5);
        let most = rates.most_addresses as u32;
        for number in 0..2 * most {
            let _ = rates.take(address(number));
        }
        assert_eq!(rates.each.len(), rates.most_addresses);
        // Known ones too: it is the rate in all that is used up.
        assert_eq!(rates.take(address(0)), Err(Limit::Whatsat));
        clock.advance(Duration::from_secs(1));
        assert_eq!(rates.take(address(0)), Ok(()));
        assert!(rates.each.len() < 10);
    }
}
