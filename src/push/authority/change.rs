//! The allowed list changes: by an operator's word, or because somebody has edited the file.

use std::{collections::HashMap, io, mem, path::PathBuf, sync::MutexGuard};

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
        "the client is revoked, and it will be allowed again after a restart, since `{}` cannot be \
         written: {source}; remove its line by hand",
        path.display()
    )]
    Unwritten { path: PathBuf, source: io::Error },
}

impl Authority {
    /// [`Authority::allow`], here and now. Blocks.
    pub(super) fn allow_now(&self, uuid: Uuid) -> Result<String, CannotChange> {
        let mut file = self.file();
        self.catch_up(&mut file);
        if let Err(refusal) = self.know_keys(&file) {
            return Err(CannotChange::Admit(refusal));
        }
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
        self.add(&mut file, &request, key, "by an operator").map_err(CannotChange::Admit)?;
        Ok(request.host)
    }

    /// [`Authority::revoke`], here and now. Blocks.
    pub(super) fn revoke_now(&self, uuid: Uuid) -> Result<(), CannotChange> {
        let mut file = self.file();
        self.catch_up(&mut file);
        let waited = self.state().waiting.take(uuid);
        if let Some((client, decision)) = waited {
            let why = "an operator has refused this client";
            let _ = decision.send(Decision::Refused(Refusal::last(why)));
            let about = particulars(uuid, Some(client.address), Some(client.key));
            let message = format!("{} removed from the waiting list {about}", client.host);
            self.note(Kind::ClientRevoked, message);
        }
        // From here on it is not let in any more; it is told when that survives a restart.
        let name = self.state().allowed.remove(&uuid);
        let written = file.remove(uuid);
        self.expel(uuid, name, "by an operator");
        written.map_err(|source| CannotChange::Unwritten { path: self.path.clone(), source })
    }

    /// Looks whether somebody has edited the file. Blocks.
    pub(super) fn look_now(&self) {
        let mut file = self.file();
        let looked = file.look();
        self.follow(&file, looked);
        // Quiet when it fails again: who enrols is told.
        let _ = self.load_keys(&file);
    }

    /// Takes over what somebody has edited, before we decide or write.
    pub(super) fn catch_up(&self, file: &mut MutexGuard<'_, AllowedFile>) {
        let caught_up = file.catch_up();
        self.follow(file, caught_up);
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
        let before = mem::replace(&mut self.state().allowed, now.clone());
        for (uuid, name) in &before {
            if !now.contains_key(uuid) {
                self.expel(*uuid, Some(name.clone()), "in its file");
            }
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

    /// A client that waits, and that somebody has written into the file.
    fn grant_waiting(&self, uuid: Uuid) {
        let Some((client, decision)) = self.state().waiting.take(uuid) else { return };
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

    /// Takes everything else from a client that is not in the allowed list any more; `name` is what it was
    /// called there, if it was.
    fn expel(&self, uuid: Uuid, name: Option<String>, how: &str) {
        let key = self.state().key(uuid);
        self.unbind(uuid);
        if let Some(name) = name {
            // Nobody may be listening.
            let _ = self.revoked.send(uuid);
            let about = particulars(uuid, None, key);
            let message = format!("{name} removed from the allowed list {how} {about}");
            self.note(Kind::ClientRevoked, message);
            let why = "revoked: it is not a push client any more".to_owned();
            self.hub.handle(Event::Forgotten { uuid, why });
        }
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
        let clients = self.store.clients()?;
        let mut keys: HashMap<_, _> = clients
            .into_iter()
            .map(|client| (client.uuid, Fingerprint::from(client.key)))
            .collect();
        let gone: Vec<Uuid> = keys.keys().copied().filter(|uuid| !self.is_allowed(*uuid)).collect();
        if file.exists() {
            keys.retain(|uuid, _| self.is_allowed(*uuid));
        }
        self.state().keys = Some(keys);
        if !file.exists() && !gone.is_empty() {
            tracing::error!(
                "`{}` is missing, so {} push clients that had enrolled are not allowed any more: \
                 bring the file back, or allow them again",
                self.path.display(),
                gone.len()
            );
            return Ok(());
        }
        for uuid in gone {
            // Removed from the file while nobody was looking.
            self.unbind(uuid);
            let why = "revoked: it is not in the allowed list any more".to_owned();
            self.hub.handle(Event::Forgotten { uuid, why });
        }
        Ok(())
    }
}
