//! What is kept and said of orders: in the book and the database, in the log of the host, in the audit log.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    ANSWER_LIMIT, Action, Answer, Author, Order, Orders, Record, Refusal, What,
    book::{State, Words},
    plain,
};
use crate::{
    store::StoredOrder,
    tree::{Event, ProbeName},
};

/// Longest answer that is kept, in characters.
pub(super) const MAX_KEPT_ANSWER: usize = 500;

impl Orders {
    /// How a probe runs that is to be changed, as far as that is known here, for the audit log.
    pub fn before(&self, target: Uuid, probe: &ProbeName, action: &Action) -> Option<Value> {
        if *action == Action::Run {
            return None;
        }
        let interval = self.hub.read(|tree| {
            if tree.me().uuid == target {
                return Some(self.here.interval(probe));
            }
            let host = &tree.get(target)?.host;
            let runs = host.probes.get(probe).map(|probe| Some(probe.result.interval));
            runs.or_else(|| host.disabled.contains_key(probe).then_some(None))
        });
        interval.map(|seconds| json!({ "Interval": seconds }))
    }

    /// The name of an instance and that of a probe of it, for the audit log.
    pub fn target(&self, instance: Uuid, probe: &str) -> String {
        let host = self.hub.read(|tree| tree.get(instance).map(|it| it.host.name.clone()));
        format!("{}/{probe}", host.unwrap_or_else(|| instance.to_string()))
    }

    /// Says in the log that an order was refused here. Returns whether there is room for more of that.
    pub(super) fn refused(&self, order: &Order, refusal: &Refusal) -> bool {
        let What::Do(probe, action) = &order.what else { return false };
        let Order { author, target, .. } = order;
        let me = self.hub.read(|tree| tree.me().uuid);
        let (own, on) = match me == *target {
            true => (Some(probe.clone()), String::new()),
            false => (None, format!(" for the probe `{probe}` of {target}")),
        };
        let message = format!("refused to {author}: {}{on}: {}", action.word(), refusal.why);
        tracing::info!("{message}");
        let has_room = self.quota.one_more_refusal();
        if has_room {
            self.hub.handle(Event::Ordered { probe: own, message });
        }
        has_room
    }

    /// Writes to the audit log what came of an order that nobody asks this instance for just now.
    pub(super) async fn record(&self, order: &Order, before: Option<Value>, outcome: String) {
        let What::Do(probe, action) = &order.what else { return };
        let Some(recorder) = self.recorder.get().cloned() else { return };
        let is_done = outcome == State::Done.word();
        let mut detail = action.detail(order.id);
        if !order.author.by_way_of.is_empty() {
            detail["ByWayOf"] = order.author.by_way_of.join(", ").into();
        }
        let record = Record {
            at: Timestamp::now(),
            author: order.author.clone(),
            action: action.audited(),
            target: self.target(order.target, probe.as_str()),
            detail,
            before,
            after: if is_done { action.after() } else { None },
            outcome,
        };
        // It is written before anybody is told what came of it.
        let _ = tokio::task::spawn_blocking(move || recorder.record(record)).await;
    }

    /// Keeps how an order is doing, in memory and on the disk.
    pub(super) async fn note(&self, order: &Order, state: State, answer: String) {
        let Some(mut stored) = self.stored(order, ANSWER_LIMIT) else { return };
        stored.state = state.word().to_owned();
        stored.finished = (state != State::Begun).then(Timestamp::now);
        stored.answer = plain(&answer, MAX_KEPT_ANSWER);
        self.book().note(stored.clone());
        self.keep(stored).await;
    }

    /// Forgets an order that was begun here, in memory and on the disk.
    pub(super) async fn forget(&self, id: Uuid) {
        self.book().forget(id);
        let store = self.store.clone();
        let removed = tokio::task::spawn_blocking(move || store.remove_order(id)).await;
        if let Ok(Err(error)) = removed {
            let error = anyhow::Error::from(error);
            tracing::warn!("that the order `{id}` was not carried out is not stored: {error:#}");
        }
    }

    /// Writes an order to the database.
    pub(super) async fn keep(&self, stored: StoredOrder) {
        let (store, id) = (self.store.clone(), stored.id);
        let is_finished = stored.finished.is_some();
        let cutoff = self.book().cutoff(Timestamp::now());
        let written = tokio::task::spawn_blocking(move || {
            store.put_order(&stored)?;
            if is_finished { store.purge_orders(cutoff) } else { Ok(()) }
        });
        if let Ok(Err(error)) = written.await {
            let error = anyhow::Error::from(error);
            tracing::warn!("how the order `{id}` is doing is not stored: {error:#}");
        }
        self.changed.send_modify(|count| *count += 1);
        self.rethink.notify_one();
    }

    pub(super) fn stored(&self, order: &Order, wait: Duration) -> Option<StoredOrder> {
        let What::Do(probe, action) = &order.what else { return None };
        let host = self.hub.read(|tree| tree.get(order.target).map(|it| it.host.name.clone()));
        let created = Timestamp::now();
        let wait = SignedDuration::try_from(wait).unwrap_or_default();
        let Author { name, address, by_way_of, .. } = &order.author;
        let way = if by_way_of.is_empty() { "" } else { " by way of " };
        Some(StoredOrder {
            id: order.id,
            instance: order.target,
            host: host.unwrap_or_default(),
            probe: probe.clone(),
            what: Words::json(action),
            author: format!("{name}{way}{}", by_way_of.join(", ")),
            address: address.clone(),
            created,
            expires: created.checked_add(wait).unwrap_or(created),
            state: State::Waiting.word().to_owned(),
            finished: None,
            answer: String::new(),
        })
    }
}

/// A refusal, for the audit log.
pub(super) fn outcome_of(refusal: &Refusal) -> String {
    format!("refused: {}", refusal.why)
}

/// What came of an order, in a few words.
pub(super) fn said(answer: &Answer) -> String {
    match answer {
        Answer::Schedule(_) => "done".to_owned(),
        Answer::Result(probe) => {
            let result = &probe.result;
            format!("{}: {}", result.status.number(), result.message)
        }
        Answer::Accepted(words) => words.clone(),
    }
}
