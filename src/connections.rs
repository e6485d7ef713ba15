//! How many connections there may be, in all and from one address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts the connections that are open.
#[derive(Clone, Debug)]
pub struct Connections(Arc<Mutex<Counts>>);

#[derive(Debug)]
struct Counts {
    max_total: usize,
    max_per_address: usize,
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection; counted until it is dropped.
#[derive(Debug)]
pub struct Admitted {
    counts: Connections,
    address: IpAddr,
}

impl Connections {
    /// At most `max_total` at once, and `max_per_address` from one address; those from loopback, where
    /// all proxied callers come from, only count in the total.
    pub fn new(max_total: usize, max_per_address: usize) -> Connections {
        let by_address = HashMap::new();
        Connections(Arc::new(Mutex::new(Counts {
            max_total,
            max_per_address,
            total: 0,
            by_address,
        })))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.counts().total
    }

    /// Counts a connection in; `None` when there are too many.
    pub fn admit(&self, address: IpAddr) -> Option<Admitted> {
        let address = caller(address);
        let mut counts = self.counts();
        let of_address = counts.by_address.get(&address).copied().unwrap_or(0);
        let too_many = of_address >= counts.max_per_address && !address.is_loopback();
        if counts.total >= counts.max_total || too_many {
            return None;
        }
        counts.total += 1;
        *counts.by_address.entry(address).or_default() += 1;
        Some(Admitted { counts: self.clone(), address })
    }
}

/// Whom an address stands for: a host with IPv6 has a whole /64 to choose from.
fn caller(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        other => other,
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.counts.counts();
        counts.total -= 1;
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_PER_ADDRESS: usize = 64;
    const MAX_CONNECTIONS: usize = 1_000;

    #[test]
    fn one_address_cannot_take_all_connections() {
        let connections = Connections::new(MAX_CONNECTIONS, MAX_PER_ADDRESS);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let mut held: Vec<_> =
            (0..MAX_PER_ADDRESS).map(|_| connections.admit(address).unwrap()).collect();
        assert!(connections.admit(address).is_none());
        assert!(connections.admit(mapped).is_none(), "the same address in another spelling");
        assert!(connections.admit("192.0.2.2".parse().unwrap()).is_some());
        held.pop();
        assert!(connections.admit(mapped).is_some());
        let own: Vec<_> = (0..MAX_PER_ADDRESS)
            .map(|n| format!("2001:db8::{n:x}").parse().unwrap())
            .filter_map(|address| connections.admit(address))
            .collect();
        assert!(connections.admit("2001:db8::ffff".parse().unwrap()).is_none(), "the same /64");
        assert!(connections.admit("2001:db8:0:1::1".parse().unwrap()).is_some());
        drop(own);
        drop(held);
        assert!(connections.counts().by_address.is_empty());
    }

    #[test]
    fn loopback_is_limited_by_the_total_alone() {
        let connections = Connections::new(MAX_CONNECTIONS, MAX_PER_ADDRESS);
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let held: Vec<_> = (0..1_000).map(|_| connections.admit(loopback).unwrap()).collect();
        assert!(connections.admit(loopback).is_none());
        drop(held);
    }
}
