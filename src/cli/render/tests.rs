use super::*;

const TREE: &str = r#"{
    "Uuid": "a", "Version": "Wigo v1.0.0", "Hostname": "hub", "GlobalStatus": 999, "IsAlive": true,
    "LocalHost": {"Name": "hub", "Status": 250, "Probes": {
        "load": {"Status": 100, "Message": "0.1 0.2 0.3"},
        "disks": {"Status": 250, "Message": "disk / is 91% full\nand more", "Stale": true},
        "updates": {"Status": 110, "Message": "3 updates"},
        "a_probe_with_a_very_long_name": {"Status": 100, "Message": ""}
    }},
    "RemoteWigos": {
        "b": {
            "Uuid": "b", "Version": "Wigo v1.0.0", "Hostname": "edge", "GlobalStatus": 100, "IsAlive": true,
            "LocalHost": {"Name": "edge", "Status": 100, "Probes": {"load": {"Status": 100, "Message": "fine"}}},
            "RemoteWigos": {
                "c": {
                    "Uuid": "c", "Version": "Wigo v0.73", "Hostname": "leaf", "GlobalStatus": 300, "IsAlive": true,
                    "LocalHost": {"Name": "leaf.local", "Status": 300, "Probes": {
                        "load": {"Status": 100, "Message": "fine"},
                        "ntp": {"Status": 300, "Message": "not in sync"}
                    }}
                }
            }
        },
        "d": {
            "Uuid": "d", "Version": "Wigo v1.0.0", "Hostname": "gone", "GlobalStatus": 999, "IsAlive": false,
            "GlobalMessage": "DOWN", "LocalHost": {"Name": "gone", "Status": 999, "Probes": {
                "load": {"Status": 100, "Message": "fine"}}}
        },
        "e": {
            "Uuid": "e", "Version": "Wigo v1.0.0", "Hostname": "well", "GlobalStatus": 100, "IsAlive": true,
            "LocalHost": {"Name": "well", "Status": 100, "Probes": {"load": {"Status": 100, "Message": "fine"}}}
        }
    }
}"#;

const PLAIN: Look = Look { colour: false, zone: TimeZone::UTC };
const COLOURED: Look = Look { colour: true, zone: TimeZone::UTC };

fn tree() -> Wigo {
    serde_json::from_str(TREE).unwrap()
}

/// `|` marks the end of a line that ends with spaces.
fn check(drawn: String, expected: &str) {
    assert_eq!(drawn, expected.replace(" |\n", " \n"));
}

#[test]
fn a_summary_shows_what_is_not_well_worst_first() {
    check(
        summary(&tree(), false, &PLAIN),
        "\
Wigo v1.0.0 running on hub |
Local Status \t: 250
Global Status\t: 999

Local probes : |

\tdisks                     : 250  disk / is 91% full (not confirmed since the restart)
\tupdates                   : 110  3 updates
\ta_probe_with_a_very_long_name : 100
\tload                      : 100  0.1 0.2 0.3

Remote Wigos : |

gone DOWN : DOWN

edge ( edge ) - Wigo v1.0.0: |

\tleaf ( leaf.local ) - Wigo v0.73: |
\t\tntp                       : 300  not in sync

",
    );
}

#[test]
fn detail_shows_everything() {
    check(
        summary(&tree(), true, &PLAIN),
        "\
Wigo v1.0.0 running on hub |
Local Status \t: 250
Global Status\t: 999

Local probes : |

\tdisks                     : 250  disk / is 91% full (not confirmed since the restart)
\tupdates                   : 110  3 updates
\ta_probe_with_a_very_long_name : 100
\tload                      : 100  0.1 0.2 0.3

Remote Wigos : |

gone DOWN : DOWN
\tload                      : 100  fine

edge ( edge ) - Wigo v1.0.0: |
\tload                      : 100  fine

\tleaf ( leaf.local ) - Wigo v0.73: |
\t\tntp                       : 300  not in sync
\t\tload                      : 100  fine

well ( well ) - Wigo v1.0.0: |
\tload                      : 100  fine

",
    );
}

