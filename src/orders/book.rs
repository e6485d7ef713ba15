//! The orders that wait for an instance to be back, and what became of others: those that were given here,
//! and those that were carried out here, so that one whose answer got lost is not carried out twice.
//!
//! Plain data; the same is in the database.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Action, Refusal, RefusalKind};
use crate::store::StoredOrder;

/// Orders that may wait, for all instances together.
pub const MAX_WAITING: usize = 1_000;
/// Orders that may wait for one instance.
pub const MAX_WAITING_FOR_ONE: usize = 50;
/// Finished orders that are remembered, the newest.
pub const MAX_FINISHED: usize = 1_000;
/// How long finished orders are shown.
pub const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(24);
/// How long finished orders are remembered: longer than any order waits somewhere to be tried again.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(8 * 24);
/// The pause after an attempt that failed although the instance seemed to be there; doubled with each…
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// …up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How an order is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being carried out here.
    Begun,
    Waiting,
    Done,
    Refused,
    Expired,
    Cancelled,
}

impl State {
    /// The stable word for it.
    pub fn word(self) -> &'static str {
        match self {
            State::Begun => "begun",
            State::Waiting => "waiting",
            State::Done => "done",
            State::Refused => "refused",
            State::Expired => "expired",
            State::Cancelled => "cancelled",
        }
    }
}

/// What was ordered, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Words {
    pub action: String,
    pub reason: String,
    /// Seconds after which a disabled probe comes back; 0: not by itself.
    #[serde(rename = "For")]
    pub back_after: u64,
    /// The interval.
    pub seconds: u32,
}

impl Words {
    /// What was ordered, of an order that was kept.
    pub fn of(order: &StoredOrder) -> Words {
        serde_json::from_str(&order.what).unwrap_or_default()
    }

    /// The JSON.
    pub fn json(action: &Action) -> String {
        let mut words = Words { action: action.word().to_owned(), ..Words::default() };
        match action {
            Action::Disable { reason, back_after } => {
                words.reason.clone_from(reason);
                words.back_after = back_after.map_or(0, |after| after.as_secs());
            }
            Action::Interval { seconds } => words.seconds = *seconds,
            Action::Run => {}
        }
        serde_json::to_string(&words).expect("texts and numbers")
    }

    /// What it stands for, if it is anything.
    pub fn action(self) -> Option<Action> {
        let back_after = (self.back_after > 0).then(|| Duration::from_secs(self.back_after));
        match self.action.as_str() {
            "disable" => Some(Action::Disable { reason: self.reason, back_after }),
            "interval" => Some(Action::Interval { seconds: self.seconds }),
            "run" => Some(Action::Run),
            _ => None,
        }
    }
}

/// An order with what is only known in memory.
struct Kept {
    stored: StoredOrder,
    /// It is being tried now.
    trying: bool,
    attempts: u32,
    /// No attempt before.
    not_before: Option<Instant>,
}

/// All orders that are known here.
#[derive(Default)]
pub struct Book(BTreeMap<Uuid, Kept>);

impl Book {
    /// The orders of before a restart. Those that were being carried out then are returned as they are now:
    /// one to run a probe is not tried again, since nobody knows whether it did.
    pub fn load(stored: Vec<StoredOrder>, now: Timestamp) -> (Book, Vec<StoredOrder>) {
        let mut book = Book::default();
        let mut broken = Vec::new();
        for mut stored in stored {
            if stored.state == State::Begun.word() {
                stored.state = State::Refused.word().to_owned();
                stored.finished = Some(now);
                stored.answer = "the agent ended while it was carried out".to_owned();
                broken.push(stored.clone());
                if Words::of(&stored).action != Action::Run.word() {
                    // To do it once more does no harm.
                    continue;
                }
            }
            book.put(stored);
        }
        (book, broken)
    }

    fn put(&mut self, stored: StoredOrder) {
        let kept = Kept { stored, trying: false, attempts: 0, not_before: None };
        self.0.insert(kept.stored.id, kept);
    }

    /// An order by its id.
    pub fn get(&self, id: Uuid) -> Option<&StoredOrder> {
        self.0.get(&id).map(|kept| &kept.stored)
    }

    /// Takes in an order that is carried out now, or was.
    pub fn note(&mut self, stored: StoredOrder) {
        self.put(stored);
        self.forget_oldest();
    }

