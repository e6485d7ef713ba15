//! A channel as it is delivered to: what it is, and how it is doing.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::{
    notify::{
        Message,
        channel::Channel,
        notifier::{ChannelHealth, Health},
    },
    store::ChannelCount,
};

/// Makes title and body of a message: how late it is, and the time.
pub type Render =
    Arc<dyn Fn(&Message, Option<Duration>, Timestamp) -> (String, String) + Send + Sync>;

/// What a channel is, from the configuration.
#[derive(Clone)]
pub struct Outlet {
    /// Unique.
    pub name: String,
    /// The word for its type.
    pub kind: String,
    pub channel: Arc<dyn Channel>,
    pub render: Render,
    /// No attempt takes longer.
    pub limit: Duration,
    /// The channel that gets what this one cannot deliver.
    pub fallback: Option<String>,
    pub escalation: bool,
    pub reminders_only: bool,
    /// Whom it is for, in words.
    pub whom: String,
}

/// A channel with its worker.
pub(super) struct Line {
    pub name: String,
    outlet: ArcSwap<Outlet>,
    wake: Notify,
    is_removed: AtomicBool,
    vitals: Mutex<Vitals>,
}

/// How a channel is doing.
#[derive(Clone, Debug, Default)]
pub(super) struct Vitals {
    pub count: ChannelCount,
    pub delivered: Option<Timestamp>,
    pub failed: Option<Timestamp>,
    pub error: String,
    /// Since when nothing was taken; `None` while it works.
    pub failing_since: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
}

impl Line {
    pub fn new(outlet: Outlet) -> Line {
        Line {
            name: outlet.name.clone(),
            outlet: ArcSwap::from_pointee(outlet),
            wake: Notify::new(),
            is_removed: AtomicBool::new(false),
            vitals: Mutex::default(),
        }
    }

    pub fn outlet(&self) -> Arc<Outlet> {
        self.outlet.load_full()
    }

    /// From the next attempt on it is this.
    pub fn change(&self, outlet: Outlet) {
        self.outlet.store(Arc::new(outlet));
        self.wake();
    }

    /// There may be something to do.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// It is not configured any more.
    pub fn remove(&self) {
        self.is_removed.store(true, Ordering::Release);
        self.wake();
    }

    pub fn is_removed(&self) -> bool {
        self.is_removed.load(Ordering::Acquire)
    }

    pub fn vitals(&self) -> MutexGuard<'_, Vitals> {
        self.vitals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It took something.
    pub fn worked(&self, at: Timestamp) {
        let mut vitals = self.vitals();
        (vitals.delivered, vitals.failing_since, vitals.failures) = (Some(at), None, 0);
        vitals.error.clear();
    }

    /// It did not. Returns how many times in a row.
    pub fn failed(&self, at: Timestamp, why: &str) -> u32 {
        let mut vitals = self.vitals();
        vitals.failed = Some(at);
        vitals.failing_since.get_or_insert(at);
        vitals.failures = vitals.failures.saturating_add(1);
        why.clone_into(&mut vitals.error);
        vitals.failures
    }

    pub fn health(&self) -> ChannelHealth {
        let (outlet, vitals) = (self.outlet(), self.vitals().clone());
        let delivered = vitals.delivered.max(vitals.count.delivered);
        let health = match (vitals.failing_since, delivered) {
            (Some(_), _) => Health::Failing,
            (None, Some(_)) => Health::Ok,
            (None, None) => Health::Unused,
        };
        ChannelHealth {
            name: outlet.name.clone(),
            kind: outlet.kind.clone(),
            health,
            waiting: vitals.count.waiting,
            dead: vitals.count.dead,
            delivered,
            failed: vitals.failed,
            error: vitals.error,
            escalation: outlet.escalation,
            reminders_only: outlet.reminders_only,
            fallback: outlet.fallback.clone(),
            whom: outlet.whom.clone(),
        }
    }
}
