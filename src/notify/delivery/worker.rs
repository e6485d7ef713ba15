//! The worker of one channel: takes what is due from the outbox, sends it, notes what came of it.
//!
//! Nothing is noted before an attempt. So whatever dies between two steps, the message is still in the
//! outbox and is sent again under the same key: at least once. It sleeps until it is woken or something is
//! due; a channel that is idle costs nothing.

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout, timeout_at},
};

use super::{
    Shared, backoff,
    line::{Line, Outlet},
};
use crate::{
    notify::{
        Kind, Message,
        channel::{Delivery, Failed, Receipt, Retry},
    },
    store::{Attempt, ChannelCount, DeliveryState, Due, StoreError, Try},
    task::Stop,
};

/// Messages on their way to one channel at the same time.
const MAX_FLYING: usize = 4;
/// How long what is on its way may take at the end.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// A message that is older is told how late it is.
const LATE: Duration = Duration::from_secs(60);
/// After a channel has failed for so long, what waits for it goes to its fallback too.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many messages are copied to the fallback at a time.
const COPIES: usize = 100;
/// How long a copy is tried at least.
const COPY_FOR: Duration = Duration::from_secs(24 * 3600);
/// When the outbox is tried again that could not be read or written.
const RETRY_STORE: Duration = Duration::from_secs(5);
/// Outcomes kept while the outbox cannot be written; no more is sent beyond this.
const MAX_UNNOTED: usize = 1_000;

/// What a message's flight came to.
struct Landed {
    due: Due,
    at: Timestamp,
    took: Duration,
    text: String,
    outcome: Result<Receipt, Failed>,
}

/// What one look at the outbox found.
struct Look {
    due: Vec<Due>,
    later: Option<Timestamp>,
    count: ChannelCount,
}

pub(super) struct Worker {
    line: Arc<Line>,
    shared: Arc<Shared>,
    flights: JoinSet<Landed>,
    /// The keys of what is on its way.
    flying: HashSet<String>,
    /// What is not noted in the outbox yet.
    unnoted: Vec<Attempt>,
    /// The channel is left alone until then.
    paused: Option<Instant>,
    /// The outbox is left alone until then.
    store_paused: Option<Instant>,
}

impl Worker {
    pub fn new(line: Arc<Line>, shared: Arc<Shared>) -> Worker {
        Worker {
            line,
            shared,
            flights: JoinSet::new(),
            flying: HashSet::new(),
            unnoted: Vec::new(),
            paused: None,
            store_paused: None,
        }
    }

