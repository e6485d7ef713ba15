//! Orders whose instance is away wait, and are tried again when the tree says that it is back. While none
//! waits nothing is looked at.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    ANSWER_LIMIT, Action, Author, Door, Given, Order, Orders, Outcome, Refusal, RefusalKind, State,
    What, Words, plain, said,
};
use crate::{
    config::Role,
    hub::Feed,
    store::StoredOrder,
    task::Stop,
    tree::{Presence, RemoteControl, View},
};

/// Between two looks at the tree, which in a large fleet changes all the time.
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// The longest sleep until the clock is looked at again, while an order waits: it may be set.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

impl Orders {
    /// Lets an order wait for its instance.
    pub(super) async fn wait_for(
        self: Arc<Orders>,
        order: &Order,
        wait: Duration,
        why: String,
    ) -> Given {
        let Some(mut stored) = self.stored(order, wait) else { return Given::Away(why) };
        stored.answer = plain(&why, super::told::MAX_KEPT_ANSWER);
        // Taken apart, so that the book is not held while the disk works.
        let taken = self.book().wait(stored.clone());
        if let Err(refusal) = taken {
            return Given::Refused(refusal);
        }
        self.keep(stored.clone()).await;
        Given::Waits(Box::new(stored))
    }

    /// Ends an order that waits, at the word of `author`.
    pub async fn cancel(&self, id: Uuid, author: &str) -> Result<StoredOrder, Refusal> {
        let answer = format!("cancelled by {author}");
        let cancelled = self.book().cancel(id, answer, Timestamp::now())?;
        self.keep(cancelled.clone()).await;
        Ok(cancelled)
    }

    /// Tries the orders that wait, again and again. Never ends by itself.
    pub(super) async fn keep_trying(self: Arc<Orders>, mut stop: Stop) {
        let mut feed: Option<Feed> = None;
        loop {
            for expired in self.expire() {
                self.ended(expired).await;
            }
            self.try_due();
            match self.count_waiting() {
                0 => feed = None,
                _ => feed = Some(feed.unwrap_or_else(|| self.hub.feed())),
            }
            tokio::select! {
                () = self.something(feed.as_ref()) => {}
                () = stop.wait() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_PAUSE) => {}
                () = stop.wait() => return,
            }
        }
    }

    fn expire(&self) -> Vec<StoredOrder> {
        self.book().expire(Timestamp::now())
    }

    /// Waits until there may be something to do.
    async fn something(&self, feed: Option<&Feed>) {
        let Some(feed) = feed else { return self.rethink.notified().await };
        // Everything that is in it was looked at.
        feed.take();
        let view = self.hub.view();
        let (attempt, expiry) =
            self.book().next(Instant::now(), |instance| is_there(&view, instance));
        drop(view);
        let expiry = expiry.map(|at| at.duration_since(Timestamp::now()));
        let expiry = expiry.map(|wait| Duration::try_from(wait).unwrap_or_default());
        let attempt = attempt.map(|at| at.saturating_duration_since(Instant::now()));
        let pause = expiry.into_iter().chain(attempt).min();
        let pause = pause.unwrap_or(LOOK_AT_CLOCK).min(LOOK_AT_CLOCK);
        tokio::select! {
            () = feed.urgent() => {}
            () = self.rethink.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    fn try_due(self: &Arc<Orders>) {
        let view = self.hub.view();
        let due = self.book().take_due(Instant::now(), |instance| is_there(&view, instance));
        for (stored, action) in due {
            let (orders, id) = (self.clone(), stored.id);
            let attempt = tokio::spawn(self.clone().try_again(stored, action));
            tokio::spawn(async move {
                if attempt.await.is_err() {
                    orders.put_off(id, super::BROKE_OFF.to_owned());
                }
            });
        }
    }

    async fn try_again(self: Arc<Orders>, stored: StoredOrder, action: Action) {
        let id = stored.id;
        let order = again(&stored, action);
        let outcome = match self.gate_of_http(&order) {
            Ok(()) => self.pass(order, Door::Api).await,
            Err(refusal) => Outcome::Refused(refusal),
        };
        let (state, answer) = match outcome {
            Outcome::Done(answer) => (State::Done, said(&answer)),
            Outcome::Refused(Refusal { kind: RefusalKind::Busy, why }) => {
                return self.put_off(id, why);
            }
            // It is not carried out twice, so what came of it is told then.
            Outcome::Refused(Refusal { kind: RefusalKind::Late, why })
                if self.remembers(stored.instance) =>
            {
                return self.put_off(id, why);
            }
            Outcome::Refused(Refusal { kind: RefusalKind::Late, why }) => {
                (State::Refused, format!("{why}; it may be done all the same"))
            }
            Outcome::Refused(Refusal { why, .. }) => (State::Refused, why),
            Outcome::Away(why) => return self.put_off(id, why),
        };
        let answer = plain(&answer, super::told::MAX_KEPT_ANSWER);
        let finished = self.book().finish(id, state, answer, Timestamp::now());
        if let Some(finished) = finished {
            self.ended(finished).await;
        }
    }

    /// Keeps what became of an order that has waited, and writes it to the audit log: whoever gave it has been
    /// told only that it waits.
    async fn ended(&self, stored: StoredOrder) {
        if let Some(action) = Words::of(&stored).action() {
            let outcome = match stored.state == State::Done.word() {
                true => stored.state.clone(),
                false => format!("refused: {}", stored.answer),
            };
            self.record(&again(&stored, action), None, outcome).await;
        }
        self.keep(stored).await;
    }

    /// Whether an instance knows the orders again that it is given: an original Wigo carries one out as
    /// often as it comes.
    fn remembers(&self, instance: Uuid) -> bool {
        let said = self.hub.read(|tree| tree.get(instance).map(|it| it.remote_control));
        said.is_some_and(|said| said != RemoteControl::Unknown)
    }

    fn put_off(&self, id: Uuid, why: String) {
        let why = plain(&why, super::told::MAX_KEPT_ANSWER);
        self.book().put_off(id, why, Instant::now());
        self.rethink.notify_one();
    }
}

/// An order that has waited, as it is given again.
fn again(stored: &StoredOrder, action: Action) -> Order {
    Order {
        id: stored.id,
        target: stored.instance,
        what: What::Do(stored.probe.clone(), action),
        author: Author {
            name: stored.author.clone(),
            // Only operators give orders that wait.
            role: Role::Operator,
            how: "order",
            address: stored.address.clone(),
            by_way_of: Vec::new(),
        },
        hops: 0,
        limit: ANSWER_LIMIT,
    }
}

fn is_there(view: &View, instance: Uuid) -> bool {
    view.get(instance).is_some_and(|found| view.presence(found) == Presence::Alive)
}
