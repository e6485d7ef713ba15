use std::fs;

use uuid::Uuid;

use super::*;
use crate::{
    hub::{Changes, Journal, Ledger},
    probe::pool::{self, Settings},
    store::{self, Store},
    tree::{Host, Instance, ProbeResult, Tree},
};

const ME: Uuid = Uuid::from_u128(1);

struct Nobody;

impl Journal for Nobody {
    fn record(&self, _: Changes) {}
}

impl pool::Sink for Nobody {
    fn ran(&self, _: &ProbeName, _: Vec<ProbeResult>, _: bool) {}
    fn gone(&self, _: &ProbeName, _: &str) {}
}

struct Fixture {
    here: Here,
    /// The probes folder.
    root: PathBuf,
    store: Store,
    _folder: tempfile::TempDir,
}

/// A host with the probe `load`, every 60 s, whose folders nobody watches.
fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    let root = base.join("probes");
    fs::create_dir_all(root.join("60")).unwrap();
    let text = format!("[Global]\nProbesDirectory = \"{}\"\n", root.display());
    let config = crate::config::parse(&text, &base.join("wigo.conf")).unwrap().config;
    let tree = Tree::new(Instance::new(ME, "Wigo v1", Host::new("here", "")));
    let hub = Arc::new(Hub::new(tree, Ledger::default(), Box::new(Nobody)));
    let pool = Pool::start(1, 1, Settings::of(&config), Box::new(Nobody)).unwrap();
    let settings = store::Settings { path: base.join("wigo.db"), origin: ME, keep_days: 1 };
    let store = Store::open(settings).store;
    store.flush().unwrap();
    let config = Arc::new(ArcSwap::from_pointee(config));
    let here = Here::open(hub, Arc::new(pool), config, store.orders());
    let fixture = Fixture { here, root, store, _folder: folder };
    fixture.install();
    fixture
}

impl Fixture {
    fn install(&self) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.root.join("60/load");
        fs::write(&path, "#!/bin/sh\necho OK\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn disable(&self, reason: &str, seconds: Option<u64>) -> Result<(), Refusal> {
        let back_after = seconds.map(Duration::from_secs);
        self.here.disable(&load(), reason.into(), "alice".into(), back_after)
    }

    fn record(&self) -> Option<StoredDisabled> {
        self.here.records.load().get(&load()).cloned()
    }

    fn until(&self) -> Timestamp {
        self.record().unwrap().disabled.until.unwrap()
    }
}

fn load() -> ProbeName {
    ProbeName::new("load").unwrap()
}

#[test]
fn a_probe_that_cannot_be_switched_on_for_a_moment_is_tried_again() {
    let fixture = fixture();
    let Fixture { here, root, .. } = &fixture;
    fixture.disable("slow", Some(60)).unwrap();
    // Nothing can be put into that folder.
    fs::remove_dir(root.join("60")).unwrap();
    fs::write(root.join("60"), "").unwrap();
    let due = fixture.until();
    assert!(here.bring_back_due(PutOff::new(), due - SignedDuration::from_secs(1)).is_empty());
    let put_off = here.bring_back_due(PutOff::new(), due);
    assert_eq!(put_off.get(&load()), Some(&(due + TRY_AGAIN_AFTER)));
    assert_eq!(fixture.until(), due, "it is still to come back");

    fs::remove_file(root.join("60")).unwrap();
    let put_off = here.bring_back_due(put_off, due);
    assert!(fixture.record().is_some(), "not before its time");
    assert!(here.bring_back_due(put_off, due + TRY_AGAIN_AFTER).is_empty());
    assert!(fixture.record().is_none() && root.join("60/load").is_symlink());
    assert!(fixture.store.orders().disabled().unwrap().is_empty());
}

#[test]
fn a_probe_that_is_not_there_any_more_is_not_tried_again() {
    let fixture = fixture();
    fixture.disable("slow", Some(60)).unwrap();
    fs::remove_file(fixture.root.join("examples/load")).unwrap();
    let due = fixture.until();
    assert!(fixture.here.bring_back_due(PutOff::new(), due).is_empty());
    assert_eq!(fixture.record().unwrap().disabled.until, None);
    assert_eq!(fixture.store.orders().disabled().unwrap()[0].disabled.until, None);
}

#[test]
fn a_change_that_fails_leaves_the_record_of_the_one_before() {
    let fixture = fixture();
    fixture.disable("first", None).unwrap();
    // Somebody puts it back by hand, and where it would be kept is no folder.
    fixture.install();
    fs::remove_dir_all(fixture.root.join("examples")).unwrap();
    fs::write(fixture.root.join("examples"), "").unwrap();
    assert_eq!(fixture.disable("second", None).unwrap_err().kind, RefusalKind::Failed);
    let stored = fixture.store.orders().disabled().unwrap();
    let reasons: Vec<&str> = stored.iter().map(|it| it.disabled.reason.as_str()).collect();
    assert_eq!(
        (reasons, fixture.record().unwrap().disabled.reason.as_str()),
        (vec!["first"], "first")
    );
}

#[test]
fn whoever_looks_does_not_wait_for_a_change() {
    let fixture = fixture();
    fixture.disable("slow", None).unwrap();
    let _change = fixture.here.alone();
    assert_eq!(fixture.here.schedule().disable_records[0].reason, "slow");
}
