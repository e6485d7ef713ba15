//! What is done on this host: probes are switched and run, and those come back whose time is over.
//!
//! The probes folder alone says what runs; the records in the database only say who switched a probe off, why,
//! and where its link pointed to. Whoever makes a link by hand ends that.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{Action, Answer, Refusal, RefusalKind, Schedule, plain};
use crate::{
    config::Config,
    hub::Hub,
    probe::{
        pool::{Awaited, Off, Pool, Refusal as CannotRun},
        switch::{self, Before, CannotSwitch},
        watch::Bell,
    },
    store::{OrderStore, StoreError, StoredDisabled},
    task::Stop,
    tree::{Disabled, Event, ProbeName},
};

/// How long a change in the probes folder may take until it is noticed; then the answer is given anyway.
const NOTICE_LIMIT: Duration = Duration::from_secs(5);
/// The longest sleep until the clock is looked at again, while a probe is to come back: it may be set.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);
/// The pause after a probe could not be switched on, since the disk was full, or was not there.
const TRY_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The probes of this host.
pub(super) struct Here {
    hub: Arc<Hub>,
    pool: Arc<Pool>,
    config: Arc<ArcSwap<Config>>,
    store: OrderStore,
    root: PathBuf,
    /// Held while files and records are changed, so that one change comes after the other. Only threads
    /// that may block take it.
    changing: Mutex<()>,
    /// Probes that are switched off; to be looked at by anybody, at any time.
    records: ArcSwap<Records>,
    bell: OnceLock<Bell>,
    /// Counts the catalogs that the pool has been given.
    pub looked: watch::Sender<u64>,
    /// Another probe may be the next to come back.
    due: Notify,
}

/// Probes that could not be switched on when their time was over, and when the next attempt is made.
type PutOff = BTreeMap<ProbeName, Timestamp>;
type Records = BTreeMap<ProbeName, StoredDisabled>;

/// Work with files and the database, which may take its time.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let broken = |_| Err(RefusalKind::Failed.because(super::BROKE_OFF));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(broken)
}

impl Here {
    /// Reads what is switched off. Blocks.
    pub fn open(
        hub: Arc<Hub>,
        pool: Arc<Pool>,
        config: Arc<ArcSwap<Config>>,
        store: OrderStore,
    ) -> Here {
        let stored = store.disabled().unwrap_or_else(|error| {
            let error = anyhow::Error::from(error);
            tracing::warn!("who has disabled which probe is not known: {error:#}");
            Vec::new()
        });
        let records = stored.into_iter().map(|stored| (stored.probe.clone(), stored)).collect();
        let here = Here {
            root: config.load().global.probes_directory.clone(),
            hub,
            pool,
            config,
            store,
            changing: Mutex::default(),
            records: ArcSwap::from_pointee(records),
            bell: OnceLock::new(),
            looked: watch::channel(0).0,
            due: Notify::new(),
        };
        here.switched_on_by_hand();
        here.tell();
        here
    }

    /// From now on the folders are watched.
    pub fn watched(&self, bell: Bell) {
        // There is one watch for one agent.
        let _ = self.bell.set(bell);
    }

