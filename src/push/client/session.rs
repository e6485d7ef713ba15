//! One connection to a master, from the welcome to its end: everything first, then what changes, signs of
//! life in between, and the journal from where the master knows it.
//!
//! One message at a time: the next one is made when the master has answered, and says how things are
//! then. So a slow master or line gets fewer and not older news.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use uuid::Uuid;

use super::{
    LEAVE_LIMIT, Order, Reporter,
    account::{Part, parts_of},
    journal::{Batch, Cursor},
    pace::told,
};
use crate::{
    hub::Feed,
    orders::{Outcome, RefusalKind, Taker},
    push::protocol::{
        channel::{Agent, MasterClient, deadline},
        wire::{self, Farewell, News, Parting, Receipt},
    },
};
use tarpc::context::Context;

/// How long the master may take to answer.
const REPORT_LIMIT: Duration = Duration::from_secs(60);
/// How long news that are not urgent wait for others.
const SOON: Duration = Duration::from_secs(1);
/// How long urgent news wait for others: bursts become one message.
const AT_ONCE: Duration = Duration::from_millis(2);
/// The first pause before everything is told again; doubled with each until all of it was taken.
const RESYNC_PAUSE: Duration = Duration::from_millis(100);
/// The longest of these pauses; it is no longer than we may be silent either.
const MAX_RESYNC_PAUSE: Duration = Duration::from_secs(10);
/// The pause after the disk did not give the journal, or has not got it yet.
const JOURNAL_PAUSE: Duration = Duration::from_secs(1);

/// How a session ended.
#[derive(Debug)]
pub enum Ending {
    /// As we were told.
    Left,
    /// The master sent us away.
    Closed(Farewell),
    /// It broke, for this reason.
    Lost(String),
}

/// What the master tells us on a connection.
#[derive(Clone)]
pub struct Told {
    /// That the connection ends.
    pub farewell: watch::Sender<Option<Farewell>>,
    /// Who carries out orders.
    pub orders: Arc<dyn Taker>,
}

impl Agent for Told {
    async fn ping(self, _: Context) {}

    async fn close(self, _: Context, farewell: Farewell) {
        self.farewell.send_replace(Some(farewell));
    }

    async fn order(self, _: Context, order: wire::Order) -> wire::Outcome {
        let outcome = match order.checked() {
            Ok(order) => self.orders.take(order).await,
            Err(why) => Outcome::Refused(RefusalKind::Invalid.because(why)),
        };
        outcome.into()
    }
}

/// Reports to one master.
pub struct Session {
    client: MasterClient,
    feed: Feed,
    hub: Arc<crate::hub::Hub>,
    master: Uuid,
    cursor: Cursor,
    /// The longest silence.
    heartbeat: Duration,
    sequence: u64,
    /// Instances that the master knows from us.
    told: BTreeSet<Uuid>,
    /// What is still to be sent of the present report.
    parts: VecDeque<Part>,
    /// No entries before.
    journal_from: Instant,
    /// The master has missed something.
    resync: bool,
    /// How often in a row.
    resyncs: u32,
}

/// What makes us send.
enum Cause {
    News,
    Heartbeat,
    Order,
}

impl Session {
    /// `master` is its uuid; `position` and `heartbeat` are what it said in its welcome.
    pub fn new(
        reporter: &Reporter,
        client: MasterClient,
        master: Uuid,
        name: String,
        position: Option<u64>,
        heartbeat: Duration,
    ) -> Session {
        let hub = reporter.hub.clone();
        Session {
            client,
            // Everything that happens from here on is in it.
            feed: hub.feed(),
            cursor: Cursor::new(hub.clone(), reporter.past.clone(), name, position),
            hub,
            master,
            heartbeat,
            sequence: 0,
            told: BTreeSet::new(),
            parts: VecDeque::new(),
            journal_from: Instant::now(),
            resync: false,
            resyncs: 0,
        }
    }

