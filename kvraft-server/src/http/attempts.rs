//! `Attempts` limits how often wrong tokens are listened to, by the address that they come from.
//!
//! No limit makes a token of 256 random bits safer. It bounds what the trying costs: lines in the
//! log, and answers. That is why a right token is let in from an address that is over its limit:
//! else whoever shares an address with others (behind a proxy, say) could lock them out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An address may be wrong so often at once: a program that was given an old token notices.
const BURST: u32 = 30;
/// An address may be wrong once more after so long.
const REGAIN: Duration = Duration::from_secs(2);
/// Addresses that are remembered. One is for a minute at most; those beyond share one place.
const MAX_ADDRESSES: usize = 4096;

/// When each address will have regained all of its attempts.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Instant>>);

impl Attempts {
    /// Notes a wrong token. Returns false if too many have come from there.
    pub(super) fn note(&self, from: IpAddr, now: Instant) -> bool {
        let mut whole = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = place_of(from);
        if !whole.contains_key(&place) && whole.len() >= MAX_ADDRESSES {
            whole.retain(|_, regained| *regained > now);
            if whole.len() >= MAX_ADDRESSES {
                place = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            }
        }
        let regained = whole.entry(place).or_insert(now);
        let next = (*regained).max(now) + REGAIN;
        if next > now + REGAIN * BURST {
            return false;
        }
        *regained = next;
        true
    }
}

/// Whoever has one address of IPv6 has its whole network of 64 bits.
fn place_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_limited_alone_and_regains_its_attempts() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let bad = address("192.0.2.1");
        for _ in 0..BURST {
            assert!(attempts.note(bad, now));
        }
        assert!(!attempts.note(bad, now));
        assert!(!attempts.note(address("::ffff:192.0.2.1"), now), "the same address");
        assert!(attempts.note(address("192.0.2.2"), now));
        assert!(attempts.note(bad, now + REGAIN));
        assert!(!attempts.note(bad, now + REGAIN));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for host in 0..BURST {
            assert!(attempts.note(address(&format!("2001:db8::{host:x}")), now));
        }
        assert!(!attempts.note(address("2001:db8::ffff"), now));
        assert!(attempts.note(address("2001:db8:0:1::1"), now));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_whom_it_can() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let many = u32::try_from(MAX_ADDRESSES).unwrap();
        for host in 1..=many + BURST - 1 {
            assert!(attempts.note(IpAddr::V4(Ipv4Addr::from(host)), now));
        }
        assert!(attempts.0.lock().unwrap().len() <= MAX_ADDRESSES + 1);
        let later = now + REGAIN * 2;
        assert!(attempts.note(address("198.51.100.1"), later));
        assert!(attempts.0.lock().unwrap().len() < MAX_ADDRESSES);
    }
}
