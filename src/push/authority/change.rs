//! The allowed list changes: by an operator's word, or because somebody has edited the file.

use std::{collections::HashMap, io, mem, sync::MutexGuard};

use jiff::Timestamp;
use thiserror::Error;
use uuid::Uuid;

use super::{Authority, Decision, EnrolRequest, Refusal, allowed::AllowedFile, news::particulars};
use crate::{
    store::StoreError,
    tree::{Event, Kind},
    trust::Fingerprint,
};

/// An operator's word that could not be followed.
#[derive(Debug, Error)]
pub enum CannotChange {
    /// The original's words for it.
    #[error("Authority : Invalid uuid {0}")]
    NotWaiting(Uuid),
    #[error("cannot admit the client: {0}")]
    Admit(Refusal),
    #[error(
        "the client {uuid} that waits has the key {key}, not the one that was looked at: list the clients \
         again, and compare"
    )]
    OtherKey { uuid: Uuid, key: Fingerprint },
    #[error("the client is revoked, but that may not outlast this process: {0}")]
    Unwritten(String),
}

impl Authority {
    /// [`Authority::allow`], here and now. Blocks.
    pub(super) fn allow_now(
        &self,
        uuid: Uuid,
        seen: Option<Fingerprint>,
    ) -> Result<String, CannotChange> {
        let mut file = self.file();
        self.catch_up(&file).map_err(CannotChange::Admit)?;
        self.know_keys(&file).map_err(CannotChange::Admit)?;
        let waits = self.state().waiting.get(uuid).map(|client| {
            let request = EnrolRequest {
                uuid,
                host: client.host.clone(),
                group: client.group.clone(),
                version: client.version.clone(),
                csr: client.csr.clone(),
                token: None,
                address: client.address,
            };
            (request, client.key)
        });
        let (request, key) = waits.ok_or(CannotChange::NotWaiting(uuid))?;
        if seen.is_some_and(|seen| seen != key) {
            return Err(CannotChange::OtherKey { uuid, key });
        }
        let how = "by an operator";
        self.add(&mut file, &request, key, None, how).map_err(CannotChange::Admit)?;
        self.forgive(uuid, key);
        Ok(request.host)
    }

    /// [`Authority::revoke`], here and now. Blocks.
    pub(super) fn revoke_now(&self, uuid: Uuid) -> Result<(), CannotChange> {
        self.strike(uuid, "by an operator");
        let mut file = self.file();
        // Once more, for what was decided while we waited.
        self.strike(uuid, "by an operator");
        let mut problems = Vec::new();
        if let Err(error) = file.remove(uuid) {
            let path = self.path.display();
            problems.push(format!("`{path}` cannot be written: {error}; remove its line by hand"));
        }
        if let Err(error) = self.write_revoked(uuid) {
            problems.push(error.to_string());
        }
        if problems.is_empty() {
            return Ok(());
        }
        let error = CannotChange::Unwritten(problems.join("; "));
        tracing::error!("{uuid}: {error}");
        Err(error)
    }

    /// The part of a revocation that does not wait for the disk: the client is in no list any more, its
    /// connections are closed and its part of the tree goes.
    pub(super) fn strike(&self, uuid: Uuid, how: &str) {
        let (waited, name, key) = {
            let mut state = self.state();
            let (waited, name) = (state.waiting.take(uuid), state.allowed.remove(&uuid));
            let key = state.keys.as_mut().and_then(|keys| keys.remove(&uuid));
            if name.is_some() || key.is_some() {
                state.revoked.remember(uuid, key, Timestamp::now());
            }
            (waited, name, key)
        };
        if let Some((client, decision)) = waited {
            let why = "an operator has refused this client";
            let _ = decision.send(Decision::Refused(Refusal::last(why)));
            let about = particulars(uuid, Some(client.address), Some(client.key));
            let message = format!("{} removed from the waiting list {about}", client.host);
            self.note(Kind::ClientRevoked, message);
        }
        if let Some(name) = name {
            self.expel(uuid, &name, key, how);
        }
    }

    /// Lets an operator's word outweigh an earlier revocation. What the disk does not forget does no harm
    /// as long as the client keeps its key.
    fn forgive(&self, uuid: Uuid, key: Fingerprint) {
        if self.state().revoked.forgive(uuid, key)
            && let Err(error) = self.store.forgive_client(uuid, *key.as_bytes())
        {
            let error = anyhow::Error::from(error);
            tracing::warn!("that the client {uuid} was revoked once stays written: {error:#}");
        }
    }

    /// Writes down that a client was revoked, if it was, and that its key is no use any more.
    fn write_revoked(&self, uuid: Uuid) -> Result<(), StoreError> {
        let revoked = self.state().revoked.record(uuid);
        revoked.map_or(Ok(()), |revoked| self.store.revoke_client(&revoked))
    }

    /// Looks whether somebody has edited the file. Blocks.
    pub(super) fn look_now(&self) {
        let mut file = self.file();
        let looked = file.look();
        self.follow(&file, looked);
        // Quiet when it fails again: who enrols is told.
        let _ = self.load_keys(&file);
    }

    /// Makes sure that nobody edits the file while we decide, or write it.
    pub(super) fn catch_up(&self, file: &MutexGuard<'_, AllowedFile>) -> Result<(), Refusal> {
        match file.is_as_known() {
            Ok(false) => Err(Refusal::retry(
                "somebody is editing the allowed clients of the push server; try again in a few seconds",
            )),
            // What cannot be looked at cannot be written either.
            Ok(true) | Err(_) => Ok(()),
        }
    }

