//! The client: reports this instance, and all below it, to the masters above it.
//!
//! - `contact`: reach a master: connect, greet, prove who we are
//! - `network`: what connections run on
//! - `credentials`: the files with our key, our certificates and the authorities of masters
//! - `session`: report, as long as the connection lasts
//! - `account`: what is reported of the tree
//! - `journal`: what is told of the journal, from where the master knows it
//! - `pace`: when to come back
//!
//! One task per master. Each goes on for ever; what is wrong is in the log and in [`Clients::troubles`].

mod account;
mod contact;
mod credentials;
mod journal;
mod network;
mod pace;
mod session;

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{sync::watch, task::JoinHandle};
use uuid::Uuid;

pub use account::{Part, full, parts_of};
pub use credentials::{BadCredentials, Credentials};
pub use journal::Past;
pub use network::{AnyStream, Connecting, Network, Stream, Tcp};
pub(super) use pace::anywhere_within;
pub use session::{Ending, Session, Told};

use super::protocol::wire::Parting;
use crate::{
    config::{Endpoint, PushClient},
    hub::Hub,
    orders::Taker,
};
use contact::Contact;

/// For a client to say goodbye when it is stopped.
pub const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// Whom the clients work for.
#[derive(Clone)]
pub struct Reporter {
    pub uuid: Uuid,
    /// Name and version, such as `Wigo v1.0.0`.
    pub version: &'static str,
    pub hub: Arc<Hub>,
    pub past: Arc<dyn Past>,
    pub network: Arc<dyn Network>,
    /// Who carries out what masters order.
    pub orders: Arc<dyn Taker>,
}

/// How a client is to end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Work,
    Leave(Parting),
}

/// One client for each master.
pub struct Clients {
    reporter: Reporter,
    running: Mutex<BTreeMap<Endpoint, Client>>,
    /// Those that take leave. A new one for the same master waits for their end.
    leaving: Mutex<BTreeMap<Endpoint, JoinHandle<()>>>,
    troubles: Troubles,
}

struct Client {
    settings: PushClient,
    first: bool,
    order: watch::Sender<Order>,
    is_reporting: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// A master that we report to, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    pub address: String,
    pub connected: bool,
    /// What keeps us from reporting, a sentence.
    pub trouble: Option<String>,
}

/// What keeps clients from reporting, by master.
#[derive(Clone, Debug, Default)]
struct Troubles(Arc<Mutex<BTreeMap<Endpoint, String>>>);

impl Troubles {
    fn is_news(&self, master: &Endpoint, trouble: &str) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(master).is_none_or(|held| held != trouble)
    }

    fn set(&self, master: &Endpoint, trouble: Option<String>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(trouble) => held.insert(master.clone(), trouble),
            None => held.remove(master),
        };
    }
}

/// Whoever means to leave calls [`Clients::stop`] before; here the connections just break.
impl Drop for Clients {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        running.values().for_each(|client| client.task.abort());
        let leaving = self.leaving.get_mut().unwrap_or_else(PoisonError::into_inner);
        leaving.values().for_each(JoinHandle::abort);
    }
}

impl Clients {
    /// No client yet.
    pub fn new(reporter: Reporter) -> Clients {
        Clients {
            reporter,
            running: Mutex::default(),
            leaving: Mutex::default(),
            troubles: Troubles::default(),
        }
    }

    /// Reports to the masters of `settings`. Those that are not among them any more are told goodbye.
    /// Call it on the runtime.
    pub fn set(&self, settings: &PushClient) {
        let wanted: &[Endpoint] = if settings.enabled { &settings.addresses } else { &[] };
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|_, task| !task.is_finished());
        let ends = |master: &Endpoint, client: &mut Client| {
            if !wanted.contains(master) {
                client.order.send_replace(Order::Leave(Parting::Goodbye));
                self.troubles.set(master, None);
                return true;
            }
            let first = wanted.first() == Some(master);
            let same = client.settings.same_way(settings) && client.first == first;
            if !same {
                client.order.send_replace(Order::Leave(Parting::Stopping));
            }
            !same || client.task.is_finished()
        };
        let mut ended = Vec::new();
        for (master, client) in running.iter_mut() {
            if ends(master, client) {
                ended.push(master.clone());
            }
        }
        for master in ended {
            leaving.extend(
                running.remove_entry(&master).map(|(master, client)| (master, client.task)),
            );
        }
        for (number, master) in wanted.iter().enumerate() {
            running.entry(master.clone()).or_insert_with(|| {
                let before = leaving.remove(master);
                self.start(master.clone(), number == 0, settings.clone(), before)
            });
        }
    }

    /// Begins when `before`, the client that reported to the same master, has ended.
    fn start(
        &self,
        master: Endpoint,
        first: bool,
        settings: PushClient,
        before: Option<JoinHandle<()>>,
    ) -> Client {
        let (order, orders) = watch::channel(Order::Work);
        let is_reporting = Arc::new(AtomicBool::new(false));
        let contact = Contact::new(
            self.reporter.clone(),
            master.clone(),
            first,
            settings.clone(),
            self.troubles.clone(),
            is_reporting.clone(),
        );
        let troubles = self.troubles.clone();
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            if AssertUnwindSafe(contact.run(orders)).catch_unwind().await.is_err() {
                let trouble = format!(
                    "the push to {master} ended because of a mistake in wigo, which its log describes; \
                     reload the configuration to start it again"
                );
                tracing::error!("{trouble}");
                troubles.set(&master, Some(trouble));
            }
        });
        Client { settings, first, order, is_reporting, task }
    }

    /// What keeps us from reporting, a sentence for each master concerned.
    pub fn troubles(&self) -> Vec<String> {
        let held = self.troubles.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().cloned().collect()
    }

    /// The masters that we report to.
    pub fn masters(&self) -> Vec<Master> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let troubles = self.troubles.0.lock().unwrap_or_else(PoisonError::into_inner);
        let master = |(address, client): (&Endpoint, &Client)| Master {
            address: address.to_string(),
            connected: client.is_reporting.load(Ordering::Relaxed) && !client.task.is_finished(),
            trouble: troubles.get(address).cloned(),
        };
        running.iter().map(master).collect()
    }

    /// Tells all masters that we stop and mean to come back, and waits for it for [`LEAVE_LIMIT`].
    pub async fn stop(&self) {
        let running = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *running)
        };
        for client in running.values() {
            client.order.send_replace(Order::Leave(Parting::Stopping));
        }
        let leaving = {
            let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *leaving)
        };
        let tasks = running.into_iter().map(|(master, client)| (master, client.task));
        let deadline = tokio::time::Instant::now() + LEAVE_LIMIT;
        for (master, mut task) in tasks.chain(leaving) {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                tracing::warn!("the push to {master} did not end in time: cut off");
                task.abort();
            }
        }
    }
}
