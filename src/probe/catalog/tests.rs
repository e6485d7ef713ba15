use std::{
    os::unix::{ffi::OsStringExt, fs::symlink},
    process::Command,
};

use tempfile::TempDir;

use super::*;

struct Root {
    _folder: TempDir,
    path: PathBuf,
}

impl Root {
    fn new(folders: &[&str]) -> Root {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("probes");
        let root = Root { _folder: folder, path };
        fs::create_dir(&root.path).unwrap();
        set_mode(&root.path, 0o755);
        for folder in folders {
            fs::create_dir(root.path.join(folder)).unwrap();
            set_mode(&root.path.join(folder), 0o755);
        }
        root
    }

    fn file(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        set_mode(&path, mode);
        path
    }

    fn link(&self, target: impl AsRef<Path>, name: &str) -> PathBuf {
        symlink(target, self.path.join(name)).unwrap();
        self.path.join(name)
    }

    fn read(&self) -> Catalog {
        Catalog::read(&self.path).unwrap()
    }

    /// Name and interval of everything that would be run or refused.
    fn entries(&self) -> Vec<(String, u32)> {
        let entries = self.read().entries.into_iter();
        entries.map(|(name, entry)| (name.to_string(), entry.interval)).collect()
    }

    fn why_not_run(&self, name: &str) -> String {
        let catalog = self.read();
        let found = catalog.not_run.iter().find(|not_run| not_run.path == self.path.join(name));
        found.unwrap_or_else(|| panic!("`{name}` is not in {catalog:?}")).why.clone()
    }

