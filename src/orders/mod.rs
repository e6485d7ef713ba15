//! Orders: people change probes, here and on any instance below, at any depth.
//!
//! An order goes down one link after the other, over a push channel or over HTTP, to the instance that it is
//! for, which alone carries it out. Each instance on the way says itself whether it lets it pass. What is
//! changed waits here if the way is not there, and is tried again when it is.
//!
//! - `order`: what can be ordered, and what comes of it. `schedule`: what runs when, as it is told
//! - `here`: what is done on this host
//! - `book`: orders that wait, and those that were carried out
//! - `waiting`: tries those that wait again
//! - `quota`: how much may be done at once

mod book;
mod here;
mod order;
mod quota;
mod schedule;
mod waiting;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use uuid::Uuid;

pub use book::{State, Words};
pub use order::{
    ANSWER_LIMIT, Action, Answer, Author, MAX_AUTHOR, MAX_DISABLED_FOR, MAX_HOPS, MAX_REASON,
    Order, Outcome, Refusal, RefusalKind, What, plain,
};
pub use schedule::{DisableRecord, NotRun, Schedule, ScheduledProbe};

use crate::{
    config::{Config, Role},
    hub::Hub,
    probe::{pool::Pool, watch::Bell},
    store::{OrderStore, StoredOrder},
    task::Tasks,
    tree::{Contact, Event, ProbeName},
};
use book::Book;
use here::Here;
use quota::Quota;

/// How long an order may wait for an instance: at least, at most.
pub const MAY_WAIT: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(7 * 24 * 3600);
/// How much sooner than whoever asks an instance must have the answer of the next one.
const HOP: Duration = Duration::from_millis(250);
/// With a request between instances: the order's id, the instances passed, the milliseconds left, with
/// `;` between them. Then nothing waits: whoever asks tries again.
pub const ORDER_HEADER: &str = "x-wigo-order";
/// With such a request: who gave the order, percent-encoded.
pub const AUTHOR_HEADER: &str = "x-wigo-author";
/// With its answer: what came of it, where the status code does not say it.
pub const OUTCOME_HEADER: &str = "x-wigo-outcome";
/// The value of [`OUTCOME_HEADER`] when the way is not there.
pub const AWAY: &str = "away";
/// Longest answer that is kept, in characters.
const MAX_KEPT_ANSWER: usize = 500;
/// The least time for an answer that is worth asking for.
const MIN_LIMIT: Duration = Duration::from_millis(50);

/// The way to the instances directly below.
pub trait Way: Send + Sync + 'static {
    /// Hands an order to the instance at `link`, for itself or for one below it.
    fn send(&self, link: Link, order: Order) -> BoxFuture<'static, Outcome>;
}

/// Who carries out what a master orders.
pub trait Taker: Send + Sync + 'static {
    /// Carries it out, or hands it on.
    fn take(&self, order: Order) -> BoxFuture<'static, Outcome>;
}

impl Taker for Arc<Orders> {
    fn take(&self, order: Order) -> BoxFuture<'static, Outcome> {
        Box::pin(Orders::take(self.clone(), order))
    }
}

/// Carries nothing out.
pub struct NoOrders;

impl Taker for NoOrders {
    fn take(&self, _: Order) -> BoxFuture<'static, Outcome> {
        let why = RefusalKind::Unsupported.because("orders are not taken here");
        Box::pin(async { Outcome::Refused(why) })
    }
}

/// An instance directly below.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub uuid: Uuid,
    /// The name of its host, for messages.
    pub name: String,
    pub contact: Contact,
}

/// The ways that there are.
pub struct Ways {
    /// To push clients; `None` where none are taken.
    pub push: Option<Arc<dyn Way>>,
    /// To those that are asked over HTTP.
    pub pull: Arc<dyn Way>,
}

/// What a change by an order was, for the audit log of this instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub at: Timestamp,
    pub author: Author,
    /// What, such as `probe.disable`.
    pub action: &'static str,
    /// On what: `host/probe`.
    pub target: String,
    pub detail: Value,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// `done`, or `refused: ` and why.
    pub outcome: String,
}

/// Where records go.
pub trait Recorder: Send + Sync + 'static {
    /// Keeps it. May block.
    fn record(&self, record: Record);
}

/// What became of an order that was given here.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    Done(Answer),
    Refused(Refusal),
    /// The instance is away, and the order waits for it.
    Waits(StoredOrder),
    /// The instance is away, and the order does not wait.
    Away(String),
}

/// Counters that grow when something changes.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Orders.
    pub orders: watch::Receiver<u64>,
    /// Probes of this host that are switched off.
    pub disabled: watch::Receiver<u64>,
}

