//! Which addresses lead to which instance. Two of the configuration may lead to one: then the first one
//! feeds the tree, and the other waits until that one is not asked any more. It does not take over when
//! the first one fails: whoever answers may say to be anybody, and would hide that a host is down.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

/// What all pollers know of each other.
#[derive(Debug, Default)]
pub struct Ways(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Addresses that lead to an instance; the first one feeds the tree.
    to: HashMap<Uuid, Vec<String>>,
    of: HashMap<String, Uuid>,
}

/// The place of an address among those that lead to the same instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It feeds the tree; the others do not.
    First { others: Vec<String> },
    /// This one feeds the tree.
    Behind(String),
}

impl Ways {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `address` was found to lead to `uuid`, and to nothing else.
    pub fn found(&self, address: &str, uuid: Uuid) -> Place {
        let mut known = self.known();
        if known.of.get(address) != Some(&uuid) {
            known.remove(address);
            known.of.insert(address.into(), uuid);
            known.to.entry(uuid).or_default().push(address.into());
        }
        let all = &known.to[&uuid];
        match all.first() {
            Some(first) if first != address => Place::Behind(first.clone()),
            _ => Place::First { others: all[1..].to_vec() },
        }
    }

    /// Who feeds the tree with `uuid`, if that is another one than `address`.
    pub fn other(&self, address: &str, uuid: Uuid) -> Option<String> {
        self.known().to.get(&uuid)?.first().filter(|first| *first != address).cloned()
    }

    /// `address` is not asked any more.
    pub fn removed(&self, address: &str) {
        self.known().remove(address);
    }

    /// Whether any address leads to `uuid`.
    pub fn lead_to(&self, uuid: Uuid) -> bool {
        self.known().to.contains_key(&uuid)
    }
}

impl Known {
    fn remove(&mut self, address: &str) {
        let Some(uuid) = self.of.remove(address) else { return };
        if let Entry::Occupied(mut all) = self.to.entry(uuid) {
            all.get_mut().retain(|known| known != address);
            if all.get().is_empty() {
                all.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn first(others: &[&str]) -> Place {
        Place::First { others: others.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn of_two_ways_the_first_found_feeds_the_tree() {
        let ways = Ways::default();
        assert_eq!(ways.found("a", uuid(1)), first(&[]));
        assert_eq!(ways.found("b", uuid(1)), Place::Behind("a".into()));
        assert_eq!(ways.found("c", uuid(2)), first(&[]));
        assert_eq!(ways.found("a", uuid(1)), first(&["b"]));
    }

    #[test]
    fn the_other_way_takes_over_when_the_first_is_not_asked_any_more() {
        let ways = Ways::default();
        ways.found("a", uuid(1));
        assert_eq!(ways.other("a", uuid(1)), None);
        assert_eq!((ways.other("b", uuid(1)), ways.other("b", uuid(2))), (Some("a".into()), None));
        ways.found("b", uuid(1));
        ways.removed("a");
        assert_eq!(ways.other("b", uuid(1)), None);
        assert_eq!(ways.found("b", uuid(1)), first(&[]));
        assert_eq!(ways.found("a", uuid(1)), Place::Behind("b".into()));
    }

    #[test]
    fn an_address_leads_to_one_instance_at_a_time() {
        let ways = Ways::default();
        ways.found("a", uuid(1));
        ways.found("b", uuid(1));
        assert_eq!(ways.found("a", uuid(2)), first(&[]));
        assert_eq!(ways.found("b", uuid(1)), first(&[]));
        ways.removed("b");
        assert!(!ways.lead_to(uuid(1)) && ways.lead_to(uuid(2)));
        ways.removed("a");
        assert_eq!(ways.found("b", uuid(2)), first(&[]));
    }
}
