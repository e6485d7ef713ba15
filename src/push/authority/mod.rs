//! Who may push to this instance: the allowed list, the waiting list, and the key that each client has.
//!
//! - `enrol`: a new client asks for a certificate; one with a certificate connects, or renews it.
//! - `listing`: what an operator is shown.
//! - `change`: the allowed list changes: by an operator, or by a hand in the file.
//! - `allowed`: that file. `waiting`: the clients that an operator has to decide about. `revoked`: those
//!   that only an operator lets in again. `token`: how to do without an operator. `news`: what is written
//!   to the journal about all this.
//!
//! A uuid is allowed if the file says so, and it is bound to the first key that enrolled with it (in the
//! database) until it is revoked. There are two locks. Whoever changes anything holds `file`, also while
//! the disk works, so that decisions come one after the other. `state` is what is true now; it is held
//! for moments only, so that neither clients with a certificate nor revocations wait for the disk.

mod allowed;
mod change;
mod enrol;
mod listing;
mod news;
mod revoked;
mod token;
mod waiting;

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    net::IpAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use thiserror::Error;
use tokio::sync::{Semaphore, broadcast, oneshot, watch};
use uuid::Uuid;

use self::{allowed::AllowedFile, news::News, revoked::RevokedClients, waiting::Waiting};
pub use self::{
    change::CannotChange,
    listing::{Allowed, Listing, WaitingClient},
    token::{JoinToken, NotAToken},
};
use crate::{
    config::PushServer,
    hub::Hub,
    store::Admission,
    trust::{Ca, ClientIdentity, Fingerprint, Signed},
};

/// The most clients that may be allowed. Lines of the file beyond count all the same.
pub const MAX_CLIENTS: usize = 50_000;
/// Clients at once that the disk works for; the others wait without holding a thread.
const MAX_ON_DISK: usize = 4;
/// Between two looks at whether somebody has edited the file.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Revocations that a listener may lag behind before it loses some and has to look at
/// [`Authority::is_allowed`] again.
const REVOKED_QUEUE: usize = 1_024;

/// A client without a certificate that asks for one.
#[derive(Clone, Debug)]
pub struct EnrolRequest {
    pub uuid: Uuid,
    /// The name of its host.
    pub host: String,
    pub group: String,
    /// Name and version of its program.
    pub version: String,
    /// The certificate request, PEM. Only its key is used.
    pub csr: String,
    /// The whole text of a [`JoinToken`].
    pub token: Option<String>,
    /// Where the connection comes from.
    pub address: IpAddr,
}

/// What becomes of such a client.
#[derive(Debug)]
pub enum Enrolment {
    Granted(Signed),
    /// An operator has to decide. The decision comes once; a receiver that is told nothing any more was
    /// replaced by a newer connection of the same client, or has waited in vain.
    Waiting {
        key: Fingerprint,
        decision: oneshot::Receiver<Decision>,
    },
    Refused(Refusal),
}

/// What an operator has decided about a client that waited.
#[derive(Debug)]
pub enum Decision {
    Granted(Signed),
    Refused(Refusal),
}

/// Why a client is not let in, in a sentence for the people who run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub why: String,
    /// Whether it may help to try again soon; else a person has to do something first.
    pub retry: bool,
}

/// A client with a good certificate that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub uuid: Uuid,
    /// Its name in the allowed list.
    pub name: String,
}

/// There can be no authority.
#[derive(Debug, Error)]
#[error(
    "cannot read the allowed clients in `{}`: make the file readable for the user of wigo, or name \
     another as AllowedClientsFile in [PushServer]",
    path.display()
)]
pub struct CannotOpen {
    path: PathBuf,
    source: io::Error,
}

/// Decides who may push.
pub struct Authority {
    ca: Arc<Ca>,
    /// Who is bound to which key, and the join tokens.
    store: Admission,
    hub: Arc<Hub>,
    /// The name of the file, for messages.
    path: PathBuf,
    file: Mutex<AllowedFile>,
    state: Mutex<State>,
    news: News,
    /// The uuid of this instance, which is no client's.
    own: Uuid,
    auto_accept: AtomicBool,
    revoked: broadcast::Sender<Uuid>,
    changes: watch::Sender<u64>,
    /// One permit for each client that the disk may work for.
    disk: Arc<Semaphore>,
    /// When the file was looked at last.
    looked: Mutex<Instant>,
}

/// What is true now.
struct State {
    allowed: BTreeMap<Uuid, String>,
    /// The key that each client is bound to; `None` as long as the database could not be read.
    keys: Option<HashMap<Uuid, Fingerprint>>,
    waiting: Waiting,
    revoked: RevokedClients,
}

impl Authority {
    /// Reads who is allowed, and tells the tree who is not any more. Blocks.
    pub fn open(
        settings: &PushServer,
        ca: Arc<Ca>,
        store: Admission,
        hub: Arc<Hub>,
    ) -> Result<Arc<Authority>, CannotOpen> {
        let path = settings.allowed_clients_file.clone();
        let file =
            AllowedFile::open(&path).map_err(|source| CannotOpen { path: path.clone(), source })?;
        let state = State {
            allowed: file.clients(),
            keys: None,
            waiting: Waiting::new(settings.max_waiting_clients),
            revoked: RevokedClients::default(),
        };
        let authority = Authority {
            own: hub.read(|tree| tree.me().uuid),
            ca,
            store,
            hub,
            path,
            file: Mutex::new(file),
            state: Mutex::new(state),
            news: News::default(),
            auto_accept: AtomicBool::new(false),
            revoked: broadcast::channel(REVOKED_QUEUE).0,
            changes: watch::channel(0).0,
            disk: Arc::new(Semaphore::new(MAX_ON_DISK)),
            looked: Mutex::new(Instant::now()),
        };
        authority.configure(settings);
        if let Err(error) = authority.load_keys(&authority.file()) {
            let error = anyhow::Error::from(error);
            tracing::error!("who has which key is not known, so nobody can enrol: {error:#}");
        }
        let unclaimed = authority.unclaimed();
        if unclaimed > 0 {
            tracing::warn!(
                "{unclaimed} of the clients in `{}` have no key yet: the first client that shows such a \
                 uuid gets it",
                authority.path.display()
            );
        }
        Ok(Arc::new(authority))
    }