    pub async fn run(mut self, mut stop: Stop) {
        while !self.line.is_removed() {
            let next = self.round().await;
            let sleep = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.wait() => break,
                () = self.line.woken() => {}
                () = sleep => {}
                Some(landed) = self.flights.join_next() => {
                    self.landed(landed.ok());
                    while let Some(landed) = self.flights.try_join_next() {
                        self.landed(landed.ok());
                    }
                }
            }
        }
        self.finish().await;
    }

    /// Notes what landed, and starts what is due. Returns when there is something to do though nothing
    /// happens.
    async fn round(&mut self) -> Option<Instant> {
        let now = Instant::now();
        self.paused = self.paused.filter(|until| *until > now);
        self.store_paused = self.store_paused.filter(|until| *until > now);
        let room = match (self.paused, self.line.vitals().failures) {
            (Some(_), _) => 0,
            _ if self.unnoted.len() >= MAX_UNNOTED => 0,
            // One is enough to see whether it works again.
            (None, 1..) => 1,
            (None, 0) => MAX_FLYING,
        };
        let room = room.saturating_sub(self.flying.len());
        let mut next = self.paused.into_iter().chain(self.store_paused).min();
        let mut sooner = |at: Option<Instant>| {
            next = next.into_iter().chain(at).min();
        };
        let (due, later) =
            self.shared.loose().due(&self.line.name, self.shared.now(), room, &self.flying);
        sooner(later.map(|at| self.shared.instant(at)));
        let loose = due.len();
        due.into_iter().for_each(|due| self.start(due));
        let room = room - loose;
        // While it is left alone the fallback gets what has waited for long.
        let is_owed = self.overdue(self.shared.now()).is_some();
        if self.line.outlet().fallback.is_some() && self.paused.is_some() {
            sooner(Some(now + PATIENCE));
        }
        if self.store_paused.is_some() || (room == 0 && self.unnoted.is_empty() && !is_owed) {
            return next;
        }
        match self.look(room).await {
            Ok(look) => {
                self.line.vitals().count = look.count;
                sooner(look.later.map(|at| self.shared.instant(at)));
                for due in look.due {
                    if due.message.expires <= self.shared.now() {
                        self.expire(due);
                        sooner(Some(now));
                    } else {
                        self.start(due);
                    }
                }
            }
            Err(error) => {
                tracing::warn!("channel `{}`: {error}", self.line.name);
                let at = now + RETRY_STORE;
                self.store_paused = Some(at);
                sooner(Some(at));
            }
        }
        next
    }

    /// Notes what landed in the outbox, has copies made for the fallback, and looks for what is due.
    async fn look(&mut self, room: usize) -> Result<Look, StoreError> {
        let unnoted = std::mem::take(&mut self.unnoted);
        let (shared, name, now) = (self.shared.clone(), self.line.name.clone(), self.shared.now());
        let fallback = self.overdue(now);
        // Those that are on their way are still in there.
        let limit = if room == 0 { 0 } else { room + self.flying.len() };
        let work = move || {
            let store = &shared.store;
            let noted = match unnoted.is_empty() {
                true => Ok(()),
                false => store.attempted(&unnoted),
            };
            if let Err(error) = noted {
                return (Err(error), unnoted, Vec::new());
            }
            let mut wake: Vec<String> = unnoted
                .iter()
                .filter_map(|attempt| Some(attempt.instead.as_ref()?.channel.clone()))
                .collect();
            let rest = || {
                if let Some((fallback, since)) = fallback {
                    let overdue = store.overdue(&name, since, COPIES)?;
                    let copies: Vec<(String, Message)> = overdue
                        .iter()
                        .filter_map(|message| {
                            Some((message.key.clone(), copy(message, &fallback, now)?))
                        })
                        .collect();
                    if !copies.is_empty() {
                        store.copy(&copies)?;
                        wake.push(fallback);
                    }
                }
                let (due, later) = store.due(&name, now, limit)?;
                // With no room for more it is not the time that is waited for.
                let later = later.filter(|_| limit > 0);
                Ok(Look { due, later, count: store.channel_count(&name)? })
            };
            (rest(), Vec::new(), wake)
        };
        let Ok((look, unnoted, wake)) = tokio::task::spawn_blocking(work).await else {
            return Ok(Look {
                due: Vec::new(),
                later: None,
                count: self.line.vitals().count.clone(),
            });
        };
        self.unnoted.extend(unnoted);
        wake.iter().for_each(|channel| self.shared.wake(channel));
        let mut look = look?;
        {
            let loose = self.shared.loose();
            look.due.retain(|due| {
                let key = &due.message.key;
                !self.flying.contains(key)
                    && !loose.holds(key)
                    && !self.unnoted.iter().any(|attempt| attempt.key == *key)
            });
        }
        look.due.truncate(room);
        Ok(look)
    }

    /// The fallback, if it is time for it, and what is older than which time goes there.
    fn overdue(&self, now: Timestamp) -> Option<(String, Timestamp)> {
        let fallback = self.line.outlet().fallback.clone()?;
        let since = self.line.vitals().failing_since?;
        let before = now.checked_sub(PATIENCE).ok()?;
        (since <= before).then_some((fallback, before))
    }

    fn start(&mut self, due: Due) {
        self.flying.insert(due.message.key.clone());
        self.flights.spawn(fly(self.line.outlet(), due, self.shared.clone()));
    }

    /// Its time is over before it was taken.
    fn expire(&mut self, due: Due) {
        let instead = self.instead(&due.message);
        self.unnoted.push(Attempt {
            key: due.message.key,
            tried: None,
            state: DeliveryState::Expired,
            next: None,
            text: None,
            instead,
        });
    }

    fn instead(&self, message: &Message) -> Option<Box<Message>> {
        let fallback = self.line.outlet().fallback.clone()?;
        copy(message, &fallback, self.shared.now()).map(Box::new)
    }

    fn landed(&mut self, landed: Option<Landed>) {
        let Some(Landed { due, at, took, text, outcome }) = landed else { return };
        let Due { message, attempts, is_copied } = due;
        self.flying.remove(&message.key);
        let now = self.shared.now();
        let attempt = match outcome {
            Ok(Receipt(answer)) => {
                self.line.worked(now);
                // Who heard of the problem from the fallback hears there that it is over.
                let is_over = is_copied && message.kind == Kind::Recovered;
                let instead = is_over.then(|| self.instead(&message)).flatten();
                let tried = Some(Try { at, ok: true, text: answer, took });
                let state = DeliveryState::Sent;
                Attempt { key: message.key, tried, state, next: None, text: Some(text), instead }
            }
            Err(Failed { why, retry }) => {
                let failures = self.line.failed(now, &why);
                let wait = match retry {
                    Retry::Never => None,
                    Retry::Later => {
                        self.pause(backoff::pause(failures));
                        Some(backoff::wait(attempts.saturating_add(1)))
                    }
                    Retry::After(asked) => {
                        let wait = backoff::asked(asked);
                        self.pause(Some(wait));
                        Some(wait)
                    }
                };
                let next = wait.map(|wait| now.saturating_add(wait).unwrap_or(message.expires));
                let (state, instead) = match next {
                    Some(_) => (DeliveryState::Waiting, None),
                    None => (DeliveryState::Dead, self.instead(&message)),
                };
                // Looked at once more at its end.
                let next = next.map(|next| next.min(message.expires));
                let tried = Some(Try { at, ok: false, text: why, took });
                Attempt { key: message.key, tried, state, next, text: Some(text), instead }
            }
        };
        let instead = attempt.instead.as_ref().map(|copy| copy.channel.clone());
        let here = self.shared.loose().attempted(attempt);
        match here {
            Some(attempt) => self.unnoted.push(attempt),
            None => instead.iter().for_each(|channel| self.shared.wake(channel)),
        }
    }

    fn pause(&mut self, pause: Option<Duration>) {
        let until = pause.map(|pause| Instant::now() + pause);
        self.paused = self.paused.max(until);
    }

    /// Lets what is on its way land, for a while, and notes it. The rest stays in the outbox.
    async fn finish(&mut self) {
        let end = Instant::now() + GRACE;
        while let Ok(Some(landed)) = timeout_at(end, self.flights.join_next()).await {
            self.landed(landed.ok());
        }
        self.flights.abort_all();
        let unnoted = std::mem::take(&mut self.unnoted);
        if unnoted.is_empty() {
            return;
        }
        let shared = self.shared.clone();
        let noted = tokio::task::spawn_blocking(move || shared.store.attempted(&unnoted)).await;
        if let Ok(Err(error)) = noted {
            tracing::warn!(
                "channel `{}`: some of what was delivered could not be noted and is sent again: {error}",
                self.line.name
            );
        }
    }
}