    /// Follows the file after a look at it.
    fn follow(&self, file: &MutexGuard<'_, AllowedFile>, looked: io::Result<bool>) {
        match looked {
            Ok(false) => {}
            Ok(true) => self.follow_edit(file),
            Err(error) => {
                tracing::error!(
                    "the allowed clients in `{}` cannot be read: {error}",
                    self.path.display()
                );
            }
        }
    }

    fn follow_edit(&self, file: &MutexGuard<'_, AllowedFile>) {
        let now = file.clients();
        let mut state = self.state();
        let before = mem::replace(&mut state.allowed, now.clone());
        let mut gone = Vec::new();
        for (uuid, name) in before.iter().filter(|(uuid, _)| !now.contains_key(uuid)) {
            let key = state.keys.as_mut().and_then(|keys| keys.remove(uuid));
            state.revoked.remember(*uuid, key, Timestamp::now());
            gone.push((*uuid, name, key));
        }
        drop(state);
        for (uuid, name, key) in &gone {
            self.expel(*uuid, name, *key, "in its file");
        }
        for (uuid, ..) in gone {
            self.log_revoked(uuid);
        }
        for (uuid, name) in now {
            if !before.contains_key(&uuid) {
                let about = particulars(uuid, None, None);
                let message = format!("{name} added to allowed list in its file {about}");
                self.note(Kind::ClientAllowed, message);
                self.grant_waiting(uuid);
            }
        }
    }

    /// [`Authority::write_revoked`], where there is nobody to tell but the log.
    fn log_revoked(&self, uuid: Uuid) {
        if let Err(error) = self.write_revoked(uuid) {
            let error = anyhow::Error::from(error);
            tracing::error!("that client {uuid} is revoked is not written down: {error:#}");
        }
    }

    /// A client that waits, and that somebody has written into the file.
    fn grant_waiting(&self, uuid: Uuid) {
        let waited = {
            let mut state = self.state();
            let key = state.waiting.get(uuid).map(|client| client.key);
            // Who was revoked needs more than a line.
            let is_new = key.is_some_and(|key| state.revoked.since(uuid, key).is_none());
            if is_new { state.waiting.take(uuid) } else { None }
        };
        let Some((client, decision)) = waited else { return };
        let granted = self.sign(uuid, &client.csr).and_then(|signed| {
            self.bind(uuid, client.key, &client.host)?;
            let about = particulars(uuid, Some(client.address), Some(client.key));
            self.note(Kind::ClientAllowed, format!("{} enrolled its key {about}", client.host));
            Ok(signed)
        });
        let _ = decision.send(match granted {
            Ok(signed) => Decision::Granted(signed),
            Err(refusal) => Decision::Refused(refusal),
        });
    }

    /// Closes the connections of a client that is not in the allowed list any more, removes its part of the
    /// tree and says so. `name` and `key` are what it had there.
    fn expel(&self, uuid: Uuid, name: &str, key: Option<Fingerprint>, how: &str) {
        // Nobody may be listening.
        let _ = self.revoked.send(uuid);
        let about = particulars(uuid, None, key);
        let message = format!("{name} removed from the allowed list {how} {about}");
        self.note(Kind::ClientRevoked, message);
        let why = "revoked: it is not a push client any more".to_owned();
        self.hub.handle(Event::Forgotten { uuid, why });
    }

    /// Reads which client has which key, if that was not possible yet.
    pub(super) fn know_keys(&self, file: &MutexGuard<'_, AllowedFile>) -> Result<(), Refusal> {
        self.load_keys(file).map_err(|error| {
            let error = anyhow::Error::from(error);
            tracing::error!("nobody can enrol, it is not known who has which key: {error:#}");
            Refusal::retry("the push server cannot read who is admitted; its log says why")
        })
    }

    pub(super) fn load_keys(&self, file: &MutexGuard<'_, AllowedFile>) -> Result<(), StoreError> {
        if self.state().keys.is_some() {
            return Ok(());
        }
        let (clients, revoked) = (self.store.clients()?, self.store.revoked()?);
        let mut keys: HashMap<_, _> = clients
            .into_iter()
            .map(|client| (client.uuid, Fingerprint::from(client.key)))
            .collect();
        let mut state = self.state();
        state.revoked.load(revoked);
        let is_gone = |uuid: &Uuid| !state.allowed.contains_key(uuid);
        let gone: Vec<(Uuid, Fingerprint)> = keys
            .iter()
            .map(|(uuid, key)| (*uuid, *key))
            .filter(|(uuid, _)| is_gone(uuid))
            .collect();
        if file.exists() {
            keys.retain(|uuid, _| state.allowed.contains_key(uuid));
            for (uuid, key) in &gone {
                state.revoked.remember(*uuid, Some(*key), Timestamp::now());
            }
        }
        state.keys = Some(keys);
        drop(state);
        if !file.exists() && !gone.is_empty() {
            tracing::error!(
                "`{}` is missing, so {} push clients that had enrolled are not allowed any more: \
                 bring the file back, or allow them again",
                self.path.display(),
                gone.len()
            );
            return Ok(());
        }
        for (uuid, _) in gone {
            // Removed from the file while nobody was looking.
            self.log_revoked(uuid);
            let why = "revoked: it is not in the allowed list any more".to_owned();
            self.hub.handle(Event::Forgotten { uuid, why });
        }
        Ok(())
    }
}
