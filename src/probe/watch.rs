//! Notices what changes in the probe folders: at once through `notify`, and by looking again now and
//! then, since network file systems do not tell.
//!
//! An event only means "look again". `notify` tells of every opened file as well, each time a probe is
//! run from a folder that is watched; such events are dropped, and the catalog names as few folders as
//! it can, since each of them still costs a wake-up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};

use super::catalog::{Catalog, NoProbes};

/// Between looks when nobody says anything.
pub const RESCAN: Duration = Duration::from_secs(60);
/// Changes are looked at when it has been quiet for this long…
const QUIET: Duration = Duration::from_millis(200);
/// …but at the latest after so many more of them.
const MAX_BURST: u32 = 10;
/// How often the folders are read anew at once, because one was found that was not watched before.
const MAX_ROUNDS: u32 = 3;

/// The thread that watches the probe folders.
pub struct Watch {
    alarm: SyncSender<Woken>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Makes a watch look again, from anywhere.
#[derive(Clone)]
pub struct Bell(SyncSender<Woken>);

impl Bell {
    /// Asks for a look now.
    pub fn ring(&self) {
        // Full means that a look is coming anyway.
        let _ = self.0.try_send(Woken::Alarm);
    }
}

/// What a wait brought.
#[derive(Clone, Copy, PartialEq)]
enum Woken {
    Change,
    Alarm,
    Timeout,
}

impl Watch {
    /// Begins to watch `root`. `changed` gets every catalog that differs from the one before, beginning
    /// with `first`; an error once, and after that the next catalog in any case.
    pub fn start(
        root: PathBuf,
        first: Catalog,
        changed: impl FnMut(Result<Catalog, NoProbes>) + Send + 'static,
    ) -> std::io::Result<Watch> {
        // One signal that waits is enough: it means "look again", however many changes there were.
        let (alarm, woken) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let mut look = Look {
            folders: Folders::new(&root, alarm.clone()),
            told: Told::Catalog(first),
            woken,
            stop: stop.clone(),
            root,
            changed,
        };
        let thread =
            std::thread::Builder::new().name("catalog".into()).spawn(move || look.go_on())?;
        Ok(Watch { alarm, stop, thread: Some(thread) })
    }

    /// For who changes something in the folders.
    pub fn bell(&self) -> Bell {
        Bell(self.alarm.clone())
    }

    /// Looks again now.
    pub fn look_now(&self) {
        self.bell().ring();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.look_now();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What was told last.
enum Told {
    Catalog(Catalog),
    Error(String),
}

struct Look<Changed> {
    root: PathBuf,
    told: Told,
    folders: Folders,
    woken: Receiver<Woken>,
    stop: Arc<AtomicBool>,
    changed: Changed,
}

impl<Changed: FnMut(Result<Catalog, NoProbes>)> Look<Changed> {
    fn go_on(&mut self) {
        // At once: something may have changed between the first look and the first watch.
        self.look();
        loop {
            let mut woken = self.wait(RESCAN);
            for _ in 0..MAX_BURST {
                if woken != Woken::Change || self.stop.load(Ordering::Acquire) {
                    break;
                }
                woken = self.wait(QUIET);
            }
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            self.look();
        }
    }

    fn wait(&mut self, limit: Duration) -> Woken {
        match self.woken.recv_timeout(limit) {
            Ok(woken) => woken,
            Err(RecvTimeoutError::Timeout) => Woken::Timeout,
            // Not while `folders` holds a sender.
            Err(RecvTimeoutError::Disconnected) => Woken::Alarm,
        }
    }

    fn look(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let found = Catalog::read(&self.root);
            let wanted = match &found {
                Ok(catalog) => catalog.folders.clone(),
                // Where it will be made again.
                Err(_) => {
                    let above = self.root.ancestors().skip(1).find(|path| path.is_dir());
                    above.into_iter().map(Path::to_path_buf).collect()
                }
            };
            let is_complete = self.folders.follow(&wanted);
            self.tell(found);
            if is_complete {
                return;
            }
        }
    }

    fn tell(&mut self, found: Result<Catalog, NoProbes>) {
        let (told, is_same) = match &found {
            Ok(catalog) => {
                let is_same = matches!(&self.told, Told::Catalog(told) if told == catalog);
                (Told::Catalog(catalog.clone()), is_same)
            }
            Err(error) => {
                let why = format!("{error}: {}", error.source);
                let is_same = matches!(&self.told, Told::Error(told) if *told == why);
                (Told::Error(why), is_same)
            }
        };
        if !is_same {
            self.told = told;
            (self.changed)(found);
        }
    }
}

/// What tells a folder from another one that takes its path, and perhaps its inode.
type Identity = Option<(u64, u64, Option<SystemTime>)>;

fn identity(path: &Path) -> Identity {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

/// The folders that are watched for us.
struct Folders {
    /// `None` where the kernel has no watches left to give.
    watcher: Option<RecommendedWatcher>,
    /// Each with what tells it from another one that takes its path.
    watched: BTreeMap<PathBuf, Identity>,
    /// Folders that could not be watched, each said once.
    failed: BTreeSet<PathBuf>,
}

impl Folders {
    fn new(root: &Path, alarm: SyncSender<Woken>) -> Folders {
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if is_change(&event) {
                let _ = alarm.try_send(Woken::Change);
            }
        });
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(
                "changes in `{}` are noticed only every {} s: {error}",
                root.display(),
                RESCAN.as_secs()
            );
        });
        Folders { watcher: watcher.ok(), watched: BTreeMap::new(), failed: BTreeSet::new() }
    }

    /// Watches exactly these folders. False if one was not watched before, or cannot be: it may have
    /// changed since it was found.
    fn follow(&mut self, wanted: &BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else { return true };
        // Several paths may lead to one folder, which has one watch.
        let resolve = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let wanted: BTreeSet<PathBuf> = wanted.iter().map(resolve).collect();
        let mut is_complete = true;
        self.watched.retain(|folder, was| {
            let keep = wanted.contains(folder) && identity(folder) == *was;
            if !keep {
                // Fails for a folder that is gone, which took its watch along.
                let _ = watcher.unwatch(folder);
            }
            keep
        });
        self.failed.retain(|folder| wanted.contains(folder));
        for folder in &wanted {
            if self.watched.contains_key(folder) {
                continue;
            }
            let now = identity(folder);
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    is_complete = false;
                    self.watched.insert(folder.clone(), now);
                    self.failed.remove(folder);
                }
                Err(error) => {
                    if self.failed.insert(folder.clone()) {
                        // Perhaps gone since it was found: then another look finds what is there.
                        is_complete = false;
                        tracing::warn!("`{}` cannot be watched: {error}", folder.display());
                    }
                }
            }
        }
        is_complete
    }
}

/// Whether an event may mean a change. Of all ways to touch a file without changing it, we are told
/// with each run.
fn is_change(event: &notify::Result<Event>) -> bool {
    match event {
        Ok(Event { kind: EventKind::Access(kind), .. }) => {
            *kind == AccessKind::Close(AccessMode::Write)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
