use std::collections::BTreeMap;

use uuid::Uuid;

use super::*;
use crate::hub;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

const NOW: i64 = 1_000_000;

fn name(name: &str) -> ProbeName {
    ProbeName::parse(name).unwrap()
}

fn disabled() -> tree::Disabled {
    tree::Disabled {
        reason: "the disk is being replaced".into(),
        author: "alice".into(),
        interval: 60,
        created: at(NOW - 60),
        until: Some(at(NOW + 3600)),
    }
}

fn report() -> tree::Report {
    let result = ProbeResult {
        name: name("cmk/disk"),
        version: "0.1".into(),
        value: Json::parse("12.5").unwrap(),
        message: "all\nwell".into(),
        date: at(NOW - 5),
        metrics: Json::parse(r#"[{"Value":1}]"#).unwrap(),
        detail: Json::null(),
        status: Status::WARN,
        exit_code: -1,
        interval: 60,
    };
    let probe = tree::Probe { result: Arc::new(result), since: at(7), stale: true };
    let header = tree::Header {
        parent: Some(Uuid::from_u128(9)),
        version: "Wigo v1.0.0".into(),
        name: "web1".into(),
        group: "web".into(),
        labels: BTreeMap::from([("site".into(), "paris".into())]),
        presence: Presence::Down,
        since: Some(at(8)),
        last_update: Some(at(9)),
        problem: Some("its clock is wrong".into()),
        disabled: BTreeMap::from([(name("load"), disabled())]),
        remote_control: RemoteControl::Control,
    };
    let account = tree::Account {
        uuid: Uuid::from_u128(1),
        header: Some(header),
        probes: vec![probe],
        complete: true,
        ran: vec![(name("load"), at(NOW))],
        gone: vec![name("old")],
    };
    tree::Report {
        begins: true,
        ends: false,
        accounts: vec![account],
        gone: vec![Uuid::from_u128(3)],
    }
}

fn entry() -> hub::Entry {
    let transition = Transition {
        kind: Kind::ProbeChanged,
        at: at(5),
        group: "web".into(),
        host: "web1".into(),
        probe: Some(name("load")),
        was: None,
        now: Some(Status::DOWN),
        message: "worse".into(),
    };
    let origin = Uuid::from_u128(4);
    hub::Entry { id: 70, origin, origin_id: 7, learned: at(6), transition }
}

/// The report, and the first thing that made no sense in it.
fn checked(report: Report) -> (tree::Report, Option<String>) {
    let mut flaws = Flaws::default();
    let report = report.checked(&Pool::default(), at(NOW), &mut flaws);
    (report, flaws.take().map(|flaw| flaw.to_string()))
}

/// The report after `change` of its probe.
fn with_probe(change: impl FnOnce(&mut Probe)) -> (tree::Report, Option<String>) {
    let mut wire = Report::from(&report());
    change(&mut wire.accounts[0].probes[0]);
    checked(wire)
}

/// The probe after `change`, in which there is nothing wrong.
fn good_probe(change: impl FnOnce(&mut Probe)) -> tree::Probe {
    let (report, flaw) = with_probe(change);
    assert_eq!(flaw, None);
    report.accounts[0].probes[0].clone()
}

#[test]
fn what_is_sent_means_the_same_when_it_arrives() {
    assert_eq!(checked(Report::from(&report())), (report(), None));
    let told = Entry::from(&entry()).checked(&Pool::default()).unwrap().unwrap();
    let hub::Entry { origin, origin_id, transition, .. } = entry();
    assert_eq!(told, Told { origin, origin_id, transition });
}

#[test]
fn a_probe_that_makes_no_sense_becomes_an_error_of_that_probe() {
    type Break = fn(&mut Probe);
    let changes: [(Break, &str); 6] = [
        (|probe| probe.status = 0, "the status is 0, not a number from 100 to 999"),
        (|probe| probe.status = 1_000, "the status is 1000"),
        (|probe| probe.version = "1\n2".into(), "the version has a control character"),
        (|probe| probe.detail = "{\x1b".into(), "the detail is not JSON"),
        (|probe| probe.value = String::new(), "the value is not JSON"),
        (|probe| probe.date = i64::MAX, "the date is 9223372036854775807 ms, which is no time"),
    ];
    for (change, why) in changes {
        let (checked, flaw) = with_probe(change);
        let result = &checked.accounts[0].probes[0].result;
        assert_eq!((result.name.as_str(), result.status), ("cmk/disk", Status::ERROR));
        assert!(result.message.contains(why), "{}", result.message);
        let flaw = flaw.unwrap();
        let place = "of probe `cmk/disk` of instance 00000000-0000-0000-0000-000000000001";
        assert!(flaw.contains(place), "{flaw}");
        assert_eq!(checked.accounts[0].ran, report().accounts[0].ran, "the rest stays");
    }
}

#[test]
fn what_has_no_good_name_is_left_out_and_said() {
    let (checked_report, flaw) = with_probe(|probe| probe.name = "a\x1b[2J".into());
    assert!(checked_report.accounts[0].probes.is_empty());
    assert!(flaw.unwrap().contains("the name `a [2J` of a probe of instance"));
    let mut wire = Report::from(&report());
    wire.accounts[0].header.as_mut().unwrap().name = format!("a\n{}", "x".repeat(2_000));
    wire.accounts[0].header.as_mut().unwrap().since = Some(i64::MAX);
    wire.accounts[0].ran.push(("a/b/c".into(), 0));
    let (checked_report, flaw) = checked(wire);
    let account = &checked_report.accounts[0];
    let header = account.header.as_ref().unwrap();
    assert_eq!(header.name, format!("a {}", "x".repeat(1_022)));
    assert_eq!(header.since, Some(at(NOW)));
    assert_eq!(account.ran.len(), 1);
    assert!(flaw.unwrap().contains("the beginning of its presence of instance"));
}

#[test]
fn entries_that_make_no_sense_are_skipped() {
    let good = || Entry::from(&entry());
    let bad = Entry { probe: Some("a/b/c".into()), ..good() };
    let late = Entry { at_ms: 32_503_680_000_000, ..good() };
    let mut flaws = Flaws::default();
    let told = checked_entries(vec![good(), bad, late], &Pool::default(), &mut flaws);
    assert_eq!(told.len(), 2);
    let flaw = flaws.take().unwrap().to_string();
    assert!(flaw.contains("the name `a/b/c` of a probe of entry 7 of the journal of"), "{flaw}");
    // What was claimed is for the hub to judge.
    assert_eq!(told[1].transition.at, at(32_503_680_000));
}

#[test]
fn json_may_be_nested_to_a_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deepest = good_probe(|probe| probe.detail = nested(MAX_NESTING));
    assert_eq!(deepest.result.detail.as_str(), nested(MAX_NESTING));
    for depth in [MAX_NESTING + 1, 60_000] {
        let probe = good_probe(|probe| probe.detail = nested(depth));
        assert_eq!(probe.result.detail.as_str(), "\"nested deeper than 32: left out\"");
        assert_eq!(probe.result.status, Status::WARN);
    }
}

