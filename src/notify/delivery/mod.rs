//! Delivery: one worker for each channel, so that one that hangs delays no other.
//!
//! How an attempt goes, and why nothing is lost: `worker`. When it is tried again: `backoff`. What is
//! delivered while the disk cannot be written: `loose`.

mod backoff;
mod line;
mod loose;
mod worker;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

pub use line::{Outlet, Render};

use self::{line::Line, loose::Loose, worker::Worker};
use super::{
    Message,
    channel::{Failed, Receipt},
    notifier::ChannelHealth,
};
use crate::{
    store::{Attempt, NotifyStore, StoreError},
    task::Tasks,
};

/// Why messages of a channel that is not configured any more are dead.
const REMOVED: &str = "channel removed";
/// A channel that has failed for so long is broken.
const BROKEN_AFTER: Duration = Duration::from_secs(15);

/// What the clock says.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the workers have in common.
struct Shared {
    store: NotifyStore,
    clock: Clock,
    loose: Mutex<Loose>,
    /// In the order of the configuration.
    lines: Mutex<Vec<Arc<Line>>>,
}

impl Shared {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// When it is that time.
    fn instant(&self, at: Timestamp) -> Instant {
        let wait = Duration::try_from(at.duration_since(self.now())).unwrap_or_default();
        Instant::now() + wait
    }

    fn loose(&self) -> MutexGuard<'_, Loose> {
        self.loose.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Arc<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, name: &str) -> Option<Arc<Line>> {
        self.lines().iter().find(|line| line.name == name).cloned()
    }

    fn wake(&self, channel: &str) {
        if let Some(line) = self.line(channel) {
            line.wake();
        }
    }
}

/// All channels with their workers.
pub struct Delivery {
    shared: Arc<Shared>,
    tasks: Mutex<Tasks>,
}

impl Delivery {
    /// Without channels yet.
    pub fn new(store: NotifyStore, clock: Clock) -> Delivery {
        let (loose, lines) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { store, clock, loose, lines });
        Delivery { shared, tasks: Mutex::default() }
    }

    /// The channels are these from now on: the workers of new ones begin, those of others that are gone
    /// end. Within a runtime.
    pub fn set(&self, outlets: Vec<Outlet>) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = self.shared.lines();
        let mut before = std::mem::take(&mut *lines);
        for outlet in outlets {
            match before.iter().position(|line| line.name == outlet.name) {
                Some(place) => {
                    let line = before.swap_remove(place);
                    line.change(outlet);
                    lines.push(line);
                }
                None => {
                    let line = Arc::new(Line::new(outlet));
                    lines.push(line.clone());
                    let worker = Worker::new(line, self.shared.clone());
                    tasks.spawn("channel", move |stop| worker.run(stop));
                }
            }
        }
        before.iter().for_each(|line| line.remove());
    }

    /// Gives up what waits for channels that there are not. Blocks.
    pub fn abandon_strays(&self) -> Result<(), StoreError> {
        for channel in self.shared.store.waiting_channels()? {
            if self.shared.line(&channel).is_none() {
                let count = self.shared.store.abandon(&channel, REMOVED)?;
                tracing::warn!(
                    "{count} messages for the channel `{channel}`, which is not configured any more, \
                     are not delivered"
                );
            }
        }
        Ok(())
    }

    /// There are messages in the outbox for these channels. Returns whether all of them exist.
    pub fn wake<'a>(&self, channels: impl IntoIterator<Item = &'a str>) -> bool {
        let mut all = true;
        let mut woken = HashSet::new();
        for channel in channels {
            if woken.insert(channel) {
                match self.shared.line(channel) {
                    Some(line) => line.wake(),
                    None => all = false,
                }
            }
        }
        all
    }

    /// Delivers messages that are not on the disk. Returns how many there was no room for.
    pub fn send_loose<'a>(&self, messages: impl IntoIterator<Item = &'a Message>) -> usize {
        let mut left = 0;
        for message in messages {
            let taken = self.shared.loose().add(message);
            left += usize::from(!taken);
            self.shared.wake(&message.channel);
        }
        left
    }

    /// Messages that were delivered from memory are on the disk now. Returns what is to be noted of them.
    pub fn on_disk(&self, messages: &[Message]) -> Vec<Attempt> {
        let mut loose = self.shared.loose();
        if loose.is_empty() {
            return Vec::new();
        }
        loose.landed(&messages.iter().map(|message| message.key.as_str()).collect())
    }

    /// Sends a message past the outbox and waits for the answer; `None`: there is no such channel.
    pub async fn test(
        &self,
        channel: &str,
        message: impl FnOnce(Timestamp) -> Message,
    ) -> Option<(Result<Receipt, Failed>, Duration)> {
        let outlet = self.shared.line(channel)?.outlet();
        let (now, started) = (self.shared.now(), Instant::now());
        let (_, outcome) = worker::attempt(&outlet, &message(now), 1, None, now).await;
        Some((outcome, started.elapsed()))
    }

    /// How the channels are doing.
    pub fn health(&self) -> Vec<ChannelHealth> {
        self.shared.lines().iter().map(|line| line.health()).collect()
    }

    /// What is wrong with channels, one sentence each.
    pub fn troubles(&self) -> Vec<String> {
        let now = self.shared.now();
        let broken = |line: &Arc<Line>| {
            let vitals = line.vitals();
            let since = vitals.failing_since?;
            let for_long = Duration::try_from(now.duration_since(since)).unwrap_or_default();
            (for_long >= BROKEN_AFTER || vitals.count.dead > 0).then(|| {
                format!(
                    "notifications do not get through to the channel `{}`: {}",
                    line.name, vitals.error
                )
            })
        };
        self.shared.lines().iter().filter_map(broken).collect()
    }

    /// Ends the workers: what is on its way gets a grace, the rest stays in the outbox.
    pub async fn stop(&self) {
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        // They keep to it themselves; this is for the disk.
        tasks.stop(worker::GRACE * 2).await;
    }
}

#[cfg(test)]
mod tests;
