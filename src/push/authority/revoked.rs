//! Clients that were revoked: whoever comes with such a uuid or key is let in by an operator's word only,
//! not by a token, by AutoAcceptClients or by a line in the file.
//!
//! It counts only for clients that have no key (any more): who is bound to one was let in afterwards.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    store::{self, MAX_REVOKED},
    trust::Fingerprint,
};

/// Those of the database, and those that it could not take.
#[derive(Default)]
pub struct RevokedClients {
    by_uuid: HashMap<Uuid, (Option<Fingerprint>, Timestamp)>,
}

impl RevokedClients {
    /// When a client with this uuid or with this key was revoked.
    pub fn since(&self, uuid: Uuid, key: Fingerprint) -> Option<Timestamp> {
        if let Some((_, at)) = self.by_uuid.get(&uuid) {
            return Some(*at);
        }
        self.by_uuid.values().filter(|(held, _)| *held == Some(key)).map(|(_, at)| *at).max()
    }

    /// Whether a client with this uuid was revoked.
    pub fn contains(&self, uuid: Uuid) -> bool {
        self.by_uuid.contains_key(&uuid)
    }

    /// Remembers one, and forgets the oldest if they are too many.
    pub fn remember(&mut self, uuid: Uuid, key: Option<Fingerprint>, at: Timestamp) {
        // Revoking again what has lost its key already does not forget which one it was.
        let known = self.by_uuid.get(&uuid).and_then(|(key, _)| *key);
        self.by_uuid.insert(uuid, (key.or(known), at));
        if self.by_uuid.len() > MAX_REVOKED {
            let oldest = self.by_uuid.iter().min_by_key(|(_, (_, at))| *at);
            let oldest = oldest.map(|(uuid, _)| *uuid);
            oldest.and_then(|uuid| self.by_uuid.remove(&uuid));
        }
    }

    /// What is to be written of one.
    pub fn record(&self, uuid: Uuid) -> Option<store::Revoked> {
        let (key, at) = self.by_uuid.get(&uuid)?;
        Some(store::Revoked { uuid, key: key.map(|key| *key.as_bytes()), at: *at })
    }

    /// Adds what the database remembers.
    pub fn load(&mut self, revoked: Vec<store::Revoked>) {
        for store::Revoked { uuid, key, at } in revoked {
            if !self.contains(uuid) {
                self.remember(uuid, key.map(Fingerprint::from), at);
            }
        }
    }

    /// Forgets those with this uuid or this key; whether there were any.
    pub fn forgive(&mut self, uuid: Uuid, key: Fingerprint) -> bool {
        let before = self.by_uuid.len();
        self.by_uuid.retain(|held, (its, _)| *held != uuid && *its != Some(key));
        self.by_uuid.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_newest_are_remembered_by_uuid_and_by_key() {
        let (key, other) = (Fingerprint::of_key(b"key"), Fingerprint::of_key(b"other"));
        let uuid = |n: usize| Uuid::from_u128(n as u128);
        let mut revoked = RevokedClients::default();
        revoked.remember(uuid(1), Some(key), at(1));
        revoked.remember(uuid(1), None, at(2));
        assert_eq!(revoked.since(uuid(1), other), Some(at(2)));
        assert_eq!(revoked.since(uuid(2), key), Some(at(2)));
        assert_eq!(revoked.since(uuid(2), other), None);
        assert!(!revoked.forgive(uuid(2), other));
        assert!(revoked.forgive(uuid(2), key));
        assert_eq!(revoked.since(uuid(1), key), None);
        for n in 0..=MAX_REVOKED {
            revoked.remember(uuid(n), None, at(n as i64));
        }
        assert_eq!(revoked.by_uuid.len(), MAX_REVOKED);
        assert!(!revoked.contains(uuid(0)) && revoked.contains(uuid(MAX_REVOKED)));
    }
}