    /// Nobody else changes anything while this is held. Blocks.
    fn alone(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the records, for one that is [`alone`](Here::alone), and tells it.
    fn change(&self, change: impl FnOnce(&mut Records)) {
        let mut records = Records::clone(&self.records.load());
        change(&mut records);
        self.records.store(Arc::new(records));
        self.tell();
    }

    fn tell(&self) {
        let records = self.records.load();
        let probes = records.iter().map(|(name, stored)| (name.clone(), stored.disabled.clone()));
        self.hub.handle(Event::Disabled { probes: probes.collect() });
        self.due.notify_one();
    }

    /// The pool knows what is in the folders now. Whoever made a link there has switched that probe on.
    /// Blocks.
    pub fn catalog_changed(&self) {
        self.switched_on_by_hand();
        self.looked.send_modify(|count| *count += 1);
    }

    fn switched_on_by_hand(&self) {
        let _alone = self.alone();
        let mut on: Vec<ProbeName> = self.records.load().keys().cloned().collect();
        on.retain(|name| switch::is_scheduled(&self.root, name));
        for name in &on {
            if let Err(error) = self.store.remove_disabled(name) {
                let error = anyhow::Error::from(error);
                tracing::warn!("that the probe `{name}` is switched on is not stored: {error:#}");
            }
        }
        if !on.is_empty() {
            self.change(|records| records.retain(|name, _| !on.contains(name)));
        }
    }

    /// What runs when, now.
    pub fn schedule(&self) -> Schedule {
        let (name, config) =
            (self.hub.read(|tree| tree.me().host.name.clone()), self.config.load());
        let overview = self.pool.overview();
        let allowed = config.http.allow_write_actions;
        Schedule::new(name, allowed, &overview, self.records.load().values())
    }

    /// Carries out an order of `author`.
    pub async fn carry_out(
        self: &Arc<Here>,
        probe: &ProbeName,
        action: &Action,
        author: &str,
    ) -> Result<Answer, Refusal> {
        match action {
            Action::Disable { reason, back_after } => {
                let (reason, author) = (plain(reason, super::MAX_REASON), author.to_owned());
                let (here, name, back_after) = (self.clone(), probe.clone(), *back_after);
                blocking(move || here.disable(&name, reason, author, back_after)).await?;
                self.noticed(|interval| interval.is_none(), probe).await;
            }
            Action::Interval { seconds } => {
                let (here, name, seconds) = (self.clone(), probe.clone(), *seconds);
                blocking(move || here.set_interval(&name, seconds)).await?;
                self.noticed(|interval| interval == Some(seconds), probe).await;
            }
            Action::Run => return self.run(probe).await,
        }
        Ok(Answer::Schedule(Box::new(self.schedule())))
    }

    /// Waits until the pool has the probe as it shall be.
    async fn noticed(&self, is_so: impl Fn(Option<u32>) -> bool, probe: &ProbeName) {
        let mut looked = self.looked.subscribe();
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
        let seen = async {
            while !is_so(self.interval(probe)) {
                // The sender lives as long as we do.
                let _ = looked.changed().await;
            }
        };
        if timeout(NOTICE_LIMIT, seen).await.is_err() {
            tracing::warn!("what was changed for the probe `{probe}` is not noticed yet");
        }
    }

    fn disable(
        &self,
        probe: &ProbeName,
        reason: String,
        author: String,
        back_after: Option<Duration>,
    ) -> Result<(), Refusal> {
        let created = Timestamp::now();
        let after = back_after.map(SignedDuration::try_from).transpose().unwrap_or_default();
        let until = after.and_then(|after| created.checked_add(after).ok());
        let _alone = self.alone();
        let held = self.records.load().get(probe).cloned();
        let (interval, target) = match (switch::before(&self.root, probe), &held) {
            (Ok(Before { interval, target, .. }), _) => (interval, path_text(target)),
            // Somebody says anew why, and for how long.
            (
                Err(CannotSwitch::OffAlready { .. } | CannotSwitch::NotInstalled { .. }),
                Some(held),
            ) => (held.disabled.interval, held.target.clone()),
            (Err(error), _) => return Err(cannot_switch(&error)),
        };
        let disabled = Disabled { reason, author, interval, created, until };
        let mut stored = StoredDisabled { probe: probe.clone(), disabled, target };
        // First what is needed to switch it on again.
        self.store.put_disabled(&stored).map_err(|error| not_stored(&error))?;
        let mut kept = Ok(());
        match switch::disable(&self.root, probe) {
            Ok(Before { target, moved, .. }) => {
                log_moved(probe, &moved);
                let target = path_text(target);
                if target != stored.target {
                    stored.target = target;
                    kept = self.store.put_disabled(&stored).map_err(|error| place_lost(&error));
                }
            }
            // Off already, and that was looked at above.
            Err(CannotSwitch::OffAlready { .. } | CannotSwitch::NotInstalled { .. }) => {}
            Err(error) => {
                // It is as it was before. In vain: the link in the folder says more.
                let _ = match &held {
                    Some(held) => self.store.put_disabled(held),
                    None => self.store.remove_disabled(probe),
                };
                return Err(cannot_switch(&error));
            }
        }
        self.change(|records| drop(records.insert(probe.clone(), stored)));
        kept
    }

    fn set_interval(&self, probe: &ProbeName, seconds: u32) -> Result<(), Refusal> {
        let _alone = self.alone();
        self.switch_on(probe, seconds).map_err(|error| cannot_switch(&error))
    }

    /// For one that is [`alone`](Here::alone).
    fn switch_on(&self, probe: &ProbeName, seconds: u32) -> Result<(), CannotSwitch> {
        let held = self.records.load().get(probe).map(|stored| PathBuf::from(&stored.target));
        let moved = switch::schedule(&self.root, probe, seconds, held.as_deref())?;
        log_moved(probe, &moved);
        if held.is_some() {
            if let Err(error) = self.store.remove_disabled(probe) {
                // It is seen at the next look at the folders that this is over.
                let error = anyhow::Error::from(error);
                tracing::warn!("that the probe `{probe}` is switched on is not stored: {error:#}");
            }
            self.change(|records| drop(records.remove(probe)));
        }
        Ok(())
    }

    async fn run(&self, probe: &ProbeName) -> Result<Answer, Refusal> {
        if let Some(why) = self.pool.entry(probe).and_then(|entry| entry.refused) {
            return Err(RefusalKind::Conflict.because(format!("the probe is not run: {why}")));
        }
        let told = self.pool.run_and_wait(probe).map_err(|refusal| self.cannot_run(&refusal))?;
        let gone = || RefusalKind::Conflict.because("the probe was switched off or is gone");
        match told.await {
            Ok(Awaited::Said) => self.result(probe).ok_or_else(gone),
            Ok(Awaited::Off(Off::Disabled)) => Err(RefusalKind::Conflict
                .because("it was run and said that it is switched off (exit 12)")),
            Ok(Awaited::Off(Off::Skipped)) => Err(RefusalKind::Conflict
                .because("it was run and said that it does not apply to this host (exit 13)")),
            Err(_) => Err(gone()),
        }
    }

    /// How often a probe runs, in seconds; `None` if it does not.
    pub fn interval(&self, probe: &ProbeName) -> Option<u32> {
        self.pool.entry(probe).map(|entry| entry.interval)
    }

    /// What the probe said last.
    pub fn result(&self, probe: &ProbeName) -> Option<Answer> {
        let probe = self.hub.read(|tree| tree.me().host.probes.get(probe).cloned())?;
        Some(Answer::Result(Box::new(probe)))
    }

    fn cannot_run(&self, refusal: &CannotRun) -> Refusal {
        match refusal {
            CannotRun::Unknown(name) if self.records.load().contains_key(name) => {
                RefusalKind::Conflict
                    .because("the probe is disabled: give it an interval to switch it on")
            }
            CannotRun::Unknown(_) => RefusalKind::Unknown.because(refusal.to_string()),
            CannotRun::Off(_) => RefusalKind::Conflict.because(refusal.to_string()),
            CannotRun::Full => RefusalKind::Busy.because(refusal.to_string()),
        }
    }

    /// Switches probes on again whose time is over. Nothing is looked at while there are none.
    pub async fn bring_back(self: Arc<Here>, mut stop: Stop) {
        let mut put_off = PutOff::new();
        loop {
            let next = {
                let records = self.records.load();
                records.values().filter_map(|stored| next_try(stored, &put_off)).min()
            };
            let wait = next.map(|at| at.duration_since(Timestamp::now()));
            let wait = wait.map(|wait| Duration::try_from(wait).unwrap_or(Duration::ZERO));
            let sleep = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait.min(LOOK_AT_CLOCK)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = sleep => {}
                () = self.due.notified() => continue,
                () = stop.wait() => return,
            }
            let (here, tried) = (self.clone(), put_off);
            // What went wrong is told and in the log.
            put_off = blocking(move || Ok(here.bring_back_due(tried, Timestamp::now())))
                .await
                .unwrap_or_default();
        }
    }