/// Gives orders, and carries out those for this instance.
pub struct Orders {
    hub: Arc<Hub>,
    config: Arc<ArcSwap<Config>>,
    store: OrderStore,
    here: Arc<Here>,
    book: Mutex<Book>,
    /// Orders that are being carried out here, and what comes of them.
    begun: Mutex<HashMap<Uuid, watch::Receiver<Option<Outcome>>>>,
    quota: Quota,
    ways: OnceLock<Ways>,
    recorder: OnceLock<Arc<dyn Recorder>>,
    changed: watch::Sender<u64>,
    /// There may be something to try, or another order expires next.
    rethink: Notify,
}

impl Orders {
    /// Reads what was known before. Blocks.
    pub fn open(
        hub: Arc<Hub>,
        pool: Arc<Pool>,
        config: Arc<ArcSwap<Config>>,
        store: OrderStore,
    ) -> Arc<Orders> {
        let stored = store.orders().unwrap_or_else(|error| {
            let error = anyhow::Error::from(error);
            tracing::warn!("the orders that wait are not known: {error:#}");
            Vec::new()
        });
        let (book, broken) = Book::load(stored, Timestamp::now());
        for order in broken {
            if let Err(error) = store.put_order(&order) {
                let error = anyhow::Error::from(error);
                tracing::warn!("what became of the order `{}` is not stored: {error:#}", order.id);
            }
        }
        let here = Here::open(hub.clone(), pool, config.clone(), store.clone());
        let orders = Orders {
            hub,
            config,
            store,
            here: Arc::new(here),
            book: Mutex::new(book),
            begun: Mutex::default(),
            quota: Quota::default(),
            ways: OnceLock::new(),
            recorder: OnceLock::new(),
            changed: watch::channel(0).0,
            rethink: Notify::new(),
        };
        Arc::new(orders)
    }

    /// Connects what was not there yet when this was opened, and begins. Call it on the runtime, once.
    pub fn start(self: &Arc<Orders>, bell: Bell, ways: Ways, tasks: &mut Tasks) {
        self.here.watched(bell);
        let _ = self.ways.set(ways); // once
        let (here, orders) = (self.here.clone(), self.clone());
        tasks.spawn("disabled probes", |stop| here.bring_back(stop));
        tasks.spawn("orders", |stop| orders.keep_trying(stop));
    }

    /// Lets what is done and refused here be kept in the audit log. Once.
    pub fn record_with(&self, recorder: Arc<dyn Recorder>) {
        let _ = self.recorder.set(recorder); // once
    }

    /// The pool knows what is in the folders now. Blocks.
    pub fn catalog_changed(&self) {
        self.here.catalog_changed();
    }

    /// For who shows orders or disabled probes.
    pub fn changes(&self) -> Changes {
        Changes { orders: self.changed.subscribe(), disabled: self.here.switched.subscribe() }
    }

    /// How many orders wait.
    pub fn count_waiting(&self) -> usize {
        self.book().count_waiting()
    }

    /// The orders that wait and those that were finished lately, the newest first.
    pub fn list(&self) -> Vec<StoredOrder> {
        self.book().list(Timestamp::now())
    }