    /// Forgets an order.
    pub fn forget(&mut self, id: Uuid) {
        self.0.remove(&id);
    }

    /// Takes in an order that has to wait.
    pub fn wait(&mut self, stored: StoredOrder) -> Result<(), Refusal> {
        let waiting = || self.waiting();
        if waiting().count() >= MAX_WAITING {
            let why = format!("{MAX_WAITING} orders wait already: cancel some");
            return Err(RefusalKind::Busy.because(why));
        }
        let same = waiting().filter(|kept| kept.stored.instance == stored.instance).count();
        if same >= MAX_WAITING_FOR_ONE {
            let why = format!("{MAX_WAITING_FOR_ONE} orders wait for this host already");
            return Err(RefusalKind::Busy.because(why));
        }
        self.put(stored);
        Ok(())
    }

    fn waiting(&self) -> impl Iterator<Item = &Kept> {
        self.0.values().filter(|kept| kept.stored.state == State::Waiting.word())
    }

    /// How many wait.
    pub fn count_waiting(&self) -> usize {
        self.waiting().count()
    }

    /// Ends an order; returns it as it is now.
    pub fn finish(
        &mut self,
        id: Uuid,
        state: State,
        answer: String,
        now: Timestamp,
    ) -> Option<StoredOrder> {
        let kept = self.0.get_mut(&id)?;
        kept.trying = false;
        kept.stored.state = state.word().to_owned();
        kept.stored.finished = Some(now);
        kept.stored.answer = answer;
        let stored = kept.stored.clone();
        self.forget_oldest();
        Some(stored)
    }

    /// Ends an order that waits and is not being tried, at the word of somebody.
    pub fn cancel(
        &mut self,
        id: Uuid,
        answer: String,
        now: Timestamp,
    ) -> Result<StoredOrder, Refusal> {
        let unknown = || RefusalKind::Unknown.because(format!("there is no order `{id}`"));
        let kept = self.0.get(&id).ok_or_else(unknown)?;
        if kept.stored.state != State::Waiting.word() {
            let why = format!("the order does not wait: it is {}", kept.stored.state);
            return Err(RefusalKind::Conflict.because(why));
        }
        if kept.trying {
            return Err(RefusalKind::Conflict.because("the order is being carried out just now"));
        }
        self.finish(id, State::Cancelled, answer, now).ok_or_else(unknown)
    }

    /// Ends the orders that have waited too long; returns them.
    pub fn expire(&mut self, now: Timestamp) -> Vec<StoredOrder> {
        let over = |kept: &&Kept| kept.stored.expires <= now && !kept.trying;
        let ids: Vec<Uuid> = self.waiting().filter(over).map(|kept| kept.stored.id).collect();
        let end = |id| {
            let why = self.get(id).map(|stored| stored.answer.clone()).unwrap_or_default();
            let answer = format!("it has waited too long: {why}");
            self.finish(id, State::Expired, answer, now)
        };
        ids.into_iter().filter_map(end).collect()
    }

    /// The order that is to be tried first for each instance, and when it was given.
    fn oldest(&self) -> BTreeMap<Uuid, (Timestamp, Uuid)> {
        let mut oldest = BTreeMap::new();
        for kept in self.waiting() {
            let place = (kept.stored.created, kept.stored.id);
            let first = oldest.entry(kept.stored.instance).or_insert(place);
            *first = place.min(*first);
        }
        oldest
    }

    /// Orders to be tried now, the oldest one for each instance that `is_there`; they count as tried.
    pub fn take_due(
        &mut self,
        now: Instant,
        is_there: impl Fn(Uuid) -> bool,
    ) -> Vec<(StoredOrder, Action)> {
        let mut due = Vec::new();
        for (instance, (_, id)) in self.oldest() {
            let Some(kept) = self.0.get_mut(&id) else { continue };
            let is_time = kept.not_before.is_none_or(|at| at <= now);
            if kept.trying || !is_time || !is_there(instance) {
                continue;
            }
            if let Some(action) = Words::of(&kept.stored).action() {
                kept.trying = true;
                due.push((kept.stored.clone(), action));
            }
        }
        due
    }

