//! A client asks to be let in.

use std::{
    sync::{MutexGuard, atomic::Ordering},
    time::{Instant, SystemTime},
};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Admitted, Authority, Decision, EnrolRequest, Enrolment, JoinToken, MAX_CLIENTS, Refusal,
    allowed, allowed::AllowedFile, news::particulars, waiting::Client,
};
use crate::{
    store::TokenUse,
    tree::Kind,
    trust::{ClientIdentity, Fingerprint, Signed, csr_key},
};

/// How a join token was answered.
enum Ticket {
    None,
    /// The hash of the token.
    Good([u8; 32]),
    /// Why not, for the operator who has to decide instead.
    Bad(&'static str),
}

impl Authority {
    /// [`Authority::enrol`], here and now. Blocks.
    pub(super) fn enrol_now(&self, request: EnrolRequest) -> Enrolment {
        match self.decide(request) {
            Ok(enrolment) => enrolment,
            Err(refusal) => Enrolment::Refused(refusal),
        }
    }

    fn decide(&self, mut request: EnrolRequest) -> Result<Enrolment, Refusal> {
        request.host = allowed::clean(&request.host);
        request.group = allowed::clean(&request.group);
        request.version = allowed::clean(&request.version);
        if request.host.is_empty() {
            request.host = request.uuid.to_string();
        }
        let uuid = request.uuid;
        // The costly part, before anybody has to wait for us.
        let key = csr_key(&request.csr).map_err(|error| Refusal::last(error.to_string()))?;
        if uuid.is_nil() || uuid == self.own {
            return Err(Refusal::last(format!(
                "the uuid {uuid} cannot be that of a client: remove its uuid file (UuidFile in [Global]) \
                 and start it again"
            )));
        }
        let mut file = self.file();
        self.catch_up(&file)?;
        self.know_keys(&file)?;
        let (is_allowed, bound, revoked) = {
            let state = self.state();
            (state.allowed.contains_key(&uuid), state.key(uuid), state.revoked.since(uuid, key))
        };
        if is_allowed && (bound.is_some() || revoked.is_none()) {
            return self.enrol_allowed(&request, key, bound).map(Enrolment::Granted);
        }
        if let Some(at) = revoked {
            return self.wait(request, key, Some(was_revoked(at)));
        }
        let note = match self.look_at_token(&request)? {
            Ticket::Good(hash) => {
                let granted = self.add(&mut file, &request, key, Some(hash), "by a join token")?;
                return Ok(Enrolment::Granted(granted));
            }
            Ticket::Bad(why) => Some(why.to_owned()),
            Ticket::None => None,
        };
        if self.auto_accept.load(Ordering::Relaxed) {
            let how = "without asking: AutoAcceptClients is on";
            return self.add(&mut file, &request, key, None, how).map(Enrolment::Granted);
        }
        self.wait(request, key, note)
    }

    /// A client whose uuid is allowed, and that has no certificate (any more).
    fn enrol_allowed(
        &self,
        request: &EnrolRequest,
        key: Fingerprint,
        bound: Option<Fingerprint>,
    ) -> Result<Signed, Refusal> {
        let (uuid, address) = (request.uuid, request.address);
        match bound {
            Some(bound) if bound == key => self.sign(uuid, &request.csr),
            Some(bound) => {
                let about = particulars(uuid, Some(address), Some(key));
                let name = &request.host;
                self.report_refused(
                    uuid,
                    format!(
                        "Client {name} refused: it has another key than it enrolled with {about}"
                    ),
                );
                Err(other_key(uuid, key, bound))
            }
            None => {
                let signed = self.sign(uuid, &request.csr)?;
                self.bind(uuid, key, &request.host)?;
                let about = particulars(uuid, Some(address), Some(key));
                self.note(
                    Kind::ClientAllowed,
                    format!("{} enrolled its key {about}", request.host),
                );
                Ok(signed)
            }
        }
    }

    fn look_at_token(&self, request: &EnrolRequest) -> Result<Ticket, Refusal> {
        let Some(text) = request.token.as_deref().filter(|text| !text.is_empty()) else {
            return Ok(Ticket::None);
        };
        let Ok(token) = JoinToken::parse(text) else {
            return Ok(Ticket::Bad("its join token is none"));
        };
        let (hash, group, host) = (token.hash(), &request.group, &request.host);
        let looked = self.store.look_at_token(hash, Timestamp::now(), group, host);
        Ok(match looked.map_err(unwritable)? {
            TokenUse::Good => Ticket::Good(hash),
            TokenUse::Unknown => Ticket::Bad("its join token is not known here"),
            TokenUse::UsedUp => Ticket::Bad("its join token is used up"),
            TokenUse::Expired => Ticket::Bad("its join token has expired"),
            TokenUse::OtherGroup => Ticket::Bad("its join token is for another group"),
            TokenUse::OtherHost => Ticket::Bad("its join token is for other hosts"),
        })
    }