    /// Reports until `orders` say otherwise, or a call fails.
    pub(super) async fn run(mut self, mut orders: watch::Receiver<Order>) -> Ending {
        loop {
            match self.send().await {
                Ok(()) => {}
                Err(why) => return Ending::Lost(why),
            }
            let order = *orders.borrow_and_update();
            if let Order::Leave(parting) = order {
                return self.leave(parting).await;
            }
            if self.resync {
                tokio::select! {
                    () = tokio::time::sleep(resync_pause(self.resyncs).min(self.heartbeat)) => {}
                    Ok(()) = orders.changed() => {}
                }
                continue;
            }
            if !self.parts.is_empty() || self.may_tell_journal() {
                continue;
            }
            if let Cause::Order = self.wait(&mut orders).await {
                continue;
            }
        }
    }

    async fn leave(self, parting: Parting) -> Ending {
        let said = self.client.leave(deadline(LEAVE_LIMIT), parting);
        let _ = timeout(LEAVE_LIMIT, said).await;
        Ending::Left
    }

    fn may_tell_journal(&self) -> bool {
        self.cursor.is_behind() && Instant::now() >= self.journal_from
    }

    /// Waits for a reason to send.
    async fn wait(&mut self, orders: &mut watch::Receiver<Order>) -> Cause {
        let heartbeat = Instant::now() + self.heartbeat;
        let journal = self.cursor.is_behind().then_some(self.journal_from);
        let mut due = journal.map_or(heartbeat, |journal| journal.min(heartbeat));
        let paused = journal.is_some();
        loop {
            tokio::select! {
                () = self.feed.urgent() => {
                    tokio::time::sleep(AT_ONCE).await;
                    return Cause::News;
                }
                () = self.feed.soon() => due = due.min(Instant::now() + SOON),
                () = self.cursor.more(), if !paused => return Cause::News,
                () = sleep_until(due) => return Cause::Heartbeat,
                changed = orders.changed() => {
                    // Nobody is left who could order otherwise.
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                    return Cause::Order;
                }
            }
        }
    }

    /// Sends what is new: the next part of the state, and when there is none left, of the journal.
    async fn send(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.resync) {
            self.feed = self.hub.feed();
            self.parts.clear();
        }
        if self.parts.is_empty() {
            let dirty = self.feed.take();
            let view = self.hub.view();
            self.parts = parts_of(&view, &dirty, self.master, &mut self.told).into();
        }
        let report = self.parts.pop_front();
        // How things are goes before how they came about.
        let batch = match self.parts.is_empty() && self.may_tell_journal() {
            true => self.next_entries().await,
            false => Batch::default(),
        };
        self.sequence += 1;
        let news = News {
            sequence: self.sequence,
            report: report.map(Box::new),
            entries: batch.entries,
            position: batch.position,
        };
        let receipt = self.client.report(deadline(REPORT_LIMIT), news).await;
        match receipt.map_err(|error| format!("the master did not answer: {error}"))? {
            Receipt::Taken => {
                self.cursor.advance(batch.position);
                if self.parts.is_empty() {
                    self.resyncs = 0;
                }
            }
            Receipt::Resync => {
                self.resync = true;
                self.resyncs += 1;
            }
            Receipt::Slow { pause_ms } => {
                self.journal_from = Instant::now() + told(pause_ms);
            }
        }
        Ok(())
    }

    async fn next_entries(&mut self) -> Batch {
        let batch = self.cursor.next().await.unwrap_or_else(|why| {
            tracing::warn!("the log cannot be told to the master for now: {why}");
            Batch::default()
        });
        if batch.position.is_none() {
            self.journal_from = Instant::now() + JOURNAL_PAUSE;
        }
        batch
    }
}

/// The pause before everything is told again for the `times`th time in a row.
fn resync_pause(times: u32) -> Duration {
    let doubled = 1 << times.saturating_sub(1).min(16);
    RESYNC_PAUSE.saturating_mul(doubled).min(MAX_RESYNC_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_told_again_ever_more_rarely() {
        let pauses = [1, 2, 3, 8, u32::MAX].map(|times| resync_pause(times).as_millis());
        assert_eq!(pauses, [100, 200, 400, 10_000, 10_000]);
    }
}
