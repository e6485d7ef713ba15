use std::{collections::BTreeSet, os::unix::fs::symlink};

use super::*;
use crate::probe::catalog::Catalog;

struct Folder {
    _base: tempfile::TempDir,
    root: PathBuf,
}

impl Folder {
    /// A probes folder with one installed probe, `load`.
    fn new() -> Folder {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().canonicalize().unwrap().join("probes");
        fs::create_dir(&root).unwrap();
        let folder = Folder { _base: base, root };
        folder.file("examples/load", "one");
        folder
    }

    fn make(&self, folder: &str) {
        fs::create_dir_all(self.root.join(folder)).unwrap();
    }

    fn file(&self, path: &str, content: &str) {
        self.make(Path::new(path).parent().unwrap().to_str().unwrap());
        fs::write(self.root.join(path), content).unwrap();
        fs::set_permissions(self.root.join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn link(&self, target: &str, path: &str) {
        self.make(Path::new(path).parent().unwrap().to_str().unwrap());
        symlink(target, self.root.join(path)).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|error| error.to_string())
    }

    fn aim(&self, path: &str) -> PathBuf {
        fs::read_link(self.root.join(path)).unwrap()
    }

    /// What the interval folders hold, hidden files too.
    fn places(&self) -> BTreeSet<String> {
        let inside = |folder: &Path| fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        inside(&self.root)
            .filter(|folder| !folder.ends_with(EXAMPLES))
            .flat_map(|folder| inside(&folder).collect::<Vec<_>>())
            .map(|path| path.strip_prefix(&self.root).unwrap().display().to_string())
            .collect()
    }

    fn interval(&self, probe: &str) -> Option<u32> {
        let entry = Catalog::read(&self.root).unwrap().entries.remove(probe)?;
        assert_eq!(entry.refused, None);
        Some(entry.interval)
    }

    fn disable(&self, probe: &str) -> Result<Before, CannotSwitch> {
        disable(&self.root, &name(probe))
    }

    fn schedule(&self, probe: &str, seconds: u32) -> Result<Vec<PathBuf>, CannotSwitch> {
        schedule(&self.root, &name(probe), seconds, None)
    }
}

fn name(name: &str) -> ProbeName {
    ProbeName::parse(name).unwrap()
}

fn set(paths: &[&str]) -> BTreeSet<String> {
    paths.iter().map(ToString::to_string).collect()
}

#[test]
fn an_installed_probe_is_scheduled_once_moved_and_switched_off() {
    let folder = Folder::new();
    folder.schedule("load", 60).unwrap();
    assert_eq!(folder.interval("load"), Some(60));
    assert_eq!(folder.aim("60/load"), Path::new("../examples/load"));
    folder.link("../examples/load", "900/load");
    folder.schedule("load", 300).unwrap();
    assert_eq!(folder.places(), set(&["300/load"]));
    let mode = fs::metadata(folder.root.join("300")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, FOLDER_MODE);
    // Again, and nothing is different.
    folder.schedule("load", 300).unwrap();
    assert_eq!(folder.places(), set(&["300/load"]));
    folder.link("../examples/load", "5/load");
    let before = folder.disable("load").unwrap();
    assert_eq!(before, Before { interval: 5, target: PathBuf::new(), moved: vec![] });
    assert_eq!((folder.places(), folder.text("examples/load")), (set(&[]), "one".into()));
    assert!(matches!(folder.disable("load"), Err(CannotSwitch::OffAlready { .. })));
}

#[test]
fn a_file_in_an_interval_folder_is_kept_beside_what_has_its_name() {
    let folder = Folder::new();
    folder.file("60/own", "mine");
    let before = folder.disable("own").unwrap();
    assert_eq!(before.moved, [folder.root.join("examples/own")]);
    assert_eq!(before.target, Path::new(""));
    assert_eq!(folder.text("examples/own"), "mine");
    // Another file has the name.
    folder.file("60/load", "two");
    let before = folder.disable("load").unwrap();
    assert_eq!(before.moved, [folder.root.join("examples/load-2")]);
    assert_eq!(
        (folder.text("examples/load"), folder.text("examples/load-2")),
        ("one".into(), "two".into())
    );
    assert_eq!(folder.places(), set(&[]));
    // And it is the one that comes back.
    schedule(&folder.root, &name("load"), before.interval, Some(&before.target)).unwrap();
    assert_eq!(folder.text("60/load"), "two");
    folder.file("90/load", "three");
    folder.schedule("load", 90).unwrap();
    assert_eq!(
        (folder.text("90/load"), folder.text("examples/load-3")),
        ("two".into(), "three".into())
    );
    assert_eq!(folder.places(), set(&["90/load"]));
}

#[test]
fn a_file_that_is_in_both_places_since_a_crash_is_one() {
    let folder = Folder::new();
    folder.file("60/own", "mine");
    folder.link("nowhere", "60/.wigo-new-link");
    fs::hard_link(folder.root.join("60/own"), folder.root.join("examples/own")).unwrap();
    assert_eq!(folder.schedule("own", 60).unwrap(), [folder.root.join("examples/own")]);
    assert_eq!(folder.places(), set(&["60/own"]));
    assert_eq!(folder.aim("60/own"), Path::new("../examples/own"));
}

#[test]
fn a_link_keeps_pointing_to_where_it_did() {
    let folder = Folder::new();
    let elsewhere = folder.root.parent().unwrap().join("far");
    fs::write(&elsewhere, "far").unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o755)).unwrap();
    folder.link("../../far", "60/load");
    folder.schedule("load", 120).unwrap();
    assert_eq!((folder.text("120/load"), folder.places()), ("far".into(), set(&["120/load"])));
    let before = folder.disable("load").unwrap();
    assert_eq!(before.target, Path::new("../../far"));
    schedule(&folder.root, &name("load"), 30, Some(&before.target)).unwrap();
    assert_eq!(folder.text("30/load"), "far");
    // Also where the folder of probes is a link itself.
    let way = folder.root.parent().unwrap().join("deep/er");
    fs::create_dir_all(&way).unwrap();
    let way = way.join("probes");
    symlink(&folder.root, &way).unwrap();
    schedule(&way, &name("load"), 90, None).unwrap();
    assert_eq!((folder.text("90/load"), folder.places()), ("far".into(), set(&["90/load"])));
}

