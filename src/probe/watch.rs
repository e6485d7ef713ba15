//! Notices what changes in the probe folders: at once through the kernel, and by looking again now and
//! then, since network file systems do not tell.
//!
//! inotify is asked directly and for changes only. Libraries around it ask for opened files as well,
//! which would wake a thread of theirs for each run of a probe.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
};

use super::catalog::{Catalog, NoProbes};

/// Between looks when the kernel says nothing.
pub const RESCAN: Duration = Duration::from_secs(30);
/// Changes are looked at when it has been quiet for this long…
const QUIET: Duration = Duration::from_millis(200);
/// …but at the latest after so many more of them.
const MAX_BURST: u32 = 10;
/// How often the folders are read anew at once, because one was found that was not watched before.
const MAX_ROUNDS: u32 = 3;
/// Room for events, in bytes; their number does not matter, only that there are some.
const EVENT_BYTES: usize = 4096;

/// The thread that watches the probe folders.
pub struct Watch {
    alarm: Arc<Alarm>,
    thread: Option<JoinHandle<()>>,
}

/// Wakes the thread.
struct Alarm {
    event: OwnedFd,
    stop: AtomicBool,
}

impl Watch {
    /// Begins to watch `root`. `changed` gets every catalog that differs from the one before, beginning
    /// with `first`; an error once, and after that the next catalog in any case.
    pub fn start(
        root: PathBuf,
        first: Catalog,
        changed: impl FnMut(Result<Catalog, NoProbes>) + Send + 'static,
    ) -> std::io::Result<Watch> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let alarm = Arc::new(Alarm { event, stop: AtomicBool::new(false) });
        let mut look = Look {
            inotify: Inotify::new(&root),
            told: Told::Catalog(first),
            alarm: alarm.clone(),
            root,
            changed,
        };
        let thread =
            std::thread::Builder::new().name("catalog".into()).spawn(move || look.go_on())?;
        Ok(Watch { alarm, thread: Some(thread) })
    }

    /// Looks again now.
    pub fn look_now(&self) {
        self.alarm.ring();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.alarm.stop.store(true, Ordering::Release);
        self.alarm.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Alarm {
    fn ring(&self) {
        // Fails only when it has been rung 2^64 times and nobody heard it.
        let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// What was told last.
enum Told {
    Catalog(Catalog),
    Error(String),
}

/// What a wait brought.
#[derive(PartialEq)]
enum WokenBy {
    Change,
    Alarm,
    Time,
}

struct Look<Changed> {
    root: PathBuf,
    told: Told,
    inotify: Option<Inotify>,
    alarm: Arc<Alarm>,
    changed: Changed,
}

impl<Changed: FnMut(Result<Catalog, NoProbes>)> Look<Changed> {
    fn go_on(&mut self) {
        // At once: something may have changed between the first look and the first watch.
        self.look();
        loop {
            let mut woken = self.wait(RESCAN);
            for _ in 0..MAX_BURST {
                if woken != WokenBy::Change {
                    break;
                }
                woken = self.wait(QUIET);
            }
            if self.alarm.is_stopped() {
                return;
            }
            self.look();
        }
    }

    fn wait(&mut self, limit: Duration) -> WokenBy {
        let mut fds = vec![PollFd::new(&self.alarm.event, PollFlags::IN)];
        fds.extend(self.inotify.as_ref().map(|inotify| PollFd::new(&inotify.fd, PollFlags::IN)));
        let limit = Timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos() as _ };
        if poll(&mut fds, Some(&limit)).is_err() {
            return WokenBy::Time;
        }
        let is_rung = !fds[0].revents().is_empty();
        let is_changed = self.inotify.as_mut().is_some_and(Inotify::take_changes);
        if is_rung {
            let _ = rustix::io::read(&self.alarm.event, &mut [0_u8; 8]);
            return WokenBy::Alarm;
        }
        if is_changed { WokenBy::Change } else { WokenBy::Time }
    }

    fn look(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let found = Catalog::read(&self.root);
            let folders = match &found {
                Ok(catalog) => catalog.folders.clone(),
                // Where it will be made again.
                Err(_) => self
                    .root
                    .ancestors()
                    .skip(1)
                    .find(|path| path.is_dir())
                    .into_iter()
                    .map(Path::to_path_buf)
                    .collect(),
            };
            let is_complete = self.inotify.as_mut().is_none_or(|inotify| inotify.follow(&folders));
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

/// The folders that the kernel watches for us.
struct Inotify {
    fd: OwnedFd,
    /// Two paths may lead to one folder and then share a watch.
    watches: BTreeMap<PathBuf, i32>,
    /// Folders that could not be watched, each said once.
    failed: BTreeSet<PathBuf>,
}

impl Inotify {
    fn new(root: &Path) -> Option<Inotify> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let fd = fd.inspect_err(|error| {
            tracing::warn!(
                "changes in `{}` are noticed only every {} s: {error}",
                root.display(),
                RESCAN.as_secs()
            );
        });
        Some(Inotify { fd: fd.ok()?, watches: BTreeMap::new(), failed: BTreeSet::new() })
    }

    /// Watches exactly these folders. False if one was not watched before: it may have changed before
    /// we began to.
    fn follow(&mut self, folders: &BTreeSet<PathBuf>) -> bool {
        let kinds = WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let before = std::mem::take(&mut self.watches);
        let mut is_complete = true;
        for folder in folders {
            // Again for those that are watched: the path may lead to another folder now.
            match inotify::add_watch(&self.fd, folder, kinds) {
                Ok(watch) => {
                    is_complete &= before.get(folder) == Some(&watch);
                    self.watches.insert(folder.clone(), watch);
                    self.failed.remove(folder);
                }
                Err(error) => {
                    if self.failed.insert(folder.clone()) {
                        tracing::warn!("`{}` cannot be watched: {error}", folder.display());
                    }
                }
            }
        }
        self.failed.retain(|folder| folders.contains(folder));
        let in_use: BTreeSet<i32> = self.watches.values().copied().collect();
        let unused: BTreeSet<i32> =
            before.into_values().filter(|watch| !in_use.contains(watch)).collect();
        for watch in unused {
            // Fails for a folder that is gone, which took its watch along.
            let _ = inotify::remove_watch(&self.fd, watch);
        }
        is_complete
    }

    /// Takes all events that wait; whether there was one that means a change.
    fn take_changes(&mut self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut events = inotify::Reader::new(&self.fd, &mut buffer);
        let mut is_changed = false;
        while let Ok(event) = events.next() {
            // The end of a watch is told after what ended it.
            is_changed |= !event.events().contains(ReadFlags::IGNORED);
        }
        is_changed
    }
}

#[cfg(test)]
mod tests;