    /// Returns those that could not be switched on just now.
    fn bring_back_due(&self, mut put_off: PutOff, now: Timestamp) -> PutOff {
        let names: Vec<ProbeName> = self.records.load().keys().cloned().collect();
        put_off.retain(|name, _| names.contains(name));
        for probe in names {
            let _alone = self.alone();
            // Somebody may have disabled it anew, or switched it on.
            let Some(stored) = self.records.load().get(&probe).cloned() else { continue };
            if next_try(&stored, &put_off).is_none_or(|at| at > now) {
                continue;
            }
            let (author, interval) = (&stored.disabled.author, stored.disabled.interval);
            let over = format!("the time for which {author} had disabled it is over");
            let message = match self.switch_on(&probe, interval) {
                Ok(()) => {
                    put_off.remove(&probe);
                    format!("runs again every {interval} s: {over}")
                }
                Err(error @ (CannotSwitch::Io { .. } | CannotSwitch::NoName { .. })) => {
                    tracing::warn!(
                        "probe `{probe}`: cannot be switched on although {over}: {error}"
                    );
                    let again = now.checked_add(TRY_AGAIN_AFTER).unwrap_or(now);
                    if put_off.insert(probe.clone(), again).is_some() {
                        continue;
                    }
                    format!("is still disabled although {over}, and is tried every minute: {error}")
                }
                Err(error) => {
                    self.stays_off(stored.clone());
                    format!("stays disabled although {over}: {error}")
                }
            };
            tracing::info!("probe `{probe}`: {message}");
            self.hub.handle(Event::Ordered { probe: Some(probe), message });
        }
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
        put_off
    }

