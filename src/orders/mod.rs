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
//! - `route`: which way an order goes, and who lets it pass. `ways`: what it can go by
//! - `told`: what is kept and said of orders
//! - `quota`: how much may be done at once

mod book;
mod here;
mod order;
mod quota;
mod route;
mod schedule;
mod told;
mod waiting;
mod ways;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use uuid::Uuid;

use self::told::{outcome_of, said};
pub use book::{State, Words};
pub use order::{
    ANSWER_LIMIT, Action, Answer, Author, MAX_AUTHOR, MAX_DISABLED_FOR, MAX_HOPS, MAX_REASON,
    Order, Outcome, Refusal, RefusalKind, What, plain,
};
pub use schedule::{DisableRecord, NotRun, Schedule, ScheduledProbe};
pub use ways::{
    AUTHOR_HEADER, AWAY, Link, NoOrders, ORDER_HEADER, OUTCOME_HEADER, Record, Recorder, Taker,
    Way, Ways,
};

use crate::{
    config::Config,
    hub::Hub,
    probe::{pool::Pool, watch::Bell},
    store::{OrderStore, StoredOrder},
    task::Tasks,
    tree::{Event, ProbeName},
};
use book::Book;
use here::Here;
use quota::Quota;
use route::HOP;

/// How long an order may wait for an instance: at least, at most.
pub const MAY_WAIT: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(7 * 24 * 3600);
/// The answer where a task did not come to its end.
const BROKE_OFF: &str = "it broke off: please report this";

/// What became of an order that was given here.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    Done(Answer),
    Refused(Refusal),
    /// The instance is away, and the order waits for it.
    Waits(Box<StoredOrder>),
    /// The instance is away, and the order does not wait.
    Away(String),
}

/// By which way an order comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Over this instance's API, which writes down itself what was asked for and what came of it.
    Api,
    /// Over the push channel of a master.
    Push,
}

/// What comes of an order that is being carried out.
type Told = watch::Receiver<Option<Outcome>>;

/// Gives orders, and carries out those for this instance.
pub struct Orders {
    hub: Arc<Hub>,
    config: Arc<ArcSwap<Config>>,
    store: OrderStore,
    here: Arc<Here>,
    book: Mutex<Book>,
    /// Orders that are being carried out here, and what comes of them.
    begun: Mutex<HashMap<Uuid, Told>>,
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

    /// Lets what came of orders that nobody asks this instance for just now be kept in the audit log. Once.
    pub fn record_with(&self, recorder: Arc<dyn Recorder>) {
        let _ = self.recorder.set(recorder); // once
    }

    /// The pool knows what is in the folders now. Blocks.
    pub fn catalog_changed(&self) {
        self.here.catalog_changed();
    }

    /// A counter that grows when an order gets into another state.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
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

    fn begun(&self) -> MutexGuard<'_, HashMap<Uuid, Told>> {
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
        let outcome = self.pass(order.clone(), Door::Api).await;
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
            if self.refused(&order, &refusal) {
                self.record(&order, None, outcome_of(&refusal)).await;
            }
            return Outcome::Refused(refusal);
        }
        self.pass(order, Door::Push).await
    }

    /// An order for this instance.
    async fn here(self: &Arc<Orders>, order: Order, door: Door) -> Outcome {
        let What::Do(probe, action) = order.what.clone() else {
            return Outcome::Done(Answer::Schedule(Box::new(self.here.schedule())));
        };
        let limit = order.limit.saturating_sub(HOP);
        let mut told = match self.begin(order, door, &probe, &action) {
            Ok(told) => told,
            Err(known) => return self.again(&known, &probe, &action),
        };
        let told = match timeout(limit, told.wait_for(Option::is_some)).await {
            Ok(told) => told.ok().and_then(|told| told.clone()),
            // It goes on; the same order, tried again, gets its answer.
            Err(_) => {
                let why = format!(
                    "it has not ended within {} s: what comes of it will be seen when it has",
                    limit.as_secs()
                );
                Some(Outcome::Refused(RefusalKind::Late.because(why)))
            }
        };
        told.unwrap_or_else(broke_off)
    }

    /// Sees to it that an order for this instance is carried out, once; what comes of it is told there.
    /// Fails for one that was carried out before.
    fn begin(
        self: &Arc<Orders>,
        order: Order,
        door: Door,
        probe: &ProbeName,
        action: &Action,
    ) -> Result<Told, Box<StoredOrder>> {
        // Held for both looks: what ends in between is in the book before it is not begun any more.
        let mut begun = self.begun();
        if let Some(told) = begun.get(&order.id) {
            return Ok(told.clone());
        }
        if let Some(known) = self.book().get(order.id) {
            return Err(Box::new(known.clone()));
        }
        let (tell, told) = watch::channel(None);
        begun.insert(order.id, told.clone());
        drop(begun);
        let (orders, probe, action) = (self.clone(), probe.clone(), action.clone());
        // It goes on although whoever asked may be gone.
        tokio::spawn(async move {
            // A task of its own, so that its end is seen however it ends.
            let work = tokio::spawn(orders.clone().carry_out(order.clone(), door, probe, action));
            let outcome = match work.await {
                Ok(outcome) => outcome,
                Err(_) => {
                    orders.note(&order, State::Refused, BROKE_OFF.to_owned()).await;
                    broke_off()
                }
            };
            tell.send_replace(Some(outcome));
            // From here on it is the book that knows it.
            orders.begun().remove(&order.id);
        });
        Ok(told)
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
        door: Door,
        probe: ProbeName,
        action: Action,
    ) -> Outcome {
        // That it was begun is on the disk before, that it is done before anybody is told.
        self.note(&order, State::Begun, String::new()).await;
        let before = self.before(order.target, &probe, &action);
        let author = order.author.to_string();
        let done = self.here.carry_out(&probe, &action, &author).await;
        let state = if done.is_ok() { State::Done } else { State::Refused };
        let answer = match &done {
            Ok(answer) => said(answer),
            Err(refusal) => refusal.why.clone(),
        };
        match &done {
            // Nothing was done: tried again, it may be.
            Err(Refusal { kind: RefusalKind::Busy, .. }) => self.forget(order.id).await,
            _ => self.note(&order, state, answer).await,
        }
        match done {
            Ok(answer) => {
                let message = format!("{author} {}", action.done());
                tracing::info!("probe `{probe}`: {message}");
                self.hub.handle(Event::Ordered { probe: Some(probe.clone()), message });
                if door == Door::Push {
                    self.record(&order, before, State::Done.word().to_owned()).await;
                }
                Outcome::Done(answer)
            }
            Err(refusal) => {
                if self.refused(&order, &refusal) && door == Door::Push {
                    self.record(&order, before, outcome_of(&refusal)).await;
                }
                Outcome::Refused(refusal)
            }
        }
    }
}

fn broke_off() -> Outcome {
    Outcome::Refused(RefusalKind::Failed.because(BROKE_OFF))
}

#[cfg(test)]
mod tests;