/// The copy of a message for another channel; `None` if it comes from there. Its key follows from the
/// original's, so that there is one only.
fn copy(message: &Message, channel: &str, now: Timestamp) -> Option<Message> {
    if format!("{}:", message.key).contains(&format!(":{channel}:")) {
        return None;
    }
    let long = now.saturating_add(COPY_FOR).unwrap_or(message.expires);
    Some(Message {
        key: format!("{}:{channel}", message.key),
        channel: channel.to_owned(),
        expires: message.expires.max(long),
        ..message.clone()
    })
}

/// One attempt.
async fn fly(outlet: Arc<Outlet>, due: Due, shared: Arc<Shared>) -> Landed {
    let now = shared.now();
    let age = Duration::try_from(now.duration_since(due.message.at)).unwrap_or_default();
    let late = (age > LATE).then_some(age);
    let started = Instant::now();
    let (text, outcome) =
        attempt(&outlet, &due.message, due.attempts.saturating_add(1), late, now).await;
    Landed { due, at: now, took: started.elapsed(), text, outcome }
}

/// Renders a message and sends it, within the limits of its channel. A channel that panics has failed.
pub(super) async fn attempt(
    outlet: &Outlet,
    message: &Message,
    attempt: u32,
    late: Option<Duration>,
    now: Timestamp,
) -> (String, Result<Receipt, Failed>) {
    let render = || (outlet.render)(message, late, now);
    let rendered = std::panic::catch_unwind(AssertUnwindSafe(render));
    // A mistake in a template must not keep anybody from hearing of it.
    let (title, body) =
        rendered.unwrap_or_else(|_| (message.title.clone(), message.output.clone()));
    let text = format!("{title}\n{body}");
    let message = message.clone();
    let delivery = Delivery { message, attempt, late, title, body, now };
    let send = AssertUnwindSafe(outlet.channel.send(&delivery)).catch_unwind();
    let outcome = match timeout(outlet.limit, send).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => later("the channel ended by a mistake in wigo".into()),
        Err(_) => later(format!("no answer within {} s", outlet.limit.as_secs())),
    };
    (text, outcome)
}

fn later(why: String) -> Result<Receipt, Failed> {
    Err(Failed { why, retry: Retry::Later })
}
