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

/// The probes of this host.
pub(super) struct Here {
    hub: Arc<Hub>,
    pool: Arc<Pool>,
    config: Arc<ArcSwap<Config>>,
    store: OrderStore,
    root: PathBuf,
    /// Held while files are changed too, so that one change comes after the other.
    records: Mutex<BTreeMap<ProbeName, StoredDisabled>>,
    bell: OnceLock<Bell>,
    /// Counts the catalogs that the pool has been given.
    pub looked: watch::Sender<u64>,
    /// Another probe may be the next to come back.
    due: Notify,
}

/// Work with files and the database, which may take its time.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let broken = |_| Err(RefusalKind::Failed.because("it broke off: please report this"));
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
            records: Mutex::new(records),
            bell: OnceLock::new(),
            looked: watch::channel(0).0,
            due: Notify::new(),
        };
        here.switched_on_by_hand();
        here.tell(&here.records());
        here
    }

    /// From now on the folders are watched.
    pub fn watched(&self, bell: Bell) {
        // There is one watch for one agent.
        let _ = self.bell.set(bell);
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<ProbeName, StoredDisabled>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, records: &BTreeMap<ProbeName, StoredDisabled>) {
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
        let mut records = self.records();
        let on: Vec<ProbeName> =
            records.keys().filter(|name| switch::is_scheduled(&self.root, name)).cloned().collect();
        for name in &on {
            records.remove(name);
            if let Err(error) = self.store.remove_disabled(name) {
                let error = anyhow::Error::from(error);
                tracing::warn!("that the probe `{name}` is switched on is not stored: {error:#}");
            }
        }
        if !on.is_empty() {
            self.tell(&records);
        }
    }

    /// What runs when, now.
    pub fn schedule(&self) -> Schedule {
        let (name, config) =
            (self.hub.read(|tree| tree.me().host.name.clone()), self.config.load());
        let overview = self.pool.overview();
        let allowed = config.http.allow_write_actions;
        Schedule::new(name, allowed, &overview, self.records().values())
    }

    /// Carries out an order of `author`; a run may take `limit`.
    pub async fn carry_out(
        self: &Arc<Here>,
        probe: &ProbeName,
        action: &Action,
        author: &str,
        limit: Duration,
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
            Action::Run => return self.run(probe, limit).await,
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
        let mut records = self.records();
        let (interval, target) = match (switch::before(&self.root, probe), records.get(probe)) {
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
        match switch::disable(&self.root, probe) {
            Ok(Before { target, moved, .. }) => {
                log_moved(probe, &moved);
                let target = path_text(target);
                if target != stored.target {
                    stored.target = target;
                    self.store.put_disabled(&stored).map_err(|error| not_stored(&error))?;
                }
            }
            // Off already, and that was looked at above.
            Err(CannotSwitch::OffAlready { .. } | CannotSwitch::NotInstalled { .. }) => {}
            Err(error) => {
                let _ = self.store.remove_disabled(probe); // in vain: the link in the folder says more
                return Err(cannot_switch(&error));
            }
        }
        records.insert(probe.clone(), stored);
        self.tell(&records);
        Ok(())
    }

    fn set_interval(&self, probe: &ProbeName, seconds: u32) -> Result<(), Refusal> {
        let mut records = self.records();
        let target = records.get(probe).map(|stored| PathBuf::from(&stored.target));
        let moved = switch::schedule(&self.root, probe, seconds, target.as_deref())
            .map_err(|error| cannot_switch(&error))?;
        log_moved(probe, &moved);
        if records.remove(probe).is_some() {
            if let Err(error) = self.store.remove_disabled(probe) {
                // It is seen at the next look at the folders that this is over.
                let error = anyhow::Error::from(error);
                tracing::warn!("that the probe `{probe}` is switched on is not stored: {error:#}");
            }
            self.tell(&records);
        }
        Ok(())
    }

    async fn run(&self, probe: &ProbeName, limit: Duration) -> Result<Answer, Refusal> {
        if let Some(why) = self.pool.entry(probe).and_then(|entry| entry.refused) {
            return Err(RefusalKind::Conflict.because(format!("the probe is not run: {why}")));
        }
        let told = self.pool.run_and_wait(probe).map_err(|refusal| self.cannot_run(&refusal))?;
        let gone = || RefusalKind::Conflict.because("the probe was switched off or is gone");
        match timeout(limit, told).await {
            Ok(Ok(Awaited::Said)) => {}
            Ok(Ok(Awaited::Off(off))) => {
                let why = match off {
                    Off::Disabled => "it was run and said that it is switched off (exit 12)",
                    Off::Skipped => {
                        "it was run and said that it does not apply to this host (exit 13)"
                    }
                };
                return Err(RefusalKind::Conflict.because(why));
            }
            Ok(Err(_)) => return Err(gone()),
            Err(_) => {
                let why = format!(
                    "the run has not ended within {} s: its result will be seen when it has",
                    limit.as_secs()
                );
                return Err(RefusalKind::Late.because(why));
            }
        }
        self.result(probe).ok_or_else(gone)
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
            CannotRun::Unknown(name) if self.records().contains_key(name) => RefusalKind::Conflict
                .because("the probe is disabled: give it an interval to switch it on"),
            CannotRun::Unknown(_) => RefusalKind::Unknown.because(refusal.to_string()),
            CannotRun::Off(_) => RefusalKind::Conflict.because(refusal.to_string()),
            CannotRun::Full => RefusalKind::Busy.because(refusal.to_string()),
        }
    }

    /// Switches probes on again whose time is over. Nothing is looked at while there are none.
    pub async fn bring_back(self: Arc<Here>, mut stop: Stop) {
        loop {
            let next = self.records().values().filter_map(|stored| stored.disabled.until).min();
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
            let here = self.clone();
            // What went wrong is told and in the log.
            let _ = blocking(move || {
                here.bring_back_due();
                Ok(())
            })
            .await;
        }
    }

    fn bring_back_due(&self) {
        let now = Timestamp::now();
        let due: Vec<StoredDisabled> = {
            let records = self.records();
            let is_due =
                |stored: &&StoredDisabled| stored.disabled.until.is_some_and(|until| until <= now);
            records.values().filter(is_due).cloned().collect()
        };
        for StoredDisabled { probe, disabled, .. } in due {
            let (author, interval) = (&disabled.author, disabled.interval);
            let over = format!("the time for which {author} had disabled it is over");
            let message = match self.set_interval(&probe, interval) {
                Ok(()) => format!("runs again every {interval} s: {over}"),
                Err(Refusal { why, .. }) => {
                    self.stays_off(&probe);
                    format!("stays disabled although {over}: {why}")
                }
            };
            tracing::info!("probe `{probe}`: {message}");
            self.hub.handle(Event::Ordered { probe: Some(probe), message });
        }
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
    }

    /// A probe that cannot be switched on stays off until somebody does it.
    fn stays_off(&self, probe: &ProbeName) {
        let mut records = self.records();
        let Some(stored) = records.get_mut(probe) else { return };
        stored.disabled.until = None;
        if let Err(error) = self.store.put_disabled(stored) {
            let error = anyhow::Error::from(error);
            tracing::warn!("that the probe `{probe}` stays off is not stored: {error:#}");
        }
        self.tell(&records);
    }
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

fn cannot_switch(error: &CannotSwitch) -> Refusal {
    let kind = match error {
        CannotSwitch::NotInstalled { .. } => RefusalKind::Unknown,
        CannotSwitch::Interval { .. } => RefusalKind::Invalid,
        CannotSwitch::OffAlready { .. } | CannotSwitch::Refused { .. } => RefusalKind::Conflict,
        CannotSwitch::Io { .. } | CannotSwitch::NoName { .. } => RefusalKind::Failed,
    };
    kind.because(error.to_string())
}