    /// An attempt found nobody: the order goes on waiting.
    pub fn put_off(&mut self, id: Uuid, why: String, now: Instant) {
        if let Some(kept) = self.0.get_mut(&id) {
            let pause = FIRST_PAUSE.saturating_mul(1 << kept.attempts.min(16)).min(LONGEST_PAUSE);
            (kept.trying, kept.attempts) = (false, kept.attempts.saturating_add(1));
            (kept.not_before, kept.stored.answer) = (Some(now + pause), why);
        }
    }

    /// When the next attempt may be made for an instance that `is_there`, and when the next order expires.
    pub fn next(
        &self,
        now: Instant,
        is_there: impl Fn(Uuid) -> bool,
    ) -> (Option<Instant>, Option<Timestamp>) {
        let oldest = self.oldest().into_iter().filter(|(instance, _)| is_there(*instance));
        let oldest = oldest.filter_map(|(_, (_, id))| self.0.get(&id)).filter(|kept| !kept.trying);
        let attempt = oldest.map(|kept| kept.not_before.unwrap_or(now)).min();
        let idle = self.waiting().filter(|kept| !kept.trying);
        (attempt, idle.map(|kept| kept.stored.expires).min())
    }

    /// Those that wait and those that were finished lately, the newest first.
    pub fn list(&self, now: Timestamp) -> Vec<StoredOrder> {
        let is_shown = |stored: &&StoredOrder| match stored.finished {
            Some(finished) => now.duration_since(finished) < SHOWN_FOR,
            None => stored.state == State::Waiting.word(),
        };
        let mut list: Vec<StoredOrder> =
            self.0.values().map(|kept| &kept.stored).filter(is_shown).cloned().collect();
        list.sort_by_key(|stored| std::cmp::Reverse((stored.created, stored.id)));
        list
    }

    fn forget_oldest(&mut self) {
        let mut finished: Vec<(Timestamp, Uuid)> = self
            .0
            .values()
            .filter_map(|kept| Some((kept.stored.finished?, kept.stored.id)))
            .collect();
        if finished.len() > MAX_FINISHED {
            finished.sort_unstable();
            let surplus = finished.len() - MAX_FINISHED;
            finished.iter().take(surplus).for_each(|(_, id)| drop(self.0.remove(id)));
        }
    }