    /// The schedule of this host.
    pub fn schedule(&self) -> Schedule {
        self.here.schedule()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Receiver<Option<Outcome>>>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name_here(&self) -> String {
        self.hub.read(|tree| tree.me().host.name.clone())
    }

    /// An order that comes in over this instance's API. If the instance that it is for is away it waits
    /// for `wait`, where that is given and it changes something.
    pub async fn give(self: &Arc<Orders>, order: Order, wait: Option<Duration>) -> Given {
        if let Err(refusal) = self.gate_of_http(&order) {
            self.refused(&order, &refusal);
            return Given::Refused(refusal);
        }
        let outcome = self.pass(order.clone()).await;
        let is_here = self.hub.read(|tree| tree.me().uuid == order.target);
        match (outcome, wait) {
            (Outcome::Away(why), Some(wait)) if order.changes() => {
                self.clone().wait_for(&order, wait, why).await
            }
            (Outcome::Away(why), _) => Given::Away(why),
            (Outcome::Done(answer), _) => {
                if !is_here && order.changes() {
                    self.note(&order, State::Done, said(&answer)).await;
                }
                Given::Done(answer)
            }
            (Outcome::Refused(refusal), _) => {
                if !is_here && order.changes() {
                    self.note(&order, State::Refused, refusal.why.clone()).await;
                }
                Given::Refused(refusal)
            }
        }
    }

    /// An order that comes in over the push channel of a master.
    pub async fn take(self: Arc<Orders>, order: Order) -> Outcome {
        if let Err(refusal) = self.gate_of_push(&order) {
            self.refused(&order, &refusal);
            return Outcome::Refused(refusal);
        }
        self.pass(order).await
    }

    fn gate_of_http(&self, order: &Order) -> Result<(), Refusal> {
        if order.changes() && !self.config.load().http.allow_write_actions {
            let why = format!(
                "`{}` takes no changes of probes over its API: set AllowWriteActions in [Http] there",
                self.name_here()
            );
            return Err(RefusalKind::Forbidden.because(why));
        }
        Ok(())
    }

    fn gate_of_push(&self, order: &Order) -> Result<(), Refusal> {
        let name = || self.name_here();
        if !self.quota.one_more_of_a_master() {
            let why = format!("`{}` is given too many orders: try again in a minute", name());
            return Err(RefusalKind::Busy.because(why));
        }
        if !order.changes() {
            return Ok(());
        }
        if !self.config.load().push_client.allow_remote_control {
            let why = format!(
                "`{}` takes no orders from the instances that it pushes to: set AllowRemoteControl in \
                 [PushClient] there",
                name()
            );
            return Err(RefusalKind::Forbidden.because(why));
        }
        if order.author.role < Role::Operator {
            let why = format!("`{}` takes orders of operators only", name());
            return Err(RefusalKind::Forbidden.because(why));
        }
        Ok(())
    }

    /// Carries an order out if it is for this instance, or hands it on.
    async fn pass(self: &Arc<Orders>, order: Order) -> Outcome {
        let found = self.hub.read(|tree| {
            let target = tree.get(order.target)?;
            let link = tree.get(target.via)?;
            let contact = link.contact.as_deref().cloned();
            Some((tree.me().uuid == target.uuid, link.uuid, link.host.name.clone(), contact))
        });
        match found {
            None => {
                let why = format!("`{}` knows no instance {}", self.name_here(), order.target);
                Outcome::Refused(RefusalKind::Unknown.because(why))
            }
            Some((true, ..)) => self.here(order).await,
            Some((false, uuid, name, Some(contact))) => {
                self.hand_on(Link { uuid, name, contact }, order).await
            }
            Some((false, _, name, None)) => Outcome::Away(format!("`{name}` was not heard yet")),
        }
    }

    async fn hand_on(&self, link: Link, mut order: Order) -> Outcome {
        if order.hops >= MAX_HOPS || order.limit < MIN_LIMIT {
            let why = format!("the way is longer than {MAX_HOPS} instances, or takes too long");
            return Outcome::Refused(RefusalKind::Late.because(why));
        }
        let Some(_place) = self.quota.enter(link.uuid) else {
            let why = format!("`{}` works on other orders: try again soon", link.name);
            return Outcome::Refused(RefusalKind::Busy.because(why));
        };
        let limit = order.limit;
        order.hops += 1;
        order.limit = limit.saturating_sub(HOP);
        order.author.by_way_of.push(self.name_here());
        let way = self.ways.get().and_then(|ways| match link.contact {
            Contact::Push { .. } => ways.push.as_ref(),
            Contact::Pull { .. } => Some(&ways.pull),
        });
        let Some(way) = way else { return Outcome::Away("this instance is just starting".into()) };
        let name = link.name.clone();
        timeout(limit, way.send(link, order)).await.unwrap_or_else(|_| {
            let why = format!(
                "no answer of `{name}` within {} s: its log will tell whether it was done",
                limit.as_secs()
            );
            Outcome::Refused(RefusalKind::Late.because(why))
        })
    }

    /// An order for this instance.
    async fn here(self: &Arc<Orders>, order: Order) -> Outcome {
        let What::Do(probe, action) = order.what.clone() else {
            return Outcome::Done(Answer::Schedule(Box::new(self.here.schedule())));
        };
        let mut told = {
            let mut begun = self.begun();
            match (begun.get(&order.id), self.book().get(order.id)) {
                (Some(told), _) => told.clone(),
                (None, Some(known)) => return self.again(known, &probe, &action),
                (None, None) => {
                    let (tell, told) = watch::channel(None);
                    begun.insert(order.id, told.clone());
                    // It goes on although whoever asked may be gone.
                    tokio::spawn(self.clone().carry_out(order, probe, action, tell));
                    told
                }
            }
        };
        let outcome = told.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
        let broken = || RefusalKind::Failed.because("it broke off: please report this");
        outcome.unwrap_or_else(|| Outcome::Refused(broken()))
    }

    /// The answer to an order that was carried out before.
    fn again(&self, known: &StoredOrder, probe: &ProbeName, action: &Action) -> Outcome {
        let conflict = |why: &str| Outcome::Refused(RefusalKind::Conflict.because(why));
        if known.probe != *probe || known.what != Words::json(action) {
            return conflict("another order had the same id");
        }
        if known.state != State::Done.word() {
            return conflict(&known.answer);
        }
        let schedule = || Answer::Schedule(Box::new(self.here.schedule()));
        let result = if *action == Action::Run { self.here.result(probe) } else { None };
        Outcome::Done(result.unwrap_or_else(schedule))
    }

    async fn carry_out(
        self: Arc<Orders>,
        order: Order,
        probe: ProbeName,
        action: Action,
        tell: watch::Sender<Option<Outcome>>,
    ) {
        // That it was begun is on the disk before, that it is done before anybody is told.
        self.note(&order, State::Begun, String::new()).await;
        let before = self.interval(&probe);
        let author = order.author.to_string();
        let limit = order.limit.saturating_sub(HOP);
        let done = self.here.carry_out(&probe, &action, &author, limit).await;
        let state = if done.is_ok() { State::Done } else { State::Refused };
        let answer = match &done {
            Ok(answer) => said(answer),
            Err(refusal) => refusal.why.clone(),
        };
        self.note(&order, state, answer).await;
        let outcome = match done {
            Ok(answer) => {
                let message = format!("{author} {}", action.done());
                tracing::info!("probe `{probe}`: {message}");
                self.hub.handle(Event::Ordered { probe: Some(probe.clone()), message });
                self.record(&order, &probe, &action, before, "done".to_owned());
                Outcome::Done(answer)
            }
            Err(refusal) => {
                self.refused(&order, &refusal);
                Outcome::Refused(refusal)
            }
        };
        // From here on it is the book that knows it.
        tell.send_replace(Some(outcome));
        self.begun().remove(&order.id);
    }

    fn interval(&self, probe: &ProbeName) -> Value {
        let seconds = self.here.interval(probe);
        json!({ "Interval": seconds })
    }

    /// Writes down here that an order was refused here.
    fn refused(&self, order: &Order, refusal: &Refusal) {
        let What::Do(probe, action) = &order.what else { return };
        let Order { author, target, .. } = order;
        let me = self.hub.read(|tree| tree.me().uuid);
        let (own, on) = match me == *target {
            true => (Some(probe.clone()), String::new()),
            false => (None, format!(" for the probe `{probe}` of {target}")),
        };
        let message = format!("refused to {author}: {}{on}: {}", action.word(), refusal.why);
        tracing::info!("{message}");
        if self.quota.one_more_refusal() {
            self.hub.handle(Event::Ordered { probe: own, message });
            self.record(order, probe, action, Value::Null, format!("refused: {}", refusal.why));
        }
    }

    fn record(
        &self,
        order: &Order,
        probe: &ProbeName,
        action: &Action,
        before: Value,
        outcome: String,
    ) {
        let Some(recorder) = self.recorder.get().cloned() else { return };
        let host = self.hub.read(|tree| tree.get(order.target).map(|it| it.host.name.clone()));
        let after = (outcome == "done").then(|| self.interval(probe));
        let record = Record {
            at: Timestamp::now(),
            author: order.author.clone(),
            action: match action {
                Action::Disable { .. } => "probe.disable",
                Action::Interval { .. } => "probe.interval",
                Action::Run => "probe.run",
            },
            target: format!("{}/{probe}", host.unwrap_or_else(|| order.target.to_string())),
            detail: serde_json::from_str(&Words::json(action)).unwrap_or_default(),
            before: Some(before).filter(|before| !before.is_null()),
            after,
            outcome,
        };
        tokio::task::spawn_blocking(move || recorder.record(record));
    }

    /// Keeps how an order is doing, in memory and on the disk.
    async fn note(&self, order: &Order, state: State, answer: String) {
        let Some(mut stored) = self.stored(order, ANSWER_LIMIT) else { return };
        stored.state = state.word().to_owned();
        stored.finished = (state != State::Begun).then(Timestamp::now);
        stored.answer = plain(&answer, MAX_KEPT_ANSWER);
        self.book().note(stored.clone());
        self.keep(stored).await;
    }

    /// Writes an order to the database.
    async fn keep(&self, stored: StoredOrder) {
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

    fn stored(&self, order: &Order, wait: Duration) -> Option<StoredOrder> {
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

/// What came of an order, in a few words.
fn said(answer: &Answer) -> String {
    match answer {
        Answer::Schedule(_) => "done".to_owned(),
        Answer::Result(probe) => {
            let result = &probe.result;
            format!("{}: {}", result.status.number(), result.message)
        }
        Answer::Accepted(words) => words.clone(),
    }
}

#[cfg(test)]
mod tests;