    /// Takes over what may change while running: AutoAcceptClients and MaxWaitingClients.
    pub fn configure(&self, settings: &PushServer) {
        let auto_accept = settings.auto_accept_clients;
        if auto_accept && !self.auto_accept.load(Ordering::Relaxed) {
            tracing::warn!(
                "AutoAcceptClients is on in [PushServer]: whoever can reach the port becomes a client"
            );
        }
        self.auto_accept.store(auto_accept, Ordering::Relaxed);
        self.state().waiting.set_limit(settings.max_waiting_clients);
    }

    /// Decides about a client that has no certificate.
    pub async fn enrol(self: &Arc<Authority>, request: EnrolRequest) -> Enrolment {
        self.for_client(move |authority| authority.enrol_now(request)).await
    }

    /// Whether a client that has proved its certificate may connect. Listen to [`Authority::revoked`]
    /// before asking, or a revocation in between is missed.
    pub async fn admit(
        self: &Arc<Authority>,
        identity: &ClientIdentity,
    ) -> Result<Admitted, Refusal> {
        self.look().await;
        if let Some(decided) = self.admit_known(identity) {
            return decided;
        }
        let identity = identity.clone();
        self.for_client(move |authority| authority.admit_first(&identity)).await
    }

    /// A new certificate for a connected client with the same key, if it is allowed still.
    pub async fn renew(
        self: &Arc<Authority>,
        identity: &ClientIdentity,
        csr: String,
    ) -> Result<Signed, Refusal> {
        self.admit(identity).await?;
        let identity = identity.clone();
        self.for_client(move |authority| authority.renew_now(&identity, &csr)).await
    }

    /// Lets a client in that waits, and says its name. `key` is the one that the operator has seen, if
    /// that is known: a client with another one is not let in.
    pub async fn allow(
        self: &Arc<Authority>,
        uuid: Uuid,
        key: Option<Fingerprint>,
    ) -> Result<String, CannotChange> {
        self.on_disk(move |authority| authority.allow_now(uuid, key)).await
    }

    /// Takes a client out of every list, closes its connections and removes its part of the tree, at once
    /// and before the disk knows. Does nothing for a uuid that is in no list.
    pub async fn revoke(self: &Arc<Authority>, uuid: Uuid) -> Result<(), CannotChange> {
        self.strike(uuid, "by an operator");
        self.on_disk(move |authority| authority.revoke_now(uuid)).await
    }

    /// Looks whether somebody has edited the file, at most once a second. To be called regularly.
    pub async fn look(self: &Arc<Authority>) {
        let now = Instant::now();
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if now.saturating_duration_since(*looked) < LOOK_EVERY {
                return;
            }
            *looked = now;
        }
        self.on_disk(Authority::look_now).await;
    }

    /// The uuids of clients that are revoked from now on: their connections are to be closed at once.
    pub fn revoked(&self) -> broadcast::Receiver<Uuid> {
        self.revoked.subscribe()
    }

    /// A number that grows when who is allowed or waits, or the join tokens, are others.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// To be called when a join token was made or dropped.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Whether this client is in the allowed list.
    pub fn is_allowed(&self, uuid: Uuid) -> bool {
        self.state().allowed.contains_key(&uuid)
    }

    /// How many clients are allowed without a key that somebody could come with.
    fn unclaimed(&self) -> usize {
        let state = self.state();
        let is_unclaimed = |uuid: &Uuid| {
            let keys = state.keys.as_ref();
            keys.is_some_and(|keys| !keys.contains_key(uuid)) && !state.revoked.contains(*uuid)
        };
        state.allowed.keys().filter(|uuid| is_unclaimed(uuid)).count()
    }

    /// [`Authority::on_disk`] for a client: few at once, so that many of them leave threads for others.
    async fn for_client<T: Send + 'static>(
        self: &Arc<Authority>,
        work: impl FnOnce(&Authority) -> T + Send + 'static,
    ) -> T {
        let permit = Arc::clone(&self.disk).acquire_owned().await;
        self.on_disk(move |authority| {
            // Held until the work ends, also if nobody waits for it any more.
            let _permit = permit;
            work(authority)
        })
        .await
    }

    /// Runs what may wait for the disk where waiting does no harm.
    async fn on_disk<T: Send + 'static>(
        self: &Arc<Authority>,
        work: impl FnOnce(&Authority) -> T + Send + 'static,
    ) -> T {
        let authority = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&authority)).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and this task with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    fn file(&self) -> MutexGuard<'_, AllowedFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The key that a client is bound to, as far as it is known.
    fn key(&self, uuid: Uuid) -> Option<Fingerprint> {
        self.keys.as_ref()?.get(&uuid).copied()
    }
}

impl Refusal {
    /// It may help to try again soon.
    fn retry(why: impl Into<String>) -> Refusal {
        Refusal { why: why.into(), retry: true }
    }

    /// A person has to do something first.
    fn last(why: impl Into<String>) -> Refusal {
        Refusal { why: why.into(), retry: false }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

#[cfg(test)]
mod tests;