#[test]
fn nothing_is_listed_where_all_is_well() {
    let tree = tree();
    let well = tree.find("well").unwrap().instance;
    let head = "Wigo v1.0.0 running on well \nLocal Status \t: 100\nGlobal Status\t: 100\n\n";
    assert_eq!(summary(well, false, &PLAIN), head);
    assert_eq!(
        summary(well, true, &PLAIN),
        format!("{head}Local probes : \n\n\tload                      : 100  fine\n\n")
    );
}

#[test]
fn of_a_remote_only_what_is_not_ok_is_shown() {
    let tree = tree();
    check(
        remote_summary(tree.find("leaf").unwrap().instance, false, &PLAIN),
        "\
Wigo v0.73 running on leaf.local |
Local Status \t: 300
Global Status\t: 300

Local probes : |

\tntp                       : 300  not in sync

",
    );
    check(
        remote_summary(tree.find("gone").unwrap().instance, false, &PLAIN),
        "\
Wigo v1.0.0 running on gone |
Local Status \t: 999
Global Status\t: 999

gone DOWN : DOWN

",
    );
}

#[test]
fn a_whole_line_has_one_colour() {
    let drawn = summary(&tree(), true, &COLOURED);
    for line in [
        "\u{1b}[33m\tupdates                   : 110  3 updates\u{1b}[0m\n",
        "\tload                      : 100  0.1 0.2 0.3\n",
        "\u{1b}[31m\t\tntp                       : 300  not in sync\u{1b}[0m\n",
        "\u{1b}[31mgone DOWN : DOWN\u{1b}[0m\n",
        "\tleaf ( leaf.local ) - \u{1b}[31mWigo v0.73\u{1b}[0m: \n",
    ] {
        assert!(drawn.contains(line), "{line:?} is not in {drawn:?}");
    }
}

#[test]
fn a_probe_is_shown_with_its_detail() {
    let disks: Probe = serde_json::from_str(
        r#"{"Status": 250, "Message": "disk / is 91% full\nwith a second line", "Interval": 60, "Stale": true,
            "ProbeDate": "2025-03-04T09:15:02.3182 (CET)", "Since": 1741076102,
            "Detail": {"/dev/vda1": {"Size": "40G", "Percentage": "91%"}}}"#,
    )
    .unwrap();
    check(
        probe("disks", &disks, &PLAIN),
        "\
Probe disks : |

 Status         : 250
 Message        : disk / is 91% full
                : with a second line
 Last execution : 2025-03-04T09:15:02.3182 (CET)
 Since          : 2025-03-04T08:15:02 (UTC)
 Interval       : 60 s
 Stale          : not confirmed since the restart

 Detail : |

{
   \"/dev/vda1\": {
      \"Percentage\": \"91%\",
      \"Size\": \"40G\"
   }
}
",
    );
    assert!(probe("disks", &disks, &COLOURED).contains(" : \u{1b}[33m250\u{1b}[0m\n"));
}

#[test]
fn a_probe_of_an_original_wigo_has_no_extras() {
    let load: Probe =
        serde_json::from_str(r#"{"Status": 100, "Message": "", "Detail": null}"#).unwrap();
    check(
        probe("load", &load, &PLAIN),
        "Probe load : \n\n Status         : 100\n Message        :\n Last execution :\n",
    );
}

#[test]
fn a_log_entry_is_one_line() {
    let entry = |json: &str| log_entry(&serde_json::from_str(json).unwrap(), &PLAIN);
    assert_eq!(
        entry(
            r#"{"Id": 7, "Timestamp": 1741076102, "Learned": 1741076102, "Level": 5, "Host": "hub", "Probe": "disks",
                "Message": "Probe disks switched from 100 to 250 : disk / is 91% full\nmore"}"#
        ),
        "2025-03-04T08:15:02 (UTC)  WARNING    hub disks  \
         Probe disks switched from 100 to 250 : disk / is 91% full\n"
    );
    assert_eq!(
        entry(
            r#"{"Timestamp": 1741076102, "Learned": 1741079702, "Level": 4, "Host": "edge",
                "Message": "Wigo edge DOWN"}"#
        ),
        "2025-03-04T08:15:02 (UTC)  ERROR      edge  Wigo edge DOWN \
         (known since 2025-03-04T09:15:02 (UTC))\n"
    );
    assert_eq!(
        entry(
            r#"{"Date": "2025-03-04T09:15:02 (CET)", "Level": 2, "Host": "hub", "Message": "back"}"#
        ),
        "2025-03-04T09:15:02 (CET)  OK         hub  back\n"
    );
}

