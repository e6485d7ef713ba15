//! The desk: owns the policy, keeps what it decides, and has it delivered.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::broadcast;

use super::{
    channel::Receipt,
    notifier::{Change, ChannelHealth, NotifyError},
    policy::{Answer, Command, Effects, Policy, World},
    world::Around,
};
use crate::{
    hub::Hub,
    store::{Commit, NotifyStore},
};

/// How long a message that somebody sends again is tried.
const RESEND_FOR: Duration = Duration::from_secs(24 * 3600);

/// Owner of the policy.
pub struct Desk {
    hub: Arc<Hub>,
    store: NotifyStore,
    brain: Mutex<Brain>,
    changes: broadcast::Sender<Change>,
}

/// Held on threads that may block, never on the runtime.
struct Brain {
    policy: Policy,
    /// The number of the last commit.
    commits: u64,
    /// The entry of the journal up to which the policy has seen all.
    cursor: u64,
}

impl Desk {
    fn brain(&self) -> MutexGuard<'_, Brain> {
        self.brain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn command(self: &Arc<Self>, command: Command) -> Result<Answer, NotifyError> {
        let desk = self.clone();
        let work = move || {
            let around = Around::new(desk.hub.view());
            let (mut brain, mut out) = (desk.brain(), Effects::default());
            let answer = brain.policy.command(command, &around, Timestamp::now(), &mut out);
            brain.commits += 1;
            let commit = Commit {
                number: brain.commits,
                cursor: brain.cursor,
                incidents: brain.policy.changed_incidents().into_iter().cloned().collect(),
                changed: brain.policy.take_changed(),
                moments: out.moments,
                decisions: out.decisions,
                messages: out.messages,
            };
            desk.store.commit(&commit)?;
            Ok(answer)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| NotifyError::Stopped)?
    }

    pub(super) async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        look: impl FnOnce(&Policy, &dyn World, Timestamp) -> T + Send + 'static,
    ) -> T {
        let desk = self.clone();
        let work = move || {
            let around = Around::new(desk.hub.view());
            look(&desk.brain().policy, &around, Timestamp::now())
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(seen) => seen,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime ends, and whoever waits with it.
            Err(_) => std::future::pending().await,
        }
    }

    pub(super) fn store(&self) -> &NotifyStore {
        &self.store
    }

    pub(super) async fn test(&self, channel: &str) -> Result<(Receipt, Duration), NotifyError> {
        Err(NotifyError::NoChannel(channel.to_owned()))
    }

    pub(super) async fn resend(&self, id: i64) -> Result<(), NotifyError> {
        let store = self.store.clone();
        let now = Timestamp::now();
        let expires = now.saturating_add(RESEND_FOR).unwrap_or(Timestamp::MAX);
        let again = tokio::task::spawn_blocking(move || store.resend(id, now, expires)).await;
        match again.map_err(|_| NotifyError::Stopped)?? {
            Some(_) => Ok(()),
            None => Err(NotifyError::NoNotification(id)),
        }
    }

    pub(super) fn channels(&self) -> Vec<ChannelHealth> {
        Vec::new()
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}