    fn wait(
        &self,
        request: EnrolRequest,
        key: Fingerprint,
        note: Option<String>,
    ) -> Result<Enrolment, Refusal> {
        let EnrolRequest { uuid, host, group, version, csr, token: _, address } = request;
        let about = particulars(uuid, Some(address), Some(key));
        let mut state = self.state();
        state.waiting.sweep(Instant::now());
        if let Some(held) = state.waiting.get(uuid).map(|held| held.key).filter(|held| *held != key)
        {
            drop(state);
            self.report_refused(
                uuid,
                format!(
                    "Client {host} refused: one with the same uuid and another key waits {about}"
                ),
            );
            return Err(other_key(uuid, key, held));
        }
        let also = note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
        let news = format!("New client {host} {about}{also}");
        let since = Timestamp::now();
        let client = Client { host, group, version, csr, key, address, since, note };
        let joined = state.waiting.join(uuid, client, Instant::now());
        drop(state);
        let (decision, is_new) =
            joined.inspect_err(|refusal| self.report_refused(Uuid::nil(), full(&news, refusal)))?;
        match is_new {
            true => self.note(Kind::ClientWaiting, news),
            false => self.changed(),
        }
        Ok(Enrolment::Waiting { key, decision })
    }

    /// Puts a client into the file, unless it is there already, bound to its key; `token` is the hash of
    /// the one that admits it. If anything fails nothing has changed.
    pub(super) fn add(
        &self,
        file: &mut MutexGuard<'_, AllowedFile>,
        request: &EnrolRequest,
        key: Fingerprint,
        token: Option<[u8; 32]>,
        how: &str,
    ) -> Result<Signed, Refusal> {
        let EnrolRequest { uuid, host, csr, address, .. } = request;
        let (has_line, count) = {
            let state = self.state();
            (state.allowed.contains_key(uuid), state.allowed.len())
        };
        if !has_line && count >= MAX_CLIENTS {
            return Err(too_many());
        }
        let signed = self.sign(*uuid, csr)?;
        match token {
            Some(hash) => self.bind_by_token(hash, request, key)?,
            None => self.bind(*uuid, key, host)?,
        }
        if !has_line && let Err(error) = file.add(*uuid, host) {
            self.unbind(*uuid, token);
            return Err(unwritable(error));
        }
        let waited = {
            let mut state = self.state();
            state.allowed.entry(*uuid).or_insert_with(|| host.clone());
            state.waiting.take(*uuid)
        };
        if let Some((client, decision)) = waited {
            // If it has disconnected it gets another certificate when it comes back.
            let _ = decision.send(match client.key == key {
                true => Decision::Granted(signed.clone()),
                false => Decision::Refused(other_key(*uuid, client.key, key)),
            });
        }
        let about = particulars(*uuid, Some(*address), Some(key));
        self.note(Kind::ClientAllowed, format!("{host} added to allowed list {how} {about}"));
        Ok(signed)
    }

    /// Decides about a client with a certificate by what is in memory; `None` if it is to be bound to its
    /// key first. As long as the database cannot be read we go by the certificate, which we have signed,
    /// and by the file: clients that work are not kept out by a broken disk.
    pub(super) fn admit_known(
        &self,
        identity: &ClientIdentity,
    ) -> Option<Result<Admitted, Refusal>> {
        let uuid = identity.uuid;
        if identity.not_after <= SystemTime::now() {
            let why = "the certificate has ended: enrol again".to_owned();
            return Some(Err(Refusal::retry(why)));
        }
        let (name, bound) = {
            let state = self.state();
            let Some(name) = state.allowed.get(&uuid).cloned() else {
                return Some(Err(not_allowed(uuid)));
            };
            let bound = state.key(uuid);
            if bound.is_none()
                && let Some(at) = state.revoked.since(uuid, identity.key)
            {
                return Some(Err(not_since(uuid, at)));
            }
            (name, if state.keys.is_none() { identity.key } else { bound? })
        };
        if bound == identity.key {
            return Some(Ok(Admitted { uuid, name }));
        }
        let about = particulars(uuid, None, Some(identity.key));
        self.report_refused(
            uuid,
            format!(
                "Client {name} refused: its certificate is for another key than it has now {about}"
            ),
        );
        Some(Err(other_key(uuid, identity.key, bound)))
    }