    /// A probe that cannot be switched on stays off until somebody does it. For one that is
    /// [`alone`](Here::alone).
    fn stays_off(&self, mut stored: StoredDisabled) {
        stored.disabled.until = None;
        if let Err(error) = self.store.put_disabled(&stored) {
            let (probe, error) = (&stored.probe, anyhow::Error::from(error));
            tracing::warn!("that the probe `{probe}` stays off is not stored: {error:#}");
        }
        self.change(|records| drop(records.insert(stored.probe.clone(), stored)));
    }
}

/// When a probe is to be switched on again, if it is.
fn next_try(stored: &StoredDisabled, put_off: &PutOff) -> Option<Timestamp> {
    let until = stored.disabled.until?;
    Some(put_off.get(&stored.probe).map_or(until, |again| until.max(*again)))
}

fn path_text(path: PathBuf) -> String {
    path.into_os_string().to_string_lossy().into_owned()
}

fn log_moved(probe: &ProbeName, moved: &[PathBuf]) {
    for path in moved {
        tracing::info!("the file of the probe `{probe}` lies in `{}` now", path.display());
    }
}

fn not_stored(error: &StoreError) -> Refusal {
    RefusalKind::Failed.because(format!("nothing was changed: {error}"))
}

fn place_lost(error: &StoreError) -> Refusal {
    RefusalKind::Failed.because(format!(
        "it is disabled, but where its file lies now is not known after a restart: {error}"
    ))
}

fn cannot_switch(error: &CannotSwitch) -> Refusal {
    let kind = match error {
        CannotSwitch::NotInstalled { .. } => RefusalKind::Unknown,
        CannotSwitch::Interval { .. } => RefusalKind::Invalid,
        CannotSwitch::OffAlready { .. } | CannotSwitch::Refused { .. } => RefusalKind::Conflict,
        CannotSwitch::Io { .. } | CannotSwitch::NoName { .. } => RefusalKind::Failed,
    };
    kind.because(error.to_string())
}

#[cfg(test)]
mod tests;