#[test]
fn a_relative_link_from_a_folder_that_is_a_link_still_leads_there() {
    let folder = Folder::new();
    let base = folder.root.parent().unwrap();
    fs::create_dir_all(base.join("deep/down")).unwrap();
    fs::write(base.join("deep/far"), "far").unwrap();
    fs::set_permissions(base.join("deep/far"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink(base.join("deep/down"), folder.root.join("60")).unwrap();
    folder.link("../far", "60/load");
    folder.schedule("load", 120).unwrap();
    assert_eq!(folder.text("120/load"), "far");
}

#[test]
fn only_what_is_installed_and_may_run_is_switched() {
    let folder = Folder::new();
    folder.file("examples/.hidden", "");
    folder.file("examples/wigo-probe", "");
    folder.file("examples/wigo", "");
    folder.file("other/stranger", "");
    for probe in ["nobody", ".hidden", "wigo-probe", "wigo", "stranger", "load/service", "$(id)"] {
        let refused = folder.schedule(probe, 60).unwrap_err();
        assert!(matches!(refused, CannotSwitch::NotInstalled { .. }), "{probe}: {refused}");
        assert!(matches!(folder.disable(probe), Err(CannotSwitch::NotInstalled { .. })), "{probe}");
    }
    for seconds in [0, 1, 86_401] {
        assert!(matches!(folder.schedule("load", seconds), Err(CannotSwitch::Interval { .. })));
    }
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.root.join("examples/load"), open).unwrap();
    let refused = folder.schedule("load", 60).unwrap_err().to_string();
    assert!(refused.contains("written by everybody"), "{refused}");
    assert_eq!(fs::read_dir(&folder.root).unwrap().count(), 2, "no folder was made");
}
