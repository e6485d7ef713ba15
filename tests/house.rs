//! The walls of the house: what a room must not know, by its imports.

use std::{fs, path::Path};

/// Lines of a room's files, tests left out, that name something forbidden.
fn offences(room: &str, forbidden: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join(room)];
    let mut found = Vec::new();
    let mut read = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if !path.ends_with("tests.rs") {
            read += 1;
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            found.extend(
                lines
                    .filter(|line| forbidden.iter().any(|word| line.contains(word)))
                    .map(|line| format!("{}: {}", path.display(), line.trim())),
            );
        }
    }
    assert!(read > 0, "`{room}` has no files: this test checks nothing");
    found
}

#[test]
fn the_tree_knows_no_file_socket_channel_runtime_or_clock() {
    let forbidden = [
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "std::io",
        "mpsc",
        "tokio",
        "Mutex",
        "Timestamp::now",
        "Instant",
        "SystemTime",
        "tracing",
        "crate::hub",
        "crate::store",
        "crate::probe",
        "crate::api",
        "crate::config",
        "crate::app",
    ];
    assert_eq!(offences("tree", &forbidden), Vec::<String>::new());
    assert_eq!(offences("status.rs", &forbidden), Vec::<String>::new());
}

#[test]
fn what_to_tell_is_decided_without_io_runtime_or_clock() {
    let forbidden = [
        "std::fs",
        "std::net",
        "std::process",
        "std::thread",
        "std::io",
        "mpsc",
        "tokio",
        "Mutex",
        "Timestamp::now",
        "Zoned::now",
        "TimeZone::system",
        "Instant",
        "SystemTime",
        "new_v4",
        "tracing",
        "HashMap",
        "HashSet",
        "crate::hub",
        "crate::store",
        "crate::probe",
        "crate::api",
        "crate::config",
        "crate::app",
        "notify::channel",
    ];
    for room in ["notify/policy", "notify/schedule.rs", "notify/incident.rs", "notify/message.rs"] {
        assert_eq!(offences(room, &forbidden), Vec::<String>::new());
    }
}

#[test]
fn sources_and_sinks_do_not_know_each_other() {
    let none = Vec::<String>::new();
    assert_eq!(
        offences("probe", &["crate::store", "crate::api", "crate::app", "crate::cli"]),
        none
    );
    assert_eq!(
        offences(
            "pull",
            &["crate::probe", "crate::store", "crate::api", "crate::app", "crate::cli"]
        ),
        none
    );
    assert_eq!(
        offences("store", &["crate::probe", "crate::api", "crate::app", "crate::cli"]),
        none
    );
    assert_eq!(
        offences("hub", &["crate::store", "crate::probe", "crate::api", "crate::app"]),
        none
    );
}

#[test]
fn orders_know_no_way_and_no_way_knows_who_carries_them_out() {
    let none = Vec::<String>::new();
    let ways = ["crate::push", "crate::pull", "crate::api", "crate::app", "crate::cli"];
    assert_eq!(offences("orders", &ways), none);
}

#[test]
fn certificates_are_judged_in_one_place() {
    let found = offences("", &[".dangerous()"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("src/trust/verify.rs"), "{found:?}");
}

#[test]
fn sql_is_in_the_store_alone() {
    for room in ["api", "app", "hub", "probe", "cli", "config", "tree"] {
        assert_eq!(offences(room, &["rusqlite"]), Vec::<String>::new());
    }
}

#[test]
fn only_the_app_builds_the_parts() {
    for room in ["api", "hub", "probe", "store", "config", "tree", "trust", "task.rs"] {
        assert_eq!(offences(room, &["crate::app", "crate::cli"]), Vec::<String>::new());
    }
}