    /// What was finished before this is not remembered any more.
    pub fn cutoff(&self, now: Timestamp) -> Timestamp {
        let oldest = now.checked_sub(REMEMBERED_FOR).unwrap_or(now);
        let finished = || self.0.values().filter_map(|kept| kept.stored.finished);
        match finished().count() >= MAX_FINISHED {
            true => finished().min().unwrap_or(oldest).max(oldest),
            false => oldest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::ProbeName;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn order(id: u128, instance: u128, created: i64, action: &Action) -> StoredOrder {
        StoredOrder {
            id: Uuid::from_u128(id),
            instance: Uuid::from_u128(instance),
            host: "leaf".into(),
            probe: ProbeName::new("load").unwrap(),
            what: Words::json(action),
            author: "alice".into(),
            address: String::new(),
            created: at(created),
            expires: at(created + 100),
            state: State::Waiting.word().into(),
            finished: None,
            answer: "away".into(),
        }
    }

    fn ids(due: &[(StoredOrder, Action)]) -> Vec<u128> {
        due.iter().map(|(stored, _)| stored.id.as_u128()).collect()
    }

    #[test]
    fn what_was_ordered_survives_as_json() {
        let back_after = Some(Duration::from_secs(60));
        for action in [
            Action::Disable { reason: "\"why\"".into(), back_after },
            Action::Disable { reason: String::new(), back_after: None },
            Action::Interval { seconds: 7 },
            Action::Run,
        ] {
            let kept = order(1, 2, 3, &action);
            assert_eq!(Words::of(&kept).action(), Some(action));
        }
    }

    #[test]
    fn orders_for_one_instance_are_tried_in_turn_when_it_is_there() {
        let mut book = Book::default();
        for (id, instance, created) in [(1, 7, 20), (2, 7, 10), (3, 8, 30)] {
            book.wait(order(id, instance, created, &Action::Run)).unwrap();
        }
        let now = Instant::now();
        assert!(book.take_due(now, |_| false).is_empty());
        assert_eq!(book.next(now, |_| true).0, Some(now), "those not tried yet are a reason too");
        assert_eq!(ids(&book.take_due(now, |_| true)), [2, 3]);
        assert!(book.take_due(now, |_| true).is_empty(), "they are being tried");
        assert_eq!(book.next(now, |_| true).0, None, "the second waits for the first");
        book.finish(Uuid::from_u128(2), State::Done, "done".into(), at(50)).unwrap();
        assert_eq!(ids(&book.take_due(now, |_| true)), [1]);
        // Nobody was there after all.
        book.put_off(Uuid::from_u128(1), "gone again".into(), now);
        assert!(book.take_due(now, |_| true).is_empty(), "not at once again");
        assert_eq!(book.next(now, |_| true).0, Some(now + FIRST_PAUSE));
        assert_eq!(book.next(now, |_| false).0, None);
        assert_eq!(ids(&book.take_due(now + FIRST_PAUSE, |_| true)), [1]);
    }

    #[test]
    fn an_order_expires_or_is_cancelled_unless_it_is_being_tried() {
        let mut book = Book::default();
        book.wait(order(1, 7, 0, &Action::Run)).unwrap();
        book.wait(order(2, 8, 0, &Action::Run)).unwrap();
        book.wait(order(3, 9, 50, &Action::Run)).unwrap();
        book.take_due(Instant::now(), |instance| instance.as_u128() == 8);
        let expired = book.expire(at(100));
        assert_eq!(expired.len(), 1);
        assert_eq!((expired[0].id.as_u128(), expired[0].state.as_str()), (1, "expired"));
        let cancel = |book: &mut Book, id| book.cancel(Uuid::from_u128(id), "no".into(), at(110));
        assert_eq!(cancel(&mut book, 3).unwrap().state, "cancelled");
        for (id, kind) in [
            (1, RefusalKind::Conflict),
            (2, RefusalKind::Conflict),
            (3, RefusalKind::Conflict),
            (4, RefusalKind::Unknown),
        ] {
            assert_eq!(cancel(&mut book, id).unwrap_err().kind, kind, "{id}");
        }
        assert_eq!(book.count_waiting(), 1);
        let listed: Vec<u128> = book.list(at(120)).iter().map(|one| one.id.as_u128()).collect();
        assert_eq!(listed, [3, 2, 1]);
        assert_eq!(book.list(at(120 + 24 * 3600)).len(), 1, "the finished ones are old");
    }

    #[test]
    fn everything_is_bounded() {
        let mut book = Book::default();
        for id in 0..MAX_WAITING_FOR_ONE as u128 {
            book.wait(order(id, 7, 0, &Action::Run)).unwrap();
        }
        let refused = book.wait(order(999, 7, 0, &Action::Run)).unwrap_err();
        assert!(refused.why.contains("50 orders wait for this host"), "{}", refused.why);
        for id in MAX_WAITING_FOR_ONE as u128..MAX_WAITING as u128 {
            book.wait(order(id, 1000 + id, 0, &Action::Run)).unwrap();
        }
        assert!(book.wait(order(5_000, 8, 0, &Action::Run)).is_err());
        for id in 10_000..10_000 + MAX_FINISHED as u128 + 5 {
            let done = StoredOrder {
                finished: Some(at(id as i64)),
                state: "done".into(),
                ..order(id, 1, 0, &Action::Run)
            };
            book.note(done);
        }
        assert_eq!((book.count_waiting(), book.0.len()), (MAX_WAITING, MAX_WAITING + MAX_FINISHED));
        assert!(book.get(Uuid::from_u128(10_004)).is_none());
        assert_eq!(book.cutoff(at(20_000)), at(10_005));
    }

    #[test]
    fn a_run_that_a_crash_broke_off_is_not_tried_again() {
        let begun = |id, action| StoredOrder { state: "begun".into(), ..order(id, 1, 0, &action) };
        let stored = vec![begun(1, Action::Run), begun(2, Action::Interval { seconds: 5 })];
        let (book, broken) = Book::load(stored, at(50));
        assert_eq!(broken.len(), 2);
        assert_eq!(book.get(Uuid::from_u128(1)).unwrap().state, "refused");
        assert!(book.get(Uuid::from_u128(2)).is_none());
    }
}
