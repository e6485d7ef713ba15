//! Who is allowed and who waits, for an operator.

use std::{net::IpAddr, time::Instant};

use jiff::Timestamp;
use uuid::Uuid;

use super::Authority;
use crate::trust::Fingerprint;

/// Everybody, for an operator.
#[derive(Clone, Debug)]
pub struct Listing {
    /// By uuid.
    pub allowed: Vec<Allowed>,
    /// Who has waited longest first.
    pub waiting: Vec<WaitingClient>,
    /// The SHA-256 of the CA certificate, which clients show as well.
    pub ca: Fingerprint,
}

/// A client that may connect.
#[derive(Clone, Debug)]
pub struct Allowed {
    pub uuid: Uuid,
    pub name: String,
    /// The SHA-256 of its key; `None` until it has enrolled.
    pub key: Option<Fingerprint>,
}

/// A client that waits for an operator.
#[derive(Clone, Debug)]
pub struct WaitingClient {
    pub uuid: Uuid,
    /// The name of its host.
    pub name: String,
    pub group: String,
    pub version: String,
    pub address: IpAddr,
    /// The SHA-256 of its key, which the client shows as well.
    pub key: Fingerprint,
    pub since: Timestamp,
    /// Whether it is connected now.
    pub connected: bool,
    /// What else an operator should know.
    pub note: Option<String>,
}

impl Authority {
    /// The SHA-256 of the CA certificate, which clients show as well.
    pub fn fingerprint(&self) -> Fingerprint {
        self.ca.fingerprint()
    }

    /// How many clients wait for an operator.
    pub fn waiting_count(&self) -> usize {
        let mut state = self.state();
        if state.waiting.sweep(Instant::now()) {
            self.changed();
        }
        state.waiting.count()
    }

    /// Everybody, for an operator.
    pub fn listing(&self) -> Listing {
        let mut state = self.state();
        if state.waiting.sweep(Instant::now()) {
            self.changed();
        }
        let allowed = state.allowed.iter().map(|(uuid, name)| Allowed {
            uuid: *uuid,
            name: name.clone(),
            key: state.key(*uuid),
        });
        let waiting = state.waiting.list();
        let waiting = waiting.into_iter().map(|(uuid, client, connected)| WaitingClient {
            uuid,
            name: client.host.clone(),
            group: client.group.clone(),
            version: client.version.clone(),
            address: client.address,
            key: client.key,
            since: client.since,
            connected,
            note: client.note.clone(),
        });
        Listing {
            allowed: allowed.collect(),
            waiting: waiting.collect(),
            ca: self.ca.fingerprint(),
        }
    }
}
