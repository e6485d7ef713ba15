use super::*;

const TREE: &str = r#"{
    "Uuid": "AA", "Hostname": "hub", "GlobalStatus": 100,
    "LocalHost": {"Name": "hub", "Status": 100, "Probes": {"p": {"Status": 100, "New": [1.50]}}},
    "RemoteWigos": {
        "bb": {
            "Uuid": "bb", "GlobalStatus": 100, "LocalHost": {"Name": "edge", "Probes": null},
            "RemoteWigos": {
                "cc": {"Uuid": "cc", "Hostname": "leaf", "GlobalStatus": 300, "RemoteWigos": null}
            }
        },
        "dd": {"Uuid": "dd", "Hostname": "leaf", "GlobalStatus": 200}
    },
    "Later": true
}"#;

fn tree() -> Wigo {
    serde_json::from_str(TREE).unwrap()
}

#[test]
fn a_host_is_found_by_name_or_uuid_at_any_depth() {
    let tree = tree();
    let check = |name: &str, path: Option<&[&str]>| {
        assert_eq!(tree.find(name).map(|found| found.path).as_deref(), path, "{name}");
    };
    check("localhost", Some(&[]));
    check("hub", Some(&[]));
    check("aa", Some(&[]));
    check("edge", Some(&["RemoteWigos", "bb"]));
    check("CC", Some(&["RemoteWigos", "bb", "RemoteWigos", "cc"]));
    check("leaf", Some(&["RemoteWigos", "bb", "RemoteWigos", "cc"]));
    check("DD", Some(&["RemoteWigos", "dd"]));
    check("other", None);
}

#[test]
fn the_worst_counts_what_is_below() {
    let tree = tree();
    assert_eq!(tree.worst(), 300);
    assert_eq!(tree.find("dd").unwrap().instance.worst(), 200);
}

#[test]
fn a_part_is_given_as_it_was_written() {
    let check = |path: &[&str], part: Option<&str>| assert_eq!(part_of(TREE, path), part);
    check(&["LocalHost", "Probes", "p"], Some(r#"{"Status": 100, "New": [1.50]}"#));
    check(&["RemoteWigos", "bb", "LocalHost", "Probes"], Some("null"));
    check(&["RemoteWigos", "xx"], None);
    check(&["Uuid", "x"], None);
}

#[test]
fn what_is_missing_is_empty_and_what_is_wrong_is_an_error() {
    let wigo: Wigo = serde_json::from_str("{}").unwrap();
    assert_eq!((wigo.name(), wigo.is_alive, wigo.global_status), ("", true, 0));
    let probe: Probe = serde_json::from_str(r#"{"Status": 100, "Detail": null}"#).unwrap();
    assert!(probe.detail.is_none());
    assert!(serde_json::from_str::<Wigo>(r#"{"GlobalStatus": "bad"}"#).is_err());
    let nested = r#"{"RemoteWigos":{"x":"#.repeat(10_000);
    assert!(serde_json::from_str::<Wigo>(&nested).is_err());
}