    fn refusal(&self, name: &str) -> Option<String> {
        self.read().entries[name].refused.clone()
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn folders_named_by_seconds_are_intervals() {
    let taken = ["2", "60", "060", "+90", "86400"];
    let refused = ["0", "1", "-5", "86401", "90000", "99999999999999999999"];
    let others = ["tmp", "6o", "60s", "", "+", "1e3"].map(|name| format!("x{name}"));
    let mut folders: Vec<&str> = taken.iter().chain(&refused).copied().collect();
    folders.extend(others.iter().map(String::as_str));
    let root = Root::new(&folders);
    for folder in &folders {
        root.file(&format!("{folder}/in_{folder}"), 0o755);
    }
    let mut found = root.entries();
    found.sort_by_key(|(_, interval)| *interval);
    let expected =
        [("in_2", 2), ("in_060", 60), ("in_60", 60), ("in_+90", 90), ("in_86400", 86_400)];
    assert_eq!(found, expected.map(|(name, interval)| (name.to_owned(), interval)));
    for folder in refused {
        assert!(root.why_not_run(folder).contains("2 to 86400 seconds"), "{folder}");
    }
    assert_eq!(root.read().not_run.len(), refused.len());
}

#[test]
fn a_missing_folder_is_an_error_that_says_what_to_do() {
    let root = Root::new(&[]);
    let error = Catalog::read(&root.path.join("gone")).unwrap_err();
    assert!(error.to_string().contains("ProbesDirectory"));
}

#[test]
fn an_interval_that_is_no_folder_is_told() {
    let root = Root::new(&["60"]);
    root.file("120", 0o755);
    root.link("300", "300");
    root.link("gone", "600");
    assert!(root.why_not_run("120").contains("not a folder"));
    assert!(root.why_not_run("300").contains("cannot be opened"));
    assert!(root.why_not_run("600").contains("cannot be opened"));
}

#[test]
fn the_smallest_interval_owns_a_name() {
    let root = Root::new(&["60", "300", "5"]);
    for folder in ["300", "60", "5"] {
        root.file(&format!("{folder}/a"), 0o755);
    }
    root.link("60", "30");
    assert_eq!(root.entries(), [("a".to_owned(), 5)]);
    for folder in ["30", "60", "300"] {
        assert!(root.why_not_run(&format!("{folder}/a")).contains("runs every 5 s already"));
    }
}

#[test]
fn a_link_to_an_interval_folder_is_one() {
    let root = Root::new(&["60"]);
    root.file("60/a", 0o755);
    root.link("60", "20");
    let catalog = root.read();
    assert_eq!(catalog.entries["a"].interval, 20);
    assert_eq!(catalog.entries["a"].path, root.path.join("20/a"));
    assert_eq!(catalog.entries["a"].refused, None);
}

#[test]
fn links_lead_to_probes_and_where_something_is_missing_is_watched() {
    let root = Root::new(&["60", "examples", "lib"]);
    let target = root.file("examples/a", 0o755);
    root.link("../examples/a", "60/renamed");
    root.link("../lib/gone", "60/dangling");
    root.link("loop", "60/loop");
    let catalog = root.read();
    let entry = &catalog.entries["renamed"];
    assert_eq!((entry.interval, &entry.refused), (60, &None));
    assert_eq!(entry.version, Version::check(&target).ok());
    let why = root.refusal("dangling").unwrap();
    assert!(why.contains("`../lib/gone`"), "{why}");
    assert!(root.refusal("loop").unwrap().contains("`loop`"));
    for (folder, watched) in [("", true), ("60", true), ("lib", true), ("examples", false)] {
        assert_eq!(catalog.folders.contains(&root.path.join(folder)), watched, "{folder}");
    }
}

#[test]
fn what_is_no_program_is_told_and_not_run() {
    let root = Root::new(&["60", "60/folder"]);
    assert!(Command::new("mkfifo").arg(root.path.join("60/fifo")).status().unwrap().success());
    root.link("/tmp", "60/tmp");
    root.link("/dev/null", "60/null");
    root.file("60/plain", 0o644);
    let leftovers = [".hidden", "a~", "a.swp", "a.bak", "a.dpkg-old", "a.rpmsave"];
    for name in leftovers {
        root.file(&format!("60/{name}"), 0o755);
        assert!(root.why_not_run(&format!("60/{name}")).contains("backup"));
    }
    root.file("60/wigo", 0o755);
    assert!(root.why_not_run("60/fifo").contains("neither a file"));
    assert!(root.why_not_run("60/tmp").contains("link to a folder"));
    assert!(root.why_not_run("60/null").contains("neither a file"));
    assert!(root.why_not_run("60/plain").contains("chmod +x"));
    assert!(root.why_not_run("60/wigo").contains("rename"));
    assert_eq!(root.entries(), []);
    assert_eq!(root.read().not_run.len(), 5 + leftovers.len());
}

#[test]
fn names_may_be_strange_but_not_broken() {
    let root = Root::new(&["60"]);
    let longest = "x".repeat(255);
    let good = ["a b", "a'\"$(x);", "..a", "ä…", longest.as_str()];
    for name in good {
        root.file(&format!("60/{name}"), 0o755);
    }
    root.file("60/line\nbreak", 0o755);
    let bytes = std::ffi::OsString::from_vec(b"\xff\xfe".to_vec());
    fs::write(root.path.join("60").join(bytes), "").unwrap();
    let mut found: Vec<String> = root.entries().into_iter().map(|(name, _)| name).collect();
    // `..a` is hidden.
    let mut expected = vec!["a b", "a'\"$(x);", "ä…", &longest];
    found.sort();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(root.why_not_run("60/line\nbreak").contains("line break"));
    assert!(root.read().not_run.iter().any(|not_run| not_run.why.contains("UTF-8")));
}

#[test]
fn what_others_may_change_is_refused_with_the_reason() {
    let root = Root::new(&["60", "300", "lib"]);
    root.file("60/open", 0o757);
    root.file("60/good", 0o755);
    root.file("300/in_open_folder", 0o755);
    root.file("lib/target", 0o755);
    root.link("../lib/target", "60/link");
    assert_eq!(root.refusal("good"), None);
    assert_eq!(root.refusal("link"), None);
    assert!(root.refusal("open").unwrap().contains("chmod o-w"));
    set_mode(&root.path.join("300"), 0o777);
    assert!(root.refusal("in_open_folder").unwrap().contains("/300` may be written"));
    set_mode(&root.path.join("lib"), 0o777);
    assert!(root.refusal("link").unwrap().contains("/lib` may be written"));
    assert!(Version::check_whole(&root.path.join("60/link")).is_err());
    assert!(Version::check_whole(&root.path.join("60/good")).is_ok());
    set_mode(&root.path, 0o777);
    assert!(root.refusal("good").unwrap().contains("/probes` may be written"));
    // Somebody could make an interval of a folder that is in order by itself.
    let elsewhere = Root::new(&["60"]);
    elsewhere.file("60/a", 0o755);
    root.link(elsewhere.path.join("60"), "90");
    assert!(root.refusal("a").unwrap().contains("/probes` may be written"));
}

#[test]
fn group_members_count_as_others_unless_there_are_none() {
    let root = Root::new(&["60"]);
    let file = root.file("60/a", 0o775);
    // Only root can give a file to a group that does not exist.
    if std::os::unix::fs::chown(&file, None, Some(54_321)).is_ok() {
        set_mode(&file, 0o775);
        assert!(root.refusal("a").unwrap().contains("written by group 54321"));
        set_mode(&file, 0o755);
        assert_eq!(root.refusal("a"), None);
    }
}

#[test]
fn right_before_the_run_the_file_is_looked_at_again() {
    let root = Root::new(&["60"]);
    let file = root.file("60/a", 0o755);
    let version = Version::check(&file).unwrap();
    assert_eq!(Version::check(&file), Ok(version));
    set_mode(&file, 0o757);
    assert!(Version::check(&file).unwrap_err().contains("chmod o-w"));
    fs::remove_file(&file).unwrap();
    assert!(Version::check(&file).unwrap_err().contains("cannot be looked at"));
    assert!(Version::check_whole(&file).unwrap_err().contains("no such file"));
    root.file("60/new", 0o755);
    fs::rename(root.path.join("60/new"), &file).unwrap();
    assert_ne!(Version::check(&file), Ok(version));
}

#[test]
fn examples_that_are_not_linked_are_disabled() {
    let root = Root::new(&["60", "examples"]);
    for name in ["on", "off", ".hidden", "copy.bak"] {
        root.file(&format!("examples/{name}"), 0o755);
    }
    root.file("examples/README", 0o644);
    root.link("../examples/on", "60/on");
    assert_eq!(root.read().disabled, BTreeSet::from(["off".to_owned()]));
}

#[test]
fn there_are_bounds() {
    let root = Root::new(&["60"]);
    let program = root.file("program", 0o755);
    for number in 0..MAX_PROBES + 5 {
        fs::hard_link(&program, root.path.join(format!("60/p{number:05}"))).unwrap();
    }
    let catalog = root.read();
    assert_eq!((catalog.entries.len(), catalog.not_run.len()), (MAX_PROBES, 5));
    assert!(root.why_not_run(&format!("60/p{MAX_PROBES:05}")).contains("more than 1000 probes"));
    for number in 0..MAX_FOLDERS + 5 {
        fs::create_dir_all(root.path.join(format!("{}", 1_000 + number))).unwrap();
    }
    let not_run = root.read().not_run;
    assert_eq!(not_run.iter().filter(|it| it.why.contains("interval folders")).count(), 6);
}
