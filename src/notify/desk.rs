//! The desk: reads the journal from where it was, asks the policy, keeps what it decides, and has it
//! delivered.
//!
//! What the policy decides is put in line while its lock is held, so commits are in the order of decisions;
//! it is written after the lock is given back, so whoever looks at the policy does not wait for the disk.
//! While the disk does not answer, messages are delivered from memory, and what was decided is written when
//! it answers again.

mod commits;
mod turn;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::{Notify, broadcast};
use uuid::Uuid;

use self::commits::Commits;
use super::{
    Change, ChannelHealth, IncidentNews, Kind, Message, NotifyError, Priority, Rules, Subject,
    channel::Receipt,
    delivery::{Clock, Delivery, Outlet},
    policy::{Answer, Command, Policy, World},
    witness::Witnesses,
    world::Around,
};
use crate::{
    hub::Hub,
    status::Status,
    store::{NotifyStore, Store},
    task::Tasks,
    tree::View,
};

/// Changes kept for a listener that is slow; it is told when it missed some.
const KEPT_CHANGES: usize = 256;
/// How long a message that somebody sends again is tried.
const RESEND_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long a test of a channel may take.
const TEST_TIME: Duration = Duration::from_secs(15);
/// How long a command waits for the disk.
const COMMAND_TIME: Duration = Duration::from_secs(10);

/// The last result of a probe, as `/api` shows it.
pub type ShowResult = fn(&View, &Subject) -> Option<String>;

/// What the desk works with.
pub struct Parts {
    pub hub: Arc<Hub>,
    pub store: Store,
    pub show_result: ShowResult,
}

/// Owner of the policy.
pub struct Desk {
    hub: Arc<Hub>,
    journal: Store,
    store: NotifyStore,
    show_result: ShowResult,
    brain: Mutex<Brain>,
    commits: Commits,
    delivery: Delivery,
    witnesses: Mutex<Witnesses>,
    changes: broadcast::Sender<Change>,
    /// The deadline of the policy may be another one, or something else that the desk waits for.
    poke: Notify,
    /// Who to ask about the network may be others.
    new_witnesses: Notify,
    trouble: Mutex<Option<String>>,
}

/// Held on threads that may block, never on the runtime, and never while the disk is waited for.
struct Brain {
    policy: Policy,
    /// The entry of the journal up to which the policy has seen all.
    cursor: u64,
}

impl Desk {
    /// A desk that goes on where the last one stopped; the first one begins with what happens from now on.
    /// Blocks.
    pub fn open(parts: Parts, rules: Rules) -> Arc<Desk> {
        Desk::open_at(parts, rules, Arc::new(Timestamp::now))
    }

    fn open_at(parts: Parts, rules: Rules, clock: Clock) -> Arc<Desk> {
        let Parts { hub, store: journal, show_result } = parts;
        let store = journal.notify();
        let mut trouble = None;
        let resumed = store.load().unwrap_or_else(|error| {
            let text = format!("what was told before this start is not known: {error}");
            tracing::error!("notifications: {text}");
            trouble = Some(text);
            Default::default()
        });
        let newest = hub.newest_id();
        // More than there is can be after a damaged database was replaced.
        let cursor = resumed.cursor.map_or(newest, |cursor| cursor.min(newest));
        let me = hub.read(|tree| tree.me().uuid);
        let policy = Policy::new(rules, me, resumed.state);
        let desk = Desk {
            commits: Commits::new(store.clone()),
            delivery: Delivery::new(store.clone(), clock),
            hub,
            journal,
            store,
            show_result,
            brain: Mutex::new(Brain { policy, cursor }),
            witnesses: Mutex::default(),
            changes: broadcast::channel(KEPT_CHANGES).0,
            poke: Notify::new(),
            new_witnesses: Notify::new(),
            trouble: Mutex::new(trouble),
        };
        if resumed.cursor.is_none() {
            // So that the next start does not begin anew, and leave out what was between.
            desk.commits.begin_at(cursor);
            let _ = desk.write();
        }
        Arc::new(desk)
    }

    fn brain(&self) -> MutexGuard<'_, Brain> {
        self.brain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to work. Within a runtime.
    pub fn start(self: &Arc<Self>, tasks: &mut Tasks) {
        let desk = self.clone();
        tasks.spawn("notifications", move |stop| desk.run(stop));
        let desk = self.clone();
        tasks.spawn("witnesses", move |stop| desk.watch_witnesses(stop));
    }

    /// Ends the workers. What is on its way gets a grace, the rest stays in the outbox.
    pub async fn stop(&self) {
        self.delivery.stop().await;
    }

    /// Takes over the channels and who to ask about the network. Within a runtime.
    pub fn set_channels(&self, outlets: Vec<Outlet>, witnesses: Witnesses) {
        self.delivery.set(outlets);
        *self.witnesses.lock().unwrap_or_else(PoisonError::into_inner) = witnesses;
        self.new_witnesses.notify_one();
    }