#[test]
fn what_is_too_long_is_cut() {
    let probe = good_probe(|probe| {
        probe.message = "é".repeat(4_000);
        probe.detail = format!("\"{}\"", "x".repeat(MAX_DETAIL_BYTES));
        probe.metrics = format!("[{}1]", "{\"Value\":1},".repeat(20_000));
    });
    let result = &probe.result;
    assert_eq!(result.message, "é".repeat(2_048));
    assert!(result.detail.as_str().starts_with("\"too big (65538 bytes"));
    assert!(result.metrics.as_str().len() <= MAX_METRICS_BYTES);
    assert!(result.metrics.as_str().ends_with("{\"Value\":1}]"));
    let text = format!("\"{}\"", "x".repeat(MAX_METRICS_BYTES));
    assert!(good_probe(|probe| probe.metrics = text).result.metrics.is_null());
}

#[test]
fn a_probe_cannot_say_that_its_host_is_down() {
    let probe = good_probe(|probe| probe.status = 999);
    assert_eq!(probe.result.status, Status::WORST_OF_PROBE);
}

#[test]
fn a_clock_that_is_ahead_does_not_reach_into_the_future() {
    let probe = good_probe(|probe| {
        probe.date = (NOW + 301) * 1_000;
        probe.since = (NOW + 299) * 1_000;
    });
    assert_eq!((probe.result.date, probe.since), (at(NOW), at(NOW + 299)));
}

#[test]
fn words_of_newer_instances_are_no_errors() {
    let mut wire = Report::from(&report());
    wire.accounts[0].header.as_mut().unwrap().presence = "asleep".into();
    let (report, flaw) = checked(wire);
    assert_eq!(flaw, None);
    assert_eq!(report.accounts[0].header.as_ref().unwrap().presence, Presence::Unknown);
    let newer = Entry { kind: "probe_painted".into(), ..Entry::from(&entry()) };
    assert_eq!(newer.checked(&Pool::default()), Ok(None));
    let broken = Entry { was: Some(5), ..Entry::from(&entry()) };
    let text = broken.checked(&Pool::default()).unwrap_err().to_string();
    assert!(text.contains("the status before of entry 7 of the journal of"), "{text}");
}

#[test]
fn equal_names_of_different_hosts_share_memory() {
    let pool = Pool::default();
    let name_in = |report: tree::Report| report.accounts[0].probes[0].result.name.clone();
    let [one, other] = [(), ()]
        .map(|()| name_in(Report::from(&report()).checked(&pool, at(NOW), &mut Flaws::default())));
    assert!(std::ptr::eq(one.as_str(), other.as_str()));
}