#[test]
fn hostile_text_and_numbers_do_nothing() {
    let evil = r#"evil\u001b]0;title\u0007\u009b31m\u202e\r"#;
    let number = i64::MIN;
    let tree = format!(
        r#"{{"Version": "{evil}", "Hostname": "{evil}", "GlobalStatus": 999, "LocalHost": {{
            "Name": "{evil}", "Status": {number}, "Probes": {{"{evil}": {{"Status": {number}, "Message": "{evil}",
            "Since": {number}, "Interval": {number}, "ProbeDate": "{evil}", "Detail": ["{evil}"]}}}}}},
            "RemoteWigos": {{"x": {{"Version": "{evil}", "Hostname": "{evil}", "GlobalStatus": 999, "IsAlive": true,
            "LocalHost": {{"Name": "{evil}", "Probes": {{"{evil}": {{"Status": 300, "Message": "{evil}"}}}}}}}},
            "y": {{"IsAlive": false, "Hostname": "{evil}", "GlobalStatus": 999, "GlobalMessage": "{evil}"}}}}}}"#
    );
    let tree: Wigo = serde_json::from_str(&tree).unwrap();
    let entry = format!(
        r#"{{"Date": "{evil}", "Level": {number}, "Timestamp": {number}, "Learned": {}, "Message": "{evil}",
            "Host": "{evil}", "Probe": "{evil}"}}"#,
        i64::MAX
    );
    let (name, bad) = tree.local_host.probes.first_key_value().unwrap();
    for drawn in [
        summary(&tree, false, &PLAIN),
        summary(&tree, true, &PLAIN),
        remote_summary(&tree, true, &PLAIN),
        probe(name, bad, &PLAIN),
        log_entry(&serde_json::from_str(&entry).unwrap(), &PLAIN),
    ] {
        let active = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
        assert!(!drawn.contains(active), "{drawn:?}");
        assert!(drawn.contains("\\u{1b}]0;title"), "{drawn}");
    }
}

#[test]
fn an_instance_that_does_not_report_is_not_called_down_for_that() {
    let tree: Wigo = serde_json::from_str(
        r#"{"Hostname":"hub","GlobalStatus":100,"Presence":"alive","LocalHost":{"Name":"hub","Status":100},
        "RemoteWigos":{
            "a":{"Hostname":"quiet","GlobalStatus":100,"IsAlive":false,"GlobalMessage":"UNKNOWN",
                "Presence":"unknown","Problem":"no\u001b answer"},
            "b":{"Hostname":"off","GlobalStatus":100,"IsAlive":false,"Presence":"stopped"},
            "c":{"Hostname":"late","GlobalStatus":999,"IsAlive":false,"GlobalMessage":"DOWN",
                "Presence":"down","Problem":"refused"},
            "d":{"Hostname":"slow","Version":"v","GlobalStatus":200,"Problem":"a bad key",
                "LocalHost":{"Name":"slow"}}}}"#,
    )
    .unwrap();
    let drawn = summary(&tree, false, &PLAIN);
    let remotes = "Remote Wigos : \n\nlate DOWN : DOWN : refused\n\nslow ( slow ) - v: a bad key\n\n\
                   off STOPPED\n\nquiet UNKNOWN : no\\u{1b} answer\n\n";
    assert!(drawn.ends_with(remotes), "{drawn}");
    let quiet = remote_summary(tree.find("quiet").unwrap().instance, false, &PLAIN);
    assert!(quiet.contains("\nquiet UNKNOWN : no\\u{1b} answer\n"), "{quiet}");
}