    /// Goes by these rules from now on. Blocks.
    pub fn set_rules(&self, rules: Rules) {
        self.brain().policy.set_rules(rules);
        self.abandon_strays();
        self.poke.notify_one();
    }

    fn abandon_strays(&self) {
        if let Err(error) = self.delivery.abandon_strays() {
            tracing::warn!("notifications: {error}");
        }
    }

    fn witnesses(&self) -> Witnesses {
        self.witnesses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is wrong, and how bad that is: one sentence each.
    pub fn troubles(&self) -> Vec<(Status, String)> {
        let mut found: Vec<(Status, String)> = self.commits.trouble().into_iter().collect();
        let own = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        found.extend(
            own.into_iter().chain(self.delivery.troubles()).map(|said| (Status::WARN, said)),
        );
        found
    }

    pub(super) async fn command(self: &Arc<Self>, command: Command) -> Result<Answer, NotifyError> {
        let desk = self.clone();
        let work = move || {
            let answer =
                desk.decide(|policy, around, now, out| policy.command(command, around, now, out));
            desk.poke.notify_one();
            desk.write()?;
            Ok(answer)
        };
        match tokio::time::timeout(COMMAND_TIME, tokio::task::spawn_blocking(work)).await {
            Ok(done) => done.map_err(|_| NotifyError::Stopped)?,
            Err(_) => Err(NotifyError::NotWritten(COMMAND_TIME)),
        }
    }

    pub(super) async fn look<T: Send + 'static>(
        self: &Arc<Self>,
        look: impl FnOnce(&Policy, &dyn World, Timestamp) -> T + Send + 'static,
    ) -> T {
        let desk = self.clone();
        let work = move || {
            let around = Around::new(desk.hub.view());
            look(&desk.brain().policy, &around, Timestamp::now())
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(seen) => seen,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime ends, and whoever waits with it.
            Err(_) => std::future::pending().await,
        }
    }

    pub(super) fn store(&self) -> &NotifyStore {
        &self.store
    }

    pub(super) async fn test(&self, channel: &str) -> Result<(Receipt, Duration), NotifyError> {
        let (sender, uuid) = self.hub.read(|tree| {
            let me = tree.me();
            (me.host.name.clone(), me.uuid)
        });
        let message = |now| test_message(channel, sender, uuid, now);
        let sent = tokio::time::timeout(TEST_TIME, self.delivery.test(channel, message)).await;
        match sent {
            Ok(Some((Ok(receipt), took))) => Ok((receipt, took)),
            Ok(Some((Err(failed), _))) => Err(NotifyError::Failed(failed.why)),
            Ok(None) => Err(NotifyError::NoChannel(channel.to_owned())),
            Err(_) => Err(NotifyError::TooSlow(TEST_TIME)),
        }
    }

    pub(super) async fn resend(&self, id: i64) -> Result<(), NotifyError> {
        let store = self.store.clone();
        let now = Timestamp::now();
        let expires = now.saturating_add(RESEND_FOR).unwrap_or(Timestamp::MAX);
        let again = tokio::task::spawn_blocking(move || store.resend(id, now, expires)).await;
        match again.map_err(|_| NotifyError::Stopped)?? {
            Some(channel) if self.delivery.wake([&*channel]) => Ok(()),
            Some(channel) => Err(NotifyError::NoChannel(channel)),
            None => Err(NotifyError::NoNotification(id)),
        }
    }

    pub(super) fn channels(&self) -> Vec<ChannelHealth> {
        self.delivery.health()
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Tells who listens what has changed.
    fn tell(&self, incidents: &[super::Incident], suppressions: bool) {
        // Nobody listening is no failure.
        for incident in incidents {
            let (members, bad) = incident.count();
            let news = IncidentNews {
                id: incident.id,
                title: super::title::incident(incident),
                is_open: incident.is_open(),
                status: incident.status,
                bad,
                members,
                acked: incident.ack.is_some(),
            };
            let _ = self.changes.send(Change::Incident(Arc::new(news)));
        }
        if suppressions {
            let _ = self.changes.send(Change::Suppressions);
        }
    }
}

/// What a channel is tried with.
pub fn test_message(channel: &str, sender: String, uuid: Uuid, now: Timestamp) -> Message {
    let by_chance = Uuid::new_v4();
    Message {
        key: format!("{by_chance}:0:{channel}"),
        channel: channel.to_owned(),
        kind: Kind::Test,
        priority: Priority::Normal,
        incident: None,
        thread: by_chance.to_string(),
        is_first: true,
        at: now,
        since: now,
        status: Status::OK,
        was: None,
        worst: Status::OK,
        title: format!("Test of the channel {channel} from {sender}"),
        subject: Subject::host(sender.clone()),
        group: String::new(),
        labels: Default::default(),
        output: "If you can read this, the channel works.".into(),
        lines: Vec::new(),
        total: 0,
        bad: 0,
        runbook: None,
        link: None,
        reminder: 0,
        sender,
        sender_uuid: uuid,
        result: None,
        probes_in_error: Vec::new(),
        expires: now,
    }
}

#[cfg(test)]
mod tests;
