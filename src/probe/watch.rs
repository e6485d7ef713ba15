//! Notices what changes in the probe folders: at once through the kernel, and by looking again now and
//! then, since network file systems do not tell.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::catalog::{Catalog, NoProbes};

/// Between looks when the kernel says nothing.
pub const RESCAN: Duration = Duration::from_secs(30);
/// Changes are looked at when it has been quiet for this long…
const QUIET: Duration = Duration::from_millis(200);
/// …but at the latest after so many more of them.
const MAX_BURST: u32 = 10;

enum Signal {
    Changed,
    LookNow,
    Stop,
}

/// The thread that watches the probe folders.
pub struct Watch {
    signals: SyncSender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch `root`. `changed` gets every catalog that differs from the one before.
    pub fn start(
        root: PathBuf,
        first: Catalog,
        changed: impl FnMut(Result<Catalog, NoProbes>) + Send + 'static,
    ) -> std::io::Result<Watch> {
        // One waiting signal is enough: it means "look again", however many changes there were.
        let (signals, received) = sync_channel(1);
        let told = signals.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a folder or running a probe is an access, and no change.
            if !matches!(event, Ok(notify::Event { kind: EventKind::Access(_), .. })) {
                let _ = told.try_send(Signal::Changed);
            }
        });
        let watcher = watcher
            .map_err(|error| {
                tracing::warn!(
                    "changes in `{}` are noticed only every {} s: {error}",
                    root.display(),
                    RESCAN.as_secs()
                );
            })
            .ok();
        let mut watcher = Watched { watcher, folders: BTreeSet::new() };
        watcher.follow(&first.folders);
        let thread = std::thread::Builder::new()
            .name("catalog".into())
            .spawn(move || look(&root, first, watcher, &received, changed))?;
        Ok(Watch { signals, thread: Some(thread) })
    }

    /// Looks again now.
    pub fn look_now(&self) {
        let _ = self.signals.try_send(Signal::LookNow);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // If a signal waits already, the thread is told when it has taken that one.
        while let Err(TrySendError::Full(_)) = self.signals.try_send(Signal::Stop) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watched {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

impl Watched {
    fn follow(&mut self, folders: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for folder in self.folders.difference(folders) {
            let _ = watcher.unwatch(folder);
        }
        self.folders.retain(|folder| folders.contains(folder));
        for folder in folders {
            // Again for those that are watched: one that was replaced has lost its watch.
            let first_time = !self.folders.contains(folder);
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(folder.clone());
                }
                Err(error) if first_time => {
                    tracing::warn!("`{}` cannot be watched: {error}", folder.display());
                }
                Err(_) => {
                    self.folders.remove(folder);
                }
            }
        }
    }
}

fn look(
    root: &Path,
    mut known: Catalog,
    mut watched: Watched,
    signals: &Receiver<Signal>,
    mut changed: impl FnMut(Result<Catalog, NoProbes>),
) {
    loop {
        match signals.recv_timeout(RESCAN) {
            Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Signal::Changed) => {
                for _ in 0..MAX_BURST {
                    match signals.recv_timeout(QUIET) {
                        Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                        Ok(Signal::Changed) => {}
                        Ok(Signal::LookNow) | Err(RecvTimeoutError::Timeout) => break,
                    }
                }
            }
            Ok(Signal::LookNow) | Err(RecvTimeoutError::Timeout) => {}
        }
        match Catalog::read(root) {
            Ok(found) => {
                watched.follow(&found.folders);
                if found != known {
                    known = found.clone();
                    changed(Ok(found));
                }
            }
            Err(error) => changed(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests;