    /// Binds a client to the key of its certificate. Blocks.
    pub(super) fn admit_first(&self, identity: &ClientIdentity) -> Result<Admitted, Refusal> {
        let _file = self.file();
        if let Some(decided) = self.admit_known(identity) {
            return decided;
        }
        let uuid = identity.uuid;
        let name = self.state().allowed.get(&uuid).cloned();
        let name = name.ok_or_else(|| not_allowed(uuid))?;
        self.bind(uuid, identity.key, &name)?;
        let about = particulars(uuid, None, Some(identity.key));
        self.note(Kind::ClientAllowed, format!("{name} is bound to the key it came with {about}"));
        Ok(Admitted { uuid, name })
    }

    pub(super) fn renew_now(
        &self,
        identity: &ClientIdentity,
        csr: &str,
    ) -> Result<Signed, Refusal> {
        let key = csr_key(csr).map_err(|error| Refusal::last(error.to_string()))?;
        if key != identity.key {
            return Err(Refusal::last(
                "a certificate is renewed for the same key only: ask with the key of this connection",
            ));
        }
        // Nobody may be revoked between the last look and the signature.
        let _file = self.file();
        self.admit_known(identity).unwrap_or_else(|| Err(not_allowed(identity.uuid)))?;
        self.sign(identity.uuid, csr)
    }

    pub(super) fn sign(&self, uuid: Uuid, csr: &str) -> Result<Signed, Refusal> {
        let signed = self.ca.sign_client(csr, uuid, SystemTime::now());
        signed.map_err(|error| Refusal::last(error.to_string()))
    }

    /// Binds a client to a key, on the disk first.
    pub(super) fn bind(&self, uuid: Uuid, key: Fingerprint, name: &str) -> Result<(), Refusal> {
        let bound = self.store.bind_client(uuid, *key.as_bytes(), name);
        bound.map_err(unwritable)?;
        if let Some(keys) = &mut self.state().keys {
            keys.insert(uuid, key);
        }
        Ok(())
    }

    /// [`Authority::bind`], and one use less of the token is left.
    fn bind_by_token(
        &self,
        hash: [u8; 32],
        request: &EnrolRequest,
        key: Fingerprint,
    ) -> Result<(), Refusal> {
        let EnrolRequest { uuid, group, host, .. } = request;
        let now = Timestamp::now();
        let used = self.store.bind_by_token(hash, now, group, host, *uuid, *key.as_bytes());
        if used.map_err(unwritable)? != TokenUse::Good {
            return Err(Refusal::retry("the join token has become useless this moment"));
        }
        if let Some(keys) = &mut self.state().keys {
            keys.insert(*uuid, key);
        }
        Ok(())
    }

    /// Takes back that a client was bound to a key, and gives the token back that it was bound by. What
    /// the disk does not take is only logged: without a line in the file the key opens nothing.
    fn unbind(&self, uuid: Uuid, token: Option<[u8; 32]>) {
        if let Some(keys) = &mut self.state().keys {
            keys.remove(&uuid);
        }
        let unbound = match token {
            Some(hash) => self.store.unbind_by_token(hash, uuid),
            None => self.store.unbind_client(uuid).map(drop),
        };
        if let Err(error) = unbound {
            let error = anyhow::Error::from(error);
            tracing::error!("the key of client {uuid} stays in the database: {error:#}");
        }
    }
}

fn was_revoked(at: Timestamp) -> String {
    format!("was revoked on {}", at.strftime("%Y-%m-%d %H:%M UTC"))
}

fn not_since(uuid: Uuid, at: Timestamp) -> Refusal {
    Refusal::last(format!(
        "the client {uuid} {}: it has to enrol again, and an operator to allow it",
        was_revoked(at)
    ))
}

fn full(news: &str, refusal: &Refusal) -> String {
    format!("{news} cannot wait: {}", refusal.why)
}

fn not_allowed(uuid: Uuid) -> Refusal {
    Refusal::last(format!(
        "the client {uuid} is not in the allowed list of this push server: it has to enrol again, and an \
         operator to allow it"
    ))
}

fn other_key(uuid: Uuid, key: Fingerprint, bound: Fingerprint) -> Refusal {
    Refusal::last(format!(
        "the uuid {uuid} belongs to a client with the key {bound}, and this one has {key}: if it is the same \
         machine, revoke it on the push server and allow it again; if not, remove the uuid file of one of \
         them"
    ))
}

fn too_many() -> Refusal {
    Refusal::retry(format!("this push server has {MAX_CLIENTS} clients, as many as it takes"))
}

/// The details are for the push server's own log.
fn unwritable(error: impl Into<anyhow::Error>) -> Refusal {
    tracing::error!("a push client cannot be admitted, this cannot be written: {:#}", error.into());
    Refusal::retry("the push server cannot write down who is admitted; its log says why")
}
