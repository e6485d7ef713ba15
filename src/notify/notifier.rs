//! The handle on notifications, for the API and whoever else wants something of them.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::broadcast;
use uuid::Uuid;

use super::{
    channel::Receipt,
    policy::{Answer, Command, Policy, World},
};
use crate::{
    status::Status,
    store::{NotifyStore, StoreError},
};

/// Why something that was asked of notifications was not done.
#[derive(Debug, Error)]
pub enum NotifyError {
    #[error("there is no channel `{0}`")]
    NoChannel(String),
    #[error("there is no notification {0}")]
    NoNotification(i64),
    #[error("{0}")]
    Failed(String),
    #[error("the channel did not answer within {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "it is done, and not on the disk yet: the database did not answer within {} s; until it does a \
         restart would undo it", .0.as_secs()
    )]
    NotWritten(Duration),
    #[error("wigo stops")]
    Stopped,
}

/// How a channel is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelHealth {
    pub name: String,
    /// The word for its type, such as `slack`.
    pub kind: String,
    pub health: Health,
    /// Messages that are to be delivered.
    pub waiting: u64,
    /// Messages that were not taken for good.
    pub dead: u64,
    /// When it took a message last.
    pub delivered: Option<Timestamp>,
    /// When it failed last.
    pub failed: Option<Timestamp>,
    /// Why it failed last; empty once it has worked again.
    pub error: String,
    pub escalation: bool,
    pub reminders_only: bool,
    /// The channel that gets what this one cannot deliver.
    pub fallback: Option<String>,
    /// Whom it is for, in words.
    pub whom: String,
}

/// Whether a channel works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Ok,
    /// The last attempt failed.
    Failing,
    /// Nothing was tried yet.
    Unused,
}

impl Health {
    /// The stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Failing => "failing",
            Health::Unused => "unused",
        }
    }
}

/// Something changed that pages show.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Incident(Arc<IncidentNews>),
    /// What is held back: an acknowledgement, a silence, a window.
    Suppressions,
}

/// An incident that changed, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentNews {
    pub id: Uuid,
    pub title: String,
    pub is_open: bool,
    pub status: Status,
    /// Members that are not over, and all.
    pub bad: u32,
    pub members: u32,
    pub acked: bool,
}

/// The handle. Cheap to clone.
#[derive(Clone)]
pub struct Notifier(Arc<super::desk::Desk>);

impl Notifier {
    /// A handle on a desk.
    pub fn of(desk: Arc<super::desk::Desk>) -> Notifier {
        Notifier(desk)
    }

    /// Does what somebody wants. What came of it is on the disk when this returns.
    pub async fn command(&self, command: Command) -> Result<Answer, NotifyError> {
        self.0.command(command).await
    }

    /// Looks at the policy, at the tree around it, and at the clock.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Policy, &dyn World, Timestamp) -> T + Send + 'static,
    ) -> T {
        self.0.look(look).await
    }

    /// What is stored: incidents, messages, decisions. Its calls block.
    pub fn store(&self) -> &NotifyStore {
        self.0.store()
    }

    /// Sends a test message over a channel, past the outbox, and waits for the answer.
    pub async fn test(&self, channel: &str) -> Result<(Receipt, Duration), NotifyError> {
        self.0.test(channel).await
    }

    /// Has a message delivered again, whatever became of it.
    pub async fn resend(&self, id: i64) -> Result<(), NotifyError> {
        self.0.resend(id).await
    }

    /// How the channels are doing, in the order of the configuration. Does not touch the disk.
    pub fn channels(&self) -> Vec<ChannelHealth> {
        self.0.channels()
    }

    /// What changes from now on. Who is too slow for it misses some and is told so.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.changes()
    }
}
