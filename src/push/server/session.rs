//! What a client reports becomes part of the tree.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tarpc::context::Context;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use super::{FULL_ENOUGH, Host};
use crate::{
    push::{
        client_pause,
        protocol::{
            Flaws,
            channel::Master,
            checked_entries,
            wire::{self, News, Receipt},
        },
    },
    tree::{Event, Parting},
    trust::ClientIdentity,
};

/// How long a client waits before it tells more of its journal when the disk is behind, in milliseconds.
const SLOW_PAUSE_MS: u32 = 1_000;

/// While a message arrives it is noted this often that its sender is alive, in milliseconds.
const HEARD_EVERY_MS: u64 = 100;

/// The calls of one client.
#[derive(Clone)]
pub(super) struct Session(Arc<Shared>);

pub(super) struct Shared {
    host: Arc<Host>,
    uuid: Uuid,
    /// By the newest certificate.
    identity: Mutex<ClientIdentity>,
    began: Instant,
    /// Milliseconds after `began` when the client was last heard.
    heard_ms: AtomicU64,
    /// It was said already that what the client sends makes no sense.
    warned: AtomicBool,
    state: Mutex<State>,
    /// How the client has ended its connection, if it has.
    pub left: watch::Sender<Option<Parting>>,
}

#[derive(Default)]
struct State {
    /// The number of the last message.
    sequence: u64,
    /// The tree is without something that the client has reported: it is to begin anew.
    amiss: bool,
}

impl Session {
    pub fn new(host: Arc<Host>, identity: ClientIdentity) -> Session {
        Session(Arc::new(Shared {
            host,
            uuid: identity.uuid,
            identity: Mutex::new(identity),
            began: Instant::now(),
            heard_ms: AtomicU64::new(0),
            warned: AtomicBool::new(false),
            state: Mutex::new(State { sequence: 0, amiss: true }),
            left: watch::channel(None).0,
        }))
    }

    pub fn shared(&self) -> Arc<Shared> {
        self.0.clone()
    }
}

impl Shared {
    /// When the client was last heard.
    pub fn heard(&self) -> Instant {
        self.began + std::time::Duration::from_millis(self.heard_ms.load(Ordering::Relaxed))
    }

    /// Something has arrived, perhaps a part of a message only.
    pub fn received(&self) {
        let now = self.began.elapsed().as_millis() as u64;
        let before = self.heard_ms.load(Ordering::Relaxed);
        if now.saturating_sub(before) >= HEARD_EVERY_MS {
            self.heard_ms.store(now, Ordering::Relaxed);
            self.host.hub.handle(Event::Heard { link: self.uuid });
        }
    }

    fn report(&self, news: News) -> Receipt {
        let heard = self.began.elapsed().as_millis() as u64;
        self.heard_ms.store(heard, Ordering::Relaxed);
        let mut flaws = Flaws::default();
        let receipt = self.take(news, &mut flaws);
        if let Some(flaw) = flaws.take().filter(|_| !self.warned.swap(true, Ordering::Relaxed)) {
            tracing::warn!(
                "push client {}: {flaw}. This is left out, and further news of this connection that make \
                 no sense are too; update the instance that sent it",
                self.uuid
            );
        }
        receipt
    }

    fn take(&self, news: News, flaws: &mut Flaws) -> Receipt {
        let News { sequence, report, entries, position } = news;
        let begins = report.as_ref().is_some_and(|report| report.begins);
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let expected = state.sequence + 1;
            state.amiss = !begins && (state.amiss || sequence != expected);
            state.sequence = sequence;
            if state.amiss {
                return Receipt::Resync;
            }
        }
        let (hub, pool, link) = (&self.host.hub, &self.host.pool, self.uuid);
        let now = hub.now().wall;
        match report {
            Some(report) => {
                let report = report.checked(pool, now, flaws);
                if hub.report(link, report) {
                    self.state.lock().unwrap_or_else(PoisonError::into_inner).amiss = true;
                    return Receipt::Resync;
                }
            }
            None => hub.handle(Event::Heard { link }),
        }
        let Some(position) = position else { return Receipt::Taken };
        if self.host.pressure.waiting() > FULL_ENOUGH {
            return Receipt::Slow { pause_ms: client_pause(SLOW_PAUSE_MS) };
        }
        hub.learn(link, checked_entries(entries, pool, flaws), position);
        Receipt::Taken
    }
}

impl Master for Session {
    async fn report(self, _: Context, news: News) -> Receipt {
        self.0.report(news)
    }

    async fn renew(self, _: Context, csr: String) -> Result<String, String> {
        let identity = || self.0.identity.lock().unwrap_or_else(PoisonError::into_inner);
        let held = identity().clone();
        let signed = self.0.host.authority.renew(&held, csr).await;
        let signed = signed.map_err(|refusal| refusal.why)?;
        // From here on the connection lives by this one.
        let (key, not_after) = (signed.key, signed.not_after);
        *identity() = ClientIdentity { key, not_after, ..held };
        Ok(signed.certificate_pem)
    }

    async fn leave(self, _: Context, parting: wire::Parting) {
        let parting = match parting {
            wire::Parting::Stopping => Parting::Stopping,
            wire::Parting::Goodbye => Parting::Goodbye,
        };
        self.0.left.send_replace(Some(parting));
    }
}
