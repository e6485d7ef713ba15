//! Pull: asks other instances over HTTP and tells the tree what they say.
//!
//! - `client`: a question and its answer, within limits; one connection per remote.
//! - `document`: what `GET /api` answers → a report. `journal`: what `GET /api/logs` answers → entries.
//! - `identity`, `ways`: who answers at an address, and which addresses lead to the same instance.
//! - `orders`: what remotes are told to do.
//! - `poller`: one remote, over and over; `shared`: what all pollers share.
//!
//! Each remote has a task of its own, so that one that is slow delays nobody. One task owns those, and
//! starts and ends them as the configuration says.

mod client;
mod document;
mod identity;
mod journal;
mod orders;
mod poller;
mod shared;
mod ways;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

pub use self::orders::Below;
use self::{
    client::Net,
    poller::{Poller, forget, pulled_at},
    shared::{IsBehind, Shared},
};
use crate::{
    config::Remote,
    hub::Hub,
    task::{Stop, Tasks},
};

/// For each remote there is so much more time within which the first questions are spread.
const SPREAD_PER_REMOTE: Duration = Duration::from_millis(10);

/// The remotes that are asked.
pub struct Pull {
    wanted: watch::Sender<Wanted>,
    net: Net,
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    remotes: Vec<Remote>,
    /// How long a remote may be silent.
    alive_timeout: Duration,
}

impl Pull {
    /// Begins to ask `remotes`, each of which is down when it is silent for `alive_timeout`. What the
    /// database remembers must be in the tree by now. While the disk `is_behind`, no journal is read.
    pub fn start(
        remotes: Vec<Remote>,
        alive_timeout: Duration,
        hub: Arc<Hub>,
        is_behind: IsBehind,
        tasks: &mut Tasks,
    ) -> Pull {
        let (sender, wanted) = watch::channel(Wanted { remotes, alive_timeout });
        let shared = Shared::new(hub, is_behind);
        let net = shared.net.clone();
        let keeper = Keeper { shared, running: BTreeMap::new() };
        tasks.spawn("pull", |stop| keeper.keep(wanted, stop));
        Pull { wanted: sender, net }
    }

    /// The way to those that are asked.
    pub fn below(&self) -> Below {
        Below { wanted: self.wanted.subscribe(), net: self.net.clone() }
    }

    /// Asks these from now on: those that were removed are forgotten, new ones begin, changed ones
    /// begin anew, and the others notice nothing.
    pub fn set(&self, remotes: Vec<Remote>, alive_timeout: Duration) {
        self.wanted.send_replace(Wanted { remotes, alive_timeout });
    }
}

/// Owner of what asks the remotes.
struct Keeper {
    shared: Shared,
    /// By `host:port`.
    running: BTreeMap<String, Running>,
}

struct Running {
    remote: Remote,
    alive_timeout: Duration,
    task: JoinHandle<()>,
}

impl Keeper {
    async fn keep(mut self, mut wanted: watch::Receiver<Wanted>, mut stop: Stop) {
        loop {
            let now = wanted.borrow_and_update().clone();
            self.ask_only(now).await;
            tokio::select! {
                () = stop.wait() => break,
                changed = wanted.changed() => if changed.is_err() {
                    stop.wait().await;
                    break;
                }
            }
        }
        for running in self.running.values() {
            running.task.abort();
        }
        for (_, running) in self.running {
            let _ = running.task.await;
        }
    }

    async fn ask_only(&mut self, wanted: Wanted) {
        let Wanted { remotes, alive_timeout } = wanted;
        let spread = SPREAD_PER_REMOTE * u32::try_from(remotes.len()).unwrap_or(u32::MAX);
        let mut by_address = BTreeMap::new();
        for remote in remotes {
            let address = remote.address();
            if by_address.contains_key(&address) {
                tracing::warn!("`{address}` is in [RemoteWigos] twice: the first entry counts");
                continue;
            }
            by_address.insert(address, remote);
        }
        let running = std::mem::take(&mut self.running);
        for (address, running) in running {
            let wanted = by_address.get(&address);
            if wanted == Some(&running.remote) && alive_timeout == running.alive_timeout {
                self.running.insert(address, running);
                continue;
            }
            running.task.abort();
            // After this, it says nothing any more.
            let _ = running.task.await;
            if wanted.is_none() {
                self.shared.ways.removed(&address);
            }
        }
        self.forget_others(&by_address);
        by_address.retain(|address, _| !self.running.contains_key(address));
        // All of them before any asks: each claims the instance that the tree knows by its address.
        let poller = |remote| Poller::new(self.shared.clone(), remote, alive_timeout);
        let new: Vec<_> =
            by_address.into_values().map(|remote| (poller(remote.clone()), remote)).collect();
        for (poller, remote) in new {
            let address = remote.address();
            let pause = share_of(spread.min(remote.check_interval), &address);
            let task = tokio::spawn(poller.run(pause));
            self.running.insert(address, Running { remote, alive_timeout, task });
        }
    }

    /// Forgets whom the tree knows by an address that is not configured, be it from before a restart.
    fn forget_others(&self, wanted: &BTreeMap<String, Remote>) {
        let hub = &self.shared.hub;
        for instance in hub.view().all() {
            let unwanted = pulled_at(instance).is_some_and(|address| !wanted.contains_key(address));
            if unwanted && !self.shared.ways.lead_to(instance.uuid) {
                forget(hub, instance.uuid, "removed from the configuration");
            }
        }
    }
}

/// A part of `whole` that differs from address to address and is always the same for one.
fn share_of(whole: Duration, address: &str) -> Duration {
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    whole.mul_f64((hasher.finish() as f64) / (u64::MAX as f64))
}

#[cfg(test)]
mod tests;
