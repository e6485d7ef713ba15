use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

use tempfile::TempDir;

use super::*;
use crate::tree::ProbeName;

/// Less than [`RESCAN`]: what comes by then was told by the kernel.
const AT_ONCE: Duration = Duration::from_secs(25);

struct Bench {
    _folder: TempDir,
    root: PathBuf,
    told: Receiver<Result<Catalog, NoProbes>>,
    watch: Watch,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("probes");
        for name in ["60", "examples"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        program(&root.join("examples/target"), 0o644);
        symlink("../examples/target", root.join("60/link")).unwrap();
        let (tell, told) = channel();
        let first = Catalog::read(&root).unwrap();
        let watch = Watch::start(root.clone(), first, move |found| tell.send(found).unwrap());
        Bench { _folder: folder, root, told, watch: watch.unwrap() }
    }

    /// Waits for a catalog of which this holds.
    fn wait_for(&self, what: &str, holds: impl Fn(&Catalog) -> bool) -> Catalog {
        let until = Instant::now() + AT_ONCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left) {
                Ok(Ok(catalog)) if holds(&catalog) => return catalog,
                Ok(_) => {}
                Err(error) => panic!("{what}: {error}"),
            }
        }
    }

    fn names(catalog: &Catalog) -> Vec<&str> {
        catalog.entries.keys().map(ProbeName::as_str).collect()
    }

    fn wait_for_names(&self, names: &[&str]) -> Catalog {
        self.wait_for(&format!("{names:?}"), |catalog| Bench::names(catalog) == names)
    }
}

fn program(path: &Path, mode: u32) {
    fs::write(path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_happens_to_a_probe_is_told() {
    let bench = Bench::new();
    let path = |name: &str| bench.root.join("60").join(name);
    program(&path("a"), 0o755);
    bench.wait_for_names(&["a"]);
    fs::rename(path("a"), path("b")).unwrap();
    let before = bench.wait_for_names(&["b"]);
    program(&path("new~"), 0o755);
    fs::rename(path("new~"), path("b")).unwrap();
    bench.wait_for("replaced", |found| found.entries["b"].version != before.entries["b"].version);
    fs::set_permissions(path("b"), fs::Permissions::from_mode(0o644)).unwrap();
    bench.wait_for_names(&[]);
    fs::set_permissions(path("b"), fs::Permissions::from_mode(0o755)).unwrap();
    bench.wait_for_names(&["b"]);
    fs::remove_file(path("b")).unwrap();
    bench.wait_for_names(&[]);
}

#[test]
fn what_was_missing_where_a_link_leads_is_told() {
    let bench = Bench::new();
    let target = bench.root.join("examples/target");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
    bench.wait_for_names(&["link"]);
    symlink("../examples/later", bench.root.join("60/dangling")).unwrap();
    bench.wait_for("dangling", |found| {
        found.entries.get("dangling").is_some_and(|entry| entry.refused.is_some())
    });
    program(&bench.root.join("examples/later"), 0o755);
    bench.wait_for("there", |found| {
        found.entries.get("dangling").is_some_and(|entry| entry.refused.is_none())
    });
}

#[test]
fn folders_come_and_go() {
    let bench = Bench::new();
    // The file comes right after its folder, perhaps before that is watched.
    fs::create_dir(bench.root.join("90")).unwrap();
    program(&bench.root.join("90/a"), 0o755);
    bench.wait_for_names(&["a"]);
    fs::rename(bench.root.join("90"), bench.root.join("120")).unwrap();
    bench.wait_for("renamed", |found| {
        found.entries.get("a").is_some_and(|entry| entry.interval == 120)
    });
    program(&bench.root.join("120/b"), 0o755);
    bench.wait_for_names(&["a", "b"]);
    fs::remove_dir_all(bench.root.join("120")).unwrap();
    bench.wait_for_names(&[]);
}

#[test]
fn the_probes_folder_may_go_and_come_back() {
    let bench = Bench::new();
    let away = bench.root.with_file_name("away");
    for _ in 0..2 {
        fs::rename(&bench.root, &away).unwrap();
        while bench.told.recv_timeout(AT_ONCE).unwrap().is_ok() {}
        // The same files as before, and nevertheless told: the error is over.
        fs::rename(&away, &bench.root).unwrap();
        bench.wait_for_names(&[]);
    }
    fs::remove_dir_all(&bench.root).unwrap();
    while bench.told.recv_timeout(AT_ONCE).unwrap().is_ok() {}
    fs::create_dir_all(bench.root.join("30")).unwrap();
    program(&bench.root.join("30/a"), 0o755);
    bench.wait_for_names(&["a"]);
    program(&bench.root.join("30/b"), 0o755);
    bench.wait_for_names(&["a", "b"]);
}

#[test]
fn reading_and_running_is_no_change() {
    use notify::event::{AccessKind, AccessMode, CreateKind, MetadataKind, ModifyKind, RemoveKind};
    let check = |kind, expected| assert_eq!(is_change(&Ok(Event::new(kind))), expected, "{kind:?}");
    check(EventKind::Access(AccessKind::Open(AccessMode::Any)), false);
    check(EventKind::Access(AccessKind::Close(AccessMode::Read)), false);
    check(EventKind::Access(AccessKind::Close(AccessMode::Write)), true);
    check(EventKind::Create(CreateKind::File), true);
    check(EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)), true);
    check(EventKind::Remove(RemoveKind::File), true);
    assert!(is_change(&Err(notify::Error::generic("events were lost"))));
}

#[test]
fn two_paths_to_one_folder_share_a_watch() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir(root.join("60")).unwrap();
    symlink("60", root.join("30")).unwrap();
    let (alarm, woken) = sync_channel(1);
    let mut folders = Folders::new(&root, alarm);
    let told = |name: &str| {
        while woken.try_recv().is_ok() {}
        fs::write(root.join("60").join(name), "").unwrap();
        assert!(woken.recv_timeout(AT_ONCE).is_ok(), "{name}");
    };
    let one = BTreeSet::from([root.join("60")]);
    assert!(!folders.follow(&BTreeSet::from([root.join("60"), root.join("30")])), "new");
    assert!(folders.follow(&one), "watched already");
    told("a");
    // A folder that was replaced is watched anew.
    fs::remove_dir_all(root.join("60")).unwrap();
    fs::create_dir(root.join("60")).unwrap();
    assert!(!folders.follow(&one), "another one");
    told("b");
}

#[test]
fn what_changed_before_the_watch_began_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir(root.join("60")).unwrap();
    let first = Catalog::read(&root).unwrap();
    program(&root.join("60/a"), 0o755);
    let (tell, told) = channel();
    let _watch = Watch::start(root, first, move |found| tell.send(found).unwrap()).unwrap();
    assert_eq!(Bench::names(&told.recv_timeout(AT_ONCE).unwrap().unwrap()), ["a"]);
}

#[test]
fn a_look_that_is_asked_for_tells_nothing_without_a_change_and_the_end_is_the_end() {
    let Bench { _folder, told, watch, .. } = Bench::new();
    for _ in 0..100 {
        watch.look_now();
    }
    drop(watch);
    assert!(told.recv().is_err(), "told of no change");
}
