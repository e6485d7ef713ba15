//! What the journal is told about push clients, in the words that it always had.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::Authority;
use crate::{
    tree::{Event, Kind},
    trust::Fingerprint,
};

/// One client is reported as refused once in this time.
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// Reports of refused clients in that time, all together: somebody who tries one uuid after the other must
/// not fill the journal.
const MAX_REPORTS: usize = 100;

/// Which refusals were reported lately.
#[derive(Default)]
pub struct News {
    refused: Mutex<HashMap<Uuid, Instant>>,
}

impl News {
    /// Whether a refusal of this client is to be reported now.
    fn is_due(&self, uuid: Uuid, now: Instant) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|_, at| now.saturating_duration_since(*at) < REPORT_EVERY);
        if refused.len() >= MAX_REPORTS || refused.contains_key(&uuid) {
            return false;
        }
        refused.insert(uuid, now);
        true
    }
}

impl Authority {
    /// Writes to the journal, and to the log, that a client is in another list now.
    pub(super) fn note(&self, kind: Kind, message: String) {
        tracing::info!("{message}");
        self.changed();
        self.hub.handle(Event::Noted { kind, message });
    }

    /// Reports somebody who must not connect as this client, not too often.
    pub fn report_refused(&self, uuid: Uuid, message: String) {
        if self.news.is_due(uuid, Instant::now()) {
            tracing::warn!("{message}");
            self.hub.handle(Event::Noted { kind: Kind::ClientRefused, message });
        }
    }

    /// Reports that a second connection as this client was refused while the first one lives.
    pub fn report_twice(&self, uuid: Uuid, address: IpAddr) {
        let name = self.state().allowed.get(&uuid).cloned().unwrap_or_default();
        let from = address.to_canonical();
        self.report_refused(
            uuid,
            format!(
                "Client {name} refused: it is connected already, and connects again from {from} ({uuid}); \
                 two machines with the same uuid file?"
            ),
        );
    }
}

/// The particulars of a client after its name: `(uuid, address, key …)`.
pub(super) fn particulars(uuid: Uuid, address: Option<IpAddr>, key: Option<Fingerprint>) -> String {
    let address = address.map(|address| format!(", from {}", address.to_canonical()));
    let key = key.map(|key| format!(", key {key}"));
    format!("({uuid}{}{})", address.unwrap_or_default(), key.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_reported_once_a_minute_and_all_are_bounded() {
        let (news, start) = (News::default(), Instant::now());
        let uuid = Uuid::from_u128;
        assert!(news.is_due(uuid(0), start));
        assert!(!news.is_due(uuid(0), start + REPORT_EVERY / 2));
        assert!(news.is_due(uuid(0), start + REPORT_EVERY));
        let later = start + REPORT_EVERY * 3;
        let reported = (0..10_000).filter(|n| news.is_due(uuid(*n), later)).count();
        assert_eq!(reported, MAX_REPORTS);
        assert!(news.refused.lock().unwrap().len() <= MAX_REPORTS);
    }
}
