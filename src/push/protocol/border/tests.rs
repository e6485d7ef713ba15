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

fn checked(report: Report) -> Result<tree::Report, BadNews> {
    report.checked(&Pool::default(), at(NOW))
}

/// The report after `change`, checked.
fn with_probe(change: impl FnOnce(&mut Probe)) -> Result<tree::Probe, BadNews> {
    let mut wire = Report::from(&report());
    change(&mut wire.accounts[0].probes[0]);
    checked(wire).map(|report| report.accounts[0].probes[0].clone())
}

#[test]
fn what_is_sent_means_the_same_when_it_arrives() {
    assert_eq!(checked(Report::from(&report())).unwrap(), report());
    let told = Entry::from(&entry()).checked(&Pool::default(), at(NOW)).unwrap().unwrap();
    let hub::Entry { origin, origin_id, transition, .. } = entry();
    assert_eq!(told, Told { origin, origin_id, transition });
}

#[test]
fn nonsense_is_refused_by_name() {
    let text = with_probe(|probe| probe.status = 0).unwrap_err().to_string();
    let place = "the status of probe `cmk/disk` of instance 00000000-0000-0000-0000-000000000001";
    assert!(text.contains(place) && text.contains("is 0, not a number from 100 to 999"), "{text}");
    let refused = |change: fn(&mut Probe)| with_probe(change).unwrap_err().to_string();
    assert!(refused(|probe| probe.status = 1_000).contains("is 1000"));
    assert!(refused(|probe| probe.name = "a/b/c".into()).contains("the name `a/b/c` of a probe"));
    assert!(refused(|probe| probe.name = "a\x1b[2J".into()).contains("the name `a [2J`"));
    assert!(refused(|probe| probe.version = "1\n2".into()).contains("control character"));
    assert!(refused(|probe| probe.detail = "{\x1b".into()).contains("the detail of probe"));
    assert!(refused(|probe| probe.value = String::new()).contains("the value of probe"));
    assert!(refused(|probe| probe.date = i64::MAX).contains("no time"));
    let mut wire = Report::from(&report());
    wire.accounts[0].header.as_mut().unwrap().name = "x".repeat(1_025);
    assert!(checked(wire).unwrap_err().to_string().contains("the host name of instance"));
}

#[test]
fn json_may_be_nested_to_a_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(with_probe(|probe| probe.detail = nested(MAX_NESTING)).is_ok());
    assert!(with_probe(|probe| probe.detail = nested(MAX_NESTING + 1)).is_err());
    assert!(with_probe(|probe| probe.detail = nested(60_000)).is_err());
    assert_eq!(nesting(r#"{"a[[[":["\"[[", {}]}"#), 3);
}

#[test]
fn what_is_too_long_is_cut() {
    let probe = with_probe(|probe| {
        probe.message = "é".repeat(4_000);
        probe.detail = format!("\"{}\"", "x".repeat(MAX_DETAIL_BYTES));
        probe.metrics = format!("[{}1]", "{\"Value\":1},".repeat(20_000));
    });
    let result = &probe.unwrap().result;
    assert_eq!(result.message, "é".repeat(2_048));
    assert!(result.detail.as_str().starts_with("\"too big (65538 bytes"));
    assert!(result.metrics.as_str().len() <= MAX_METRICS_BYTES);
    assert!(result.metrics.as_str().ends_with("{\"Value\":1}]"));
    let text = format!("\"{}\"", "x".repeat(MAX_METRICS_BYTES));
    assert!(with_probe(|probe| probe.metrics = text).unwrap().result.metrics.is_null());
}

#[test]
fn a_probe_cannot_say_that_its_host_is_down() {
    let probe = with_probe(|probe| probe.status = 999).unwrap();
    assert_eq!(probe.result.status, Status::WORST_OF_PROBE);
}

#[test]
fn a_clock_that_is_ahead_does_not_reach_into_the_future() {
    let probe = with_probe(|probe| {
        probe.date = (NOW + 301) * 1_000;
        probe.since = (NOW + 299) * 1_000;
    });
    let probe = probe.unwrap();
    assert_eq!((probe.result.date, probe.since), (at(NOW), at(NOW + 299)));
}

#[test]
fn words_of_newer_instances_are_no_errors() {
    let mut wire = Report::from(&report());
    wire.accounts[0].header.as_mut().unwrap().presence = "asleep".into();
    let report = checked(wire).unwrap();
    assert_eq!(report.accounts[0].header.as_ref().unwrap().presence, Presence::Unknown);
    let newer = Entry { kind: "probe_painted".into(), ..Entry::from(&entry()) };
    assert_eq!(newer.checked(&Pool::default(), at(NOW)), Ok(None));
    let broken = Entry { was: Some(5), ..Entry::from(&entry()) };
    let text = broken.checked(&Pool::default(), at(NOW)).unwrap_err().to_string();
    assert!(text.contains("the status before of entry 7 of the journal of"), "{text}");
}

#[test]
fn equal_names_of_different_hosts_share_memory() {
    let pool = Pool::default();
    let name_in = |report: tree::Report| report.accounts[0].probes[0].result.name.clone();
    let [one, other] =
        [(), ()].map(|()| name_in(Report::from(&report()).checked(&pool, at(NOW)).unwrap()));
    assert!(std::ptr::eq(one.as_str(), other.as_str()));
}
